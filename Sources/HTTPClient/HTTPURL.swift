// RFC 3986, as far as http needs it.

/// An http URL, split. Its description never shows a password.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
  public let host: String
  public let port: Int
  /// Path and query, as they are sent; begins with `/`.
  public let target: String
  /// `user:password`, percent-decoded; sent as basic authorization.
  public let userInfo: String?

  /// - Throws: when the text is no URL that this client can ask.
  public init(_ text: String) throws(HTTPURLError) {
    guard let separator = text.firstRange(of: "://") else { throw HTTPURLError("it has no scheme, such as http://") }
    let scheme = text[..<separator.lowerBound].lowercased()
    guard scheme == "http" else {
      throw HTTPURLError(
        scheme == "https" ? "https is not served by this version of pilotfish" : "the scheme is not http")
    }
    let rest = text[separator.upperBound...].prefix { $0 != "#" }
    guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { throw HTTPURLError("it holds a blank or a control character") }
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let target = rest[authority.endIndex...]
    self.target = target.isEmpty ? "/" : target.hasPrefix("?") ? "/\(target)" : String(target)
    let at = authority.lastIndex(of: "@")
    userInfo = at.map { Self.percentDecode(authority[..<$0]) }
    (host, port) = try Self.split(at.map { authority[authority.index(after: $0)...] } ?? authority)
  }

  private init(host: String, port: Int, target: String, userInfo: String?) {
    self.host = host
    self.port = port
    self.target = target
    self.userInfo = userInfo
  }

  private static func split(_ authority: Substring) throws(HTTPURLError) -> (host: String, port: Int) {
    var host = authority
    var port = 80
    if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
      let digits = authority[authority.index(after: colon)...]
      guard let number = Int(digits), (1...65535).contains(number) else { throw HTTPURLError("its port is none") }
      port = number
      host = authority[..<colon]
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    else if host.contains(":") { throw HTTPURLError("an IPv6 address wants brackets") }
    guard !host.isEmpty else { throw HTTPURLError("it has no host") }
    return (host.lowercased(), port)
  }

  private static func percentDecode(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `host:port`, as the Host header has it; without the port when it is 80.
  public var authority: String {
    let host = host.contains(":") ? "[\(host)]" : host
    return port == 80 ? host : "\(host):\(port)"
  }

  /// The URL that a Location header names, seen from this one.
  func redirected(to location: String) throws(HTTPURLError) -> HTTPURL {
    if location.contains("://") { return try HTTPURL(location) }
    if location.hasPrefix("//") { return try HTTPURL("http:" + location) }
    let path = target.prefix { $0 != "?" }
    let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
    let target = location.hasPrefix("/") ? location : folder + location
    return HTTPURL(host: host, port: port, target: String(target.prefix { $0 != "#" }), userInfo: userInfo)
  }

  public var description: String { "http://\(userInfo == nil ? "" : "xxxxx@")\(authority)\(target)" }
}

/// A text that is not a URL which can be asked. It does not show the text: a password may stand in it.
public struct HTTPURLError: Error, CustomStringConvertible, Equatable {
  public let description: String
  init(_ description: String) { self.description = description }
}
