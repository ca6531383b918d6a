import Glibc
import NIOCore
import NIOPosix

/// Why a request got no answer. Reads as Go's net/http does, because that is what operators search for:
/// `Get "http://host:9100/metrics": context deadline exceeded`.
public enum HTTPClientError: Error, Equatable, CustomStringConvertible {
  /// What was tried: fit for logs, user and password are masked.
  public struct Attempt: Sendable, Equatable {
    public let method: String
    public let url: String

    init(_ request: HTTPRequest) {
      method = request.method
      url = request.url.description
    }
  }

  /// The request itself cannot be sent.
  case invalidRequest(Attempt, reason: String)
  /// `HTTPLimits.timeout` passed.
  case timeout(Attempt)
  /// The task that waited for the answer was cancelled.
  case cancelled(Attempt)
  /// No connection came about: the name is unknown, the connection refused, ….
  case connect(Attempt, reason: String)
  /// The connection broke, or ended before the whole answer was there.
  case connection(Attempt, reason: String)
  /// What the server sent is no HTTP, or its gzip is damaged.
  case malformedResponse(Attempt, reason: String)
  /// The body is longer than `HTTPLimits.bodyBytes`, the `limit`.
  case bodyTooLarge(Attempt, status: Int, limit: Int)
  /// A redirect leads nowhere, or there are too many.
  case redirect(Attempt, reason: String)
  /// `HTTPClient.shutdown()` was called.
  case shutdown(Attempt)

  public var attempt: Attempt {
    switch self {
    case .timeout(let attempt), .cancelled(let attempt), .shutdown(let attempt), .bodyTooLarge(let attempt, _, _),
      .invalidRequest(let attempt, _), .connect(let attempt, _), .connection(let attempt, _),
      .malformedResponse(let attempt, _), .redirect(let attempt, _):
      attempt
    }
  }

  /// The error without what was tried.
  public var reason: String {
    switch self {
    case .timeout: "context deadline exceeded"
    case .cancelled: "context canceled"
    case .shutdown: "the HTTP client is shut down"
    case .bodyTooLarge(_, _, let limit): "body size limit exceeded: more than \(limit) bytes"
    case .invalidRequest(_, let reason), .connect(_, let reason), .connection(_, let reason),
      .malformedResponse(_, let reason), .redirect(_, let reason):
      reason
    }
  }

  public var description: String {
    let method = attempt.method.prefix(1).uppercased() + attempt.method.dropFirst().lowercased()
    return "\(method) \"\(attempt.url)\": \(reason)"
  }
}

// MARK: - From the errors of the layers below

extension HTTPClientError {
  /// `error`: why NIO could not connect.
  init(connecting attempt: Attempt, to host: String, _ port: Int, _ error: any Error) {
    guard let error = error as? NIOConnectionError else {
      self.init(dialling: attempt, host, port, error)
      return
    }
    if let failure = error.connectionErrors.last {
      self.init(
        dialling: attempt, failure.target.ipAddress ?? host, failure.target.port ?? port, failure.error)
      return
    }
    let isTemporary = (error.dnsAError as? NameResolver.Failure)?.isTemporary == true
    let reason = isTemporary ? "temporary failure in name resolution" : "no such host"
    self = .connect(attempt, reason: "dial tcp: lookup \(host): \(reason)")
  }

  private init(dialling attempt: Attempt, _ host: String, _ port: Int, _ error: any Error) {
    let address = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    switch error {
    case ChannelError.connectTimeout:
      self = .timeout(attempt)
    case let error as IOError:
      self = .connect(attempt, reason: "dial tcp \(address): connect: \(reasonText(error.errnoCode))")
    default:
      self = .connect(attempt, reason: "dial tcp \(address): \(error)")
    }
  }

  /// `error`: what ended a connection.
  init(exchanging attempt: Attempt, _ error: any Error) {
    self = .connection(attempt, reason: HTTPClientError.reason(of: error))
  }

  /// Why a connection ended.
  static func reason(of error: any Error) -> String {
    switch error {
    case let error as IOError: reasonText(error.errnoCode)
    case is ChannelError: "EOF"
    default: TLSErrors.reason(of: error) ?? "\(error)"
    }
  }

  /// A failure to connect, with more in front of its reason.
  func prefixed(_ prefix: String) -> HTTPClientError {
    guard case .connect(let attempt, let reason) = self else { return self }
    return .connect(attempt, reason: prefix + reason)
  }

  /// `limit`: of the body, in bytes.
  init(answering attempt: Attempt, _ fault: ResponseFault, limit: Int) {
    switch fault {
    case .malformed(let reason): self = .malformedResponse(attempt, reason: reason)
    case .truncated: self = .connection(attempt, reason: "unexpected EOF")
    case .tooLarge(let status): self = .bodyTooLarge(attempt, status: status, limit: limit)
    }
  }
}

/// The kernel's reason in Go's words, which are libc's in lower case: "connection refused".
private func reasonText(_ errno: CInt) -> String {
  strerror(errno).map { String(cString: $0).lowercased() } ?? "errno \(errno)"
}
