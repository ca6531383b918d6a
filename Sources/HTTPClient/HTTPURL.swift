import Bytes
import Glibc

/// An http or https URL (RFC 3986, RFC 9110 section 4.2), kept as a request needs it.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
  /// Whether the host must be looked up, or is an address already.
  public enum HostKind: Sendable, Hashable { case name, ipv4, ipv6 }

  /// In lower case; an IPv6 address is without its brackets.
  public let host: String
  public let hostKind: HostKind
  public let port: Int
  /// Path and query as they are sent: they start with "/", and hold printable ASCII only.
  public private(set) var target: String
  /// What stood before "@", decoded; it is never printed.
  let userinfo: (user: String, password: String)?

  /// Whether it is asked by TLS.
  public let isSecure: Bool

  public var scheme: String { isSecure ? "https" : "http" }

  /// What the header `Host` says: the port only when it is not the scheme's own.
  public var authority: String {
    port == HTTPURL.port(isSecure: isSecure) ? bracketedHost : "\(bracketedHost):\(port)"
  }

  /// Host and port, the port always.
  var hostAndPort: String { "\(bracketedHost):\(port)" }

  private var bracketedHost: String { hostKind == .ipv6 ? "[\(host)]" : host }

  /// The URL with `xxxxx` in place of user and password: fit for logs and errors.
  public var description: String { "\(scheme)://\(userinfo == nil ? "" : "xxxxx@")\(authority)\(target)" }

  /// A URL as a page may show it: one with user and password as `description` has it, others as they are.
  public static func masked(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "@")) else { return text }
    do throws(HTTPURLError) { return try HTTPURL(text).description } catch { return text }
  }

  /// An absolute URL. A fragment is dropped; blanks and bytes beyond ASCII in path and query are percent-encoded.
  public init(_ text: String) throws(HTTPURLError) {
    let bytes = Array(text.utf8)
    guard !bytes.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { throw HTTPURLError(.controlCharacter) }
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[..<colon].isScheme,
      bytes[(colon + 1)...].starts(with: "//".utf8)
    else { throw HTTPURLError(.noScheme) }
    let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
    guard scheme == "http" || scheme == "https" else { throw HTTPURLError(.scheme(scheme)) }
    isSecure = scheme == "https"

    let rest = bytes[(colon + 3)...]
    let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
    var authority = rest[..<end]
    if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
      userinfo = try HTTPURL.userinfo(authority[..<at])
      authority = authority[(at + 1)...]
    } else {
      userinfo = nil
    }
    (host, hostKind, port) = try HTTPURL.hostAndPort(authority, HTTPURL.port(isSecure: isSecure))
    target = HTTPURL.target(rest[end...])
  }

  /// What a `Location` means that came with the answer for this URL: an absolute URL, or one relative to this.
  /// User and password stay with relative ones only.
  public func resolving(_ location: String) throws(HTTPURLError) -> HTTPURL {
    let bytes = Array(location.utf8)
    guard !bytes.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { throw HTTPURLError(.controlCharacter) }
    if let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[..<colon].isScheme { return try HTTPURL(location) }
    if bytes.starts(with: "//".utf8) { return try HTTPURL("\(scheme):\(location)") }
    var result = self
    let path = target.utf8.prefix { $0 != UInt8(ascii: "?") }
    switch bytes.first {
    case nil, UInt8(ascii: "#"): break
    case UInt8(ascii: "/"): result.target = HTTPURL.target(bytes[...]).withoutDotSegments
    case UInt8(ascii: "?"): result.target = HTTPURL.target(Array(path) + bytes)
    default:
      let folder = path.prefix((path.lastIndexOfSlash ?? 0) + 1)
      result.target = HTTPURL.target(Array(folder) + bytes).withoutDotSegments
    }
    return result
  }

  public static func == (a: HTTPURL, b: HTTPURL) -> Bool {
    a.host == b.host && a.port == b.port && a.isSecure == b.isSecure && a.target == b.target
      && a.userinfo?.user == b.userinfo?.user
      && a.userinfo?.password == b.userinfo?.password
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(host)
    hasher.combine(port)
    hasher.combine(target)
  }
}

/// Why a text is not a URL that can be requested. Never holds the text: a password may be in it.
public struct HTTPURLError: Error, Equatable, CustomStringConvertible {
  enum Reason: Equatable {
    case controlCharacter, noScheme, noHost
    case scheme(String)
    case host, port, escape
  }

  let reason: Reason
  init(_ reason: Reason) { self.reason = reason }

  public var description: String {
    switch reason {
    case .controlCharacter: "invalid URL: invalid control character in URL"
    case .noScheme: "invalid URL: it does not start with \"http://\" or \"https://\""
    case .scheme(let scheme): "invalid URL: unsupported protocol scheme \"\(scheme)\"; use http or https"
    case .noHost: "invalid URL: no host in request URL"
    case .host: "invalid URL: invalid character in host name"
    case .port: "invalid URL: invalid port after host; it is a number from 1 to 65535"
    case .escape: "invalid URL: invalid URL escape in user or password"
    }
  }
}

