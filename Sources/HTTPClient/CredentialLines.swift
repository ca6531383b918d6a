import Bytes
import NIOCore
import Secrets
import YAML

/// The header lines that `HTTPClientOptions` adds to a request, as their sources are now.
struct CredentialLines: Sendable {
  /// Ready to be sent behind a request's own lines.
  private struct Ends: Sendable {
    /// With the end of the head.
    let closed: ByteBuffer
    /// With the beginning of the line of the length, which is the last.
    let open: ByteBuffer

    init(_ lines: String) {
      closed = ByteBuffer(string: lines + "\r\n")
      open = ByteBuffer(string: lines + "Content-Length: ")
    }
  }

  private let authorized: Ends
  /// For requests that say themselves who asks.
  private let others: Ends

  private init(authorization: String?, headers: String) {
    authorized = Ends((authorization.map { "Authorization: \($0)\r\n" } ?? "") + headers)
    others = Ends(headers)
  }

  func bytes(authorized isAuthorized: Bool, hasLength: Bool) -> ByteBuffer {
    let ends = isAuthorized ? authorized : others
    return hasLength ? ends.open : ends.closed
  }

  /// What the sources of the options hold.
  struct Material: Sendable {
    /// Nil: none, or one that the token's server gives.
    private let authorization: String?
    private let headers: String
    /// `oauth2`'s; else empty.
    let clientSecret: Secret

    /// - Throws: when a file cannot be read, or holds what no header can.
    init(_ options: HTTPClientOptions) throws {
      var secret = ""
      switch options.credentials {
      case .none: authorization = nil
      case .basic(let user, let password):
        let user = try Material.text(user, "unable to read basic auth username")
        let password = try Material.text(password, "unable to read basic auth password")
        authorization = "Basic \(base64("\(user):\(password)".utf8))"
      case .authorization(let type, let credentials):
        let failure = "unable to read authorization credentials"
        let credentials = try credentials.map { try Material.text($0, failure) } ?? ""
        authorization = try Material.checked("\(type) \(credentials)", "authorization credentials")
      case .oauth2(let oauth2):
        authorization = nil
        secret = try oauth2.clientSecret.map { try Material.text($0, "unable to read oauth2 client secret") } ?? ""
      }
      clientSecret = Secret(secret)
      headers = try Material.lines(of: options.headers)
    }

    /// - Parameter token: in place of an authorization of its own.
    func lines(token: String? = nil) -> CredentialLines {
      CredentialLines(authorization: token ?? authorization, headers: headers)
    }

    /// Header lines with their ends.
    static func lines(of headers: [HTTPClientOptions.Header]) throws -> String {
      try headers.flatMap { header in
        try header.values.map { source in
          let value = try text(source, "unable to read the values of header \"\(header.name)\"")
          return "\(header.name): \(try checked(value, "header \"\(header.name)\""))\r\n"
        }
      }.joined()
    }

    private static func text(_ source: SecretSource, _ failure: String) throws(HTTPAccessError) -> String {
      do throws(FileFault) {
        return try source.trimmedText()
      } catch {
        throw HTTPAccessError("\(failure): unable to read file \(source.path ?? ""): \(error)")
      }
    }

    /// Nothing gets in that would end a line.
    private static func checked(_ value: String, _ name: String) throws(HTTPAccessError) -> String {
      guard value.utf8.span.bytes.isFieldValue else {
        throw HTTPAccessError("net/http: invalid header field value for \(name)")
      }
      return value
    }
  }
}
