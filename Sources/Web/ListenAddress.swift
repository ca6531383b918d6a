/// An address to listen on, as Go's net.Listen takes it: `:9100` is every interface, `127.0.0.1:0` any free port.
public struct ListenAddress: Sendable, CustomStringConvertible {
  /// Empty: every interface.
  public let host: String
  public let port: Int
  public let description: String

  public init(_ text: String) throws(WebServerError) {
    description = text
    guard let colon = text.lastIndex(of: ":") else {
      throw .listen(text, "address \(text): missing port in address")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw .listen(text, "address \(text): too many colons in address")
    }
    let digits = text[text.index(after: colon)...]
    guard let port = Int(digits), (0...65535).contains(port) else {
      throw .listen(text, "address \(digits): invalid port")
    }
    self.host = String(host)
    self.port = port
  }
}

/// A server that cannot start.
public enum WebServerError: Error, CustomStringConvertible {
  /// The address, and why it cannot be listened on.
  case listen(String, String)

  public var description: String {
    switch self {
    case .listen(let address, let reason): "listen tcp \(address): \(reason)"
    }
  }
}