// MARK: - Parts of the text

extension HTTPURL {
  private static func port(isSecure: Bool) -> Int { isSecure ? 443 : 80 }

  private static func hostAndPort(
    _ authority: ArraySlice<UInt8>, _ schemePort: Int
  ) throws(HTTPURLError) -> (host: String, kind: HostKind, port: Int) {
    let host: ArraySlice<UInt8>
    var rest: ArraySlice<UInt8>
    let isBracketed = authority.first == UInt8(ascii: "[")
    if isBracketed {
      guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { throw HTTPURLError(.host) }
      host = authority[(authority.startIndex + 1)..<close]
      rest = authority[(close + 1)...]
      guard rest.isEmpty || rest.first == UInt8(ascii: ":") else { throw HTTPURLError(.port) }
    } else {
      let colon = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
      host = authority[..<colon]
      rest = authority[colon...]
    }
    guard !host.isEmpty else { throw HTTPURLError(.noHost) }
    rest = rest.dropFirst()
    var port = schemePort
    if !rest.isEmpty {
      guard rest.allSatisfy(\.isDigit), let number = UInt16(String(decoding: rest, as: UTF8.self)),
        number > 0
      else { throw HTTPURLError(.port) }
      port = Int(number)
    }
    let name = String(decoding: host, as: UTF8.self)
    if isBracketed {
      guard name.isIPv6Address else { throw HTTPURLError(.host) }
      return (name.lowercased(), .ipv6, port)
    }
    guard host.count <= 253, host.allSatisfy(\.isHostNameByte) else { throw HTTPURLError(.host) }
    return (name.lowercased(), name.isIPv4Address ? .ipv4 : .name, port)
  }

  private static func userinfo(_ bytes: ArraySlice<UInt8>) throws(HTTPURLError) -> (user: String, password: String) {
    let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
    guard let user = bytes[..<colon].percentDecoded, let password = bytes[colon...].dropFirst().percentDecoded else {
      throw HTTPURLError(.escape)
    }
    return (user, password)
  }

  /// Path and query, without the fragment.
  private static func target(_ bytes: some Collection<UInt8>) -> String {
    var target: [UInt8] = bytes.first == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]
    for byte in bytes.prefix(while: { $0 != UInt8(ascii: "#") }) {
      if byte <= 0x20 || byte >= 0x7f {
        target += [UInt8(ascii: "%"), (byte >> 4).upperHexDigit, (byte & 15).upperHexDigit]
      } else {
        target.append(byte)
      }
    }
    return String(decoding: target, as: UTF8.self)
  }
}

extension String {
  var isIPv4Address: Bool {
    var address = in_addr()
    return inet_pton(AF_INET, self, &address) == 1
  }

  var isIPv6Address: Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, self, &address) == 1
  }

  /// RFC 3986 section 5.2.4, on the path before a query.
  fileprivate var withoutDotSegments: String {
    let path = prefix { $0 != "?" }
    var segments: [Substring] = []
    let all = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    for (offset, segment) in all.enumerated() {
      let isLast = offset == all.count - 1
      switch segment {
      case ".": if isLast { segments.append("") }
      case "..":
        _ = segments.popLast()
        if isLast { segments.append("") }
      default: segments.append(segment)
      }
    }
    return "/" + segments.joined(separator: "/") + dropFirst(path.count)
  }
}

extension Collection where Element == UInt8 {
  fileprivate var isScheme: Bool {
    guard let first, first.isLetter else { return false }
    return allSatisfy { $0.isLetter || $0.isDigit || "+-.".utf8.contains($0) }
  }

  fileprivate var lastIndexOfSlash: Int? {
    var last: Int?
    for (offset, byte) in self.enumerated() where byte == UInt8(ascii: "/") { last = offset }
    return last
  }

  /// Nil when a "%" is not followed by two hexadecimal digits.
  fileprivate var percentDecoded: String? {
    var decoded: [UInt8] = []
    var bytes = makeIterator()
    while let byte = bytes.next() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let high = bytes.next()?.hexDigit, let low = bytes.next()?.hexDigit else { return nil }
      decoded.append(high << 4 | low)
    }
    return String(decoding: decoded, as: UTF8.self)
  }
}

extension UInt8 {
  /// RFC 3986's unreserved and sub-delims, but for what no resolver takes; "%" (a zone, an encoded name) is refused.
  fileprivate var isHostNameByte: Bool {
    isLetter || isDigit || "-._~".utf8.contains(self)
  }
  var upperHexDigit: UInt8 { self < 10 ? self + 0x30 : self - 10 + 0x41 }
}
