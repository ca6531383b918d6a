import NIOSSL

/// What BoringSSL says, in the words of Go's crypto/tls and crypto/x509, which operators know and search for.
enum TLSErrors {
  /// By a word of BoringSSL's reason.
  private static let reasons: [(word: String, text: String)] = [
    ("CERTIFICATE_VERIFY_FAILED", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    ("WRONG_VERSION_NUMBER", "http: server gave HTTP response to HTTPS client"),
    ("UNSUPPORTED_PROTOCOL", "tls: server selected unsupported protocol version"),
    ("ALERT_PROTOCOL_VERSION", "remote error: tls: protocol version not supported"),
    ("ALERT_HANDSHAKE_FAILURE", "remote error: tls: handshake failure"),
    ("ALERT_BAD_CERTIFICATE", "remote error: tls: bad certificate"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "remote error: tls: unsupported certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", "remote error: tls: expired certificate"),
    ("ALERT_CERTIFICATE_REVOKED", "remote error: tls: revoked certificate"),
    ("ALERT_CERTIFICATE_REQUIRED", "remote error: tls: certificate required"),
    ("ALERT_CERTIFICATE_UNKNOWN", "remote error: tls: unknown certificate"),
    ("ALERT_UNKNOWN_CA", "remote error: tls: unknown certificate authority"),
    ("ALERT_ACCESS_DENIED", "remote error: tls: access denied"),
    ("ALERT_UNRECOGNIZED_NAME", "remote error: tls: unrecognized name"),
    ("ALERT_INTERNAL_ERROR", "remote error: tls: internal error"),
    ("ALERT_NO_APPLICATION_PROTOCOL", "remote error: tls: no application protocol"),
  ]

  /// Nil when the error is not one of TLS.
  static func reason(of error: any Error) -> String? {
    switch error {
    case NIOSSLError.uncleanShutdown: "unexpected EOF"
    case NIOSSLError.handshakeFailed(let error), NIOSSLError.shutdownFailed(let error): text(error)
    case let error as BoringSSLError: text(error)
    case is NIOSSLError, is NIOSSLExtraError: "tls: \(error)"
    default: nil
    }
  }

  static func isUnverified(_ error: any Error) -> Bool { "\(error)".contains("CERTIFICATE_VERIFY_FAILED") }

  private static func text(_ error: BoringSSLError) -> String {
    let said = "\(error)"
    if said.contains("EOF during handshake") { return "EOF" }
    return reasons.first { said.contains($0.word) }?.text ?? "tls: \(said)"
  }
}
