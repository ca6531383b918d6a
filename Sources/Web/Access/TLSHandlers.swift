import Glibc
import Logging
import NIOCore
import NIOSSL
import NIOTLS

/// The first handler of a connection to a TLS port: who speaks plain HTTP is told, everything else is handed to TLS.
final class TLSStart: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// The beginnings of requests in plain HTTP, as Go's net/http knows them.
  private static let plain = Set(["GET /", "HEAD ", "POST ", "PUT /", "OPTIO"])

  private let access: WebAccess
  private var received: ByteBuffer?
  private var isDecided = false

  init(access: WebAccess) { self.access = access }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDecided else { return }
    var bytes = unwrapInboundIn(data)
    if var received {
      received.writeBuffer(&bytes)
      bytes = received
    }
    received = bytes
    guard let start = bytes.getString(at: bytes.readerIndex, length: 5) else { return }
    isDecided = true
    received = nil
    if Self.plain.contains(start) {
      refusePlain(context)
    } else {
      startTLS(bytes, context)
    }
  }

  private func refusePlain(_ context: ChannelHandlerContext) {
    let answer = ByteBuffer(
      string: "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(answer)).whenComplete { _ in bound.value.close(promise: nil) }
  }

  private func startTLS(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
    guard let settings = access.tlsSettings() else { return context.close(promise: nil) }
    let pipeline = context.pipeline.syncOperations
    do {
      try pipeline.addHandlers(
        [settings.makeHandler(), TLSAdmission(settings.allowedNames, access.logger)], position: .after(self))
    } catch {
      return context.close(promise: nil)
    }
    context.fireChannelRead(wrapInboundOut(bytes))
    context.fireChannelReadComplete()
    pipeline.removeHandler(context: context, promise: nil)
  }
}

/// Behind TLS: lets nothing through from a client whose certificate has none of the allowed names.
final class TLSAdmission: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let allowedNames: Set<String>?
  private let logger: Logger
  private var isAdmitted = false

  init(_ allowedNames: Set<String>?, _ logger: Logger) {
    self.allowedNames = allowedNames
    self.logger = logger
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted = event { admit(context) }
    context.fireUserInboundEventTriggered(event)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isAdmitted { context.fireChannelRead(data) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A client that closes without TLS's good-bye; that its input is closed is told separately.
    if error as? NIOSSLError == .uncleanShutdown { return }
    if !isAdmitted { report("\(error)", context) }
    context.fireErrorCaught(error)
  }

  private func admit(_ context: ChannelHandlerContext) {
    isAdmitted = allowedNames.map { !$0.isDisjoint(with: names(context)) } ?? true
    guard !isAdmitted else { return }
    report("the client's certificate has none of client_allowed_sans", context)
    context.close(promise: nil)
  }

  private func names(_ context: ChannelHandlerContext) -> [String] {
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    return certificate?.alternativeNames ?? []
  }

  private func report(_ reason: String, _ context: ChannelHandlerContext) {
    let client = context.remoteAddress.map { "\($0)" } ?? "unknown"
    logger.debug("TLS handshake failed", metadata: ["client": "\(client)", "err": "\(reason)"])
  }
}

extension NIOSSLCertificate {
  /// The DNS names, email addresses, IP addresses and URIs of the certificate, as Go writes them.
  fileprivate var alternativeNames: [String] {
    _subjectAlternativeNames().compactMap { name in
      switch name.nameType {
      case .dnsName, .email, .uri: String(decoding: name.contents, as: UTF8.self)
      case .ipAddress: Self.address(Array(name.contents))
      default: nil
      }
    }
  }

  private static func address(_ bytes: [UInt8]) -> String? {
    let family: CInt
    switch bytes.count {
    case 4: family = AF_INET
    case 16: family = AF_INET6
    default: return nil
    }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    return inet_ntop(family, bytes, &text, socklen_t(text.count)).map { String(cString: $0) }
  }
}
