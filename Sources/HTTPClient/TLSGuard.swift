import Glibc
import NIOCore
import NIOSSL
import NIOTLS

/// Stands behind TLS until it is certain who the server is: before that no request goes out. Then it leaves.
final class TLSGuard: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  private let identity: PeerIdentity
  private let verifies: Bool
  private var outcome: Result<Void, ConnectFault>?
  private var whenReady: ((Result<Void, ConnectFault>) -> Void)?

  init(_ identity: PeerIdentity, verifies: Bool) {
    self.identity = identity
    self.verifies = verifies
  }

  /// `body` is called once, perhaps at once.
  func whenReady(_ body: @escaping (Result<Void, ConnectFault>) -> Void) {
    if let outcome { body(outcome) } else { whenReady = body }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case TLSUserEvent.handshakeCompleted = event else { return context.fireUserInboundEventTriggered(event) }
    if verifies {
      guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else {
        return end(context, "tls: server sent no certificate")
      }
      if let fault = identity.fault(of: certificate) {
        return end(context, "tls: failed to verify certificate: \(fault)")
      }
    }
    context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    finish(.success(()))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let fault = error as? ConnectFault { return end(context, fault.reason) }
    if TLSErrors.isUnverified(error), let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate(),
      let expired = TLSGuard.expiry(of: certificate)
    {
      return end(context, "tls: failed to verify certificate: \(expired)")
    }
    end(context, TLSErrors.reason(of: error) ?? HTTPClientError.reason(of: error))
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(.failure(ConnectFault("EOF")))
    context.fireChannelInactive()
  }

  private func end(_ context: ChannelHandlerContext, _ reason: String) {
    finish(.failure(ConnectFault(reason)))
    context.close(promise: nil)
  }

  private func finish(_ result: Result<Void, ConnectFault>) {
    guard outcome == nil else { return }
    outcome = result
    let body = whenReady.take()
    body?(result)
  }

  /// BoringSSL says only that a certificate is not good; the usual reason is told apart.
  private static func expiry(of certificate: NIOSSLCertificate) -> String? {
    let now = time(nil)
    guard now < certificate.notValidBefore || now > certificate.notValidAfter else { return nil }
    return "x509: certificate has expired or is not yet valid: current time \(date(now)) is "
      + (now < certificate.notValidBefore
        ? "before \(date(certificate.notValidBefore))" : "after \(date(certificate.notValidAfter))")
  }

  private static func date(_ seconds: time_t) -> String {
    var seconds = seconds
    var parts = tm()
    var text = [CChar](repeating: 0, count: 32)
    gmtime_r(&seconds, &parts)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Why a connection is not fit for requests.
struct ConnectFault: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}
