import Bytes
import NIOCore
import NIOSSL

/// The first handler of a connection to a proxy: asks it for a tunnel (RFC 9110, section 9.3.6), then starts TLS
/// with the server behind it, and leaves.
final class ProxyTunnel: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let request: ByteBuffer
  private let tls: NIOSSLClientHandler
  /// As if it were for HEAD: a tunnel has no body.
  private var reader = ResponseReader(isAnswerToHead: true)
  private var received = ByteBuffer()

  /// - Parameter head: of a CONNECT, whole.
  init(head: ByteBuffer, tls: NIOSSLClientHandler) {
    request = head
    self.tls = tls
  }

  func channelActive(context: ChannelHandlerContext) {
    context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    received.writeImmutableBuffer(unwrapInboundIn(data))
    do throws(ResponseFault) {
      var position = 0
      guard case .head(let head)? = try reader.next(in: received.readableBytesSpan, at: &position) else {
        received.moveReaderIndex(forwardBy: position)
        return
      }
      // What the proxy says of a refusal is not shown: it may be anything.
      guard head.status == 200 else {
        return fail(
          context,
          head.status == 407
            ? "Proxy Authentication Required" : "proxy refused CONNECT with HTTP status \(head.status)")
      }
      received.moveReaderIndex(forwardBy: position)
    } catch {
      return fail(context, "proxy's answer to CONNECT is no HTTP")
    }
    do {
      try context.pipeline.syncOperations.addHandler(tls, position: .after(self))
    } catch {
      return fail(context, "tls: \(error)")
    }
    if received.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(received)) }
    context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
  }

  private func fail(_ context: ChannelHandlerContext, _ reason: String) {
    context.fireErrorCaught(ConnectFault(reason))
  }
}
