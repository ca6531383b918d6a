import NIOCore
import NIOHTTP1

/// The end of a connection's pipeline: it sends one request at a time, hands the parts of the answer to the call
/// they belong to, and gives the connection to the pool in between.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let origin: Origin
  private let pool: ConnectionPool
  /// Nil before and after the connection stands.
  private var context: ChannelHandlerContext?
  private var call: HTTPCall?
  private var isRequestSent = true

  init(_ origin: Origin, _ pool: ConnectionPool) {
    self.origin = origin
    self.pool = pool
  }

  /// Sends a request for `call`; false when the connection has ended.
  func start(_ call: HTTPCall, _ request: PreparedRequest) -> Bool {
    guard let context, context.channel.isActive else { return false }
    self.call = call
    let body = request.body
    context.write(wrapOutboundOut(.head(request.headAndLength)), promise: nil)
    if body.readableBytes == 0 {
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    } else {
      isRequestSent = false
      let sent = context.eventLoop.makePromise(of: Void.self)
      sent.futureResult.assumeIsolated().whenSuccess { self.isRequestSent = true }
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }
    return true
  }

  /// The call ended before its answer did: the connection is of no more use.
  func abandon() {
    call = nil
    context?.close(promise: nil)
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let call else { return context.close(promise: nil) }
    switch unwrapInboundIn(data) {
    case .head(let head): call.received(head)
    case .body(let part): call.received(part)
    case .end:
      self.call = nil
      // A server that answers before it has read the whole request is not given another one behind it.
      let isReusable = call.isKeepAlive && isRequestSent && context.channel.isActive
      if !isReusable || !pool.put(self, origin) { context.close(promise: nil) }
      call.receivedEnd()
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    let call = self.call
    self.call = nil
    context.close(promise: nil)
    call?.connectionEnded(error)
  }

  func channelInactive(context: ChannelHandlerContext) {
    let call = self.call
    self.call = nil
    pool.remove(self, origin)
    call?.connectionEnded(ChannelError.eof)
    context.fireChannelInactive()
  }
}

/// Reads of 64 KiB, without keeping a buffer of that size in every idle connection.
///
/// NIO keeps the first buffer that a channel's allocator made for as long as the channel lives, and with
/// `maxMessagesPerRead` 1 no other one: so the first is small.
struct ReceiveAllocator: RecvByteBufferAllocator {
  private var hasRead = false

  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
    allocator.buffer(capacity: hasRead ? 64 << 10 : 1 << 10)
  }

  /// True, "the next buffer may be larger", keeps NIO from using the first one again.
  mutating func record(actualReadBytes: Int) -> Bool {
    hasRead = true
    return true
  }
}
