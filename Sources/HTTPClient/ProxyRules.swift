import Bytes
import Glibc
import Secrets

/// A proxy that speaks plain HTTP to us (RFC 9110, sections 3.7 and 9.3.6).
final class ProxyServer: Sendable {
  let host: String
  let port: Int
  let hostKind: HTTPURL.HostKind
  /// The line `Proxy-Authorization` with its end, or nothing.
  let authorization: String

  init(_ url: HTTPURL) {
    host = url.host
    port = url.port
    hostKind = url.hostKind
    authorization =
      url.userinfo.map { "Proxy-Authorization: Basic \(base64("\($0.user):\($0.password)".utf8))\r\n" } ?? ""
  }
}

/// Which proxy a URL is asked through. The exceptions are those of Go's golang.org/x/net/http/httpproxy, which Prometheus
/// uses: names and their subdomains, addresses, networks, each with or without a port; `*` for all.
struct ProxyRules: Sendable {
  private var plain: ProxyServer?
  private var secure: ProxyServer?
  private var exceptions = Exceptions("")
  /// Without `no_proxy`, Go sends even what is meant for this host through a `proxy_url`.
  private var hasExceptions = false

  /// Nil when there is no proxy.
  ///
  /// - Parameter environment: gives the variables of the environment.
  /// - Throws: when a variable is no URL of a proxy.
  init?(_ options: HTTPClientOptions.Proxy, environment: (String) -> String?) throws(HTTPAccessError) {
    if let url = options.url {
      plain = ProxyServer(url)
      secure = plain
      exceptions = Exceptions(options.exceptions)
      hasExceptions = !options.exceptions.isEmpty
    } else if options.isFromEnvironment {
      func variable(_ name: String) -> String? {
        [name, name.lowercased()].lazy.compactMap(environment).first { !$0.isEmpty }
      }
      plain = try variable("HTTP_PROXY").map { text throws(HTTPAccessError) in try Self.proxy(text, "HTTP_PROXY") }
      secure = try variable("HTTPS_PROXY").map { text throws(HTTPAccessError) in try Self.proxy(text, "HTTPS_PROXY") }
      exceptions = Exceptions(variable("NO_PROXY") ?? "")
      hasExceptions = true
    }
    if plain == nil, secure == nil { return nil }
  }

  func proxy(for url: HTTPURL) -> ProxyServer? {
    if hasExceptions, exceptions.contain(url) { return nil }
    return url.isSecure ? secure : plain
  }

  /// A variable may be a URL, or just a host and port.
  private static func proxy(_ text: String, _ name: String) throws(HTTPAccessError) -> ProxyServer {
    guard let url = try? HTTPURL(text.contains("://") ? text : "http://\(text)"), !url.isSecure else {
      throw HTTPAccessError("the environment's \(name) is not the http URL of a proxy")
    }
    return ProxyServer(url)
  }
}

/// Who is asked directly.
private struct Exceptions: Sendable {
  private enum Rule: Sendable {
    case all
    case network(IPAddress, bits: Int)
    case address(IPAddress, port: Int?)
    /// ".example.com", and whether the name without the dot counts as well.
    case domain(suffix: String, withItself: Bool, port: Int?)
  }

  private let rules: [Rule]

  init(_ text: String) {
    rules = text.lowercased().split(separator: ",").compactMap { Exceptions.rule(String($0.trimmingBlanks)) }
  }

  func contain(_ url: HTTPURL) -> Bool {
    if url.host == "localhost" { return true }
    let address = IPAddress(url.host)
    if address?.isLoopback == true { return true }
    return rules.contains { rule in
      switch rule {
      case .all: true
      case .network(let network, let bits): address?.hasPrefix(of: network, bits) == true
      case .address(let excepted, let port): address == excepted && (port ?? url.port) == url.port
      case .domain(let suffix, let withItself, let port):
        (url.host.hasSuffix(suffix) || withItself && url.host == suffix.dropFirst()) && (port ?? url.port) == url.port
      }
    }
  }

  private static func rule(_ text: String) -> Rule? {
    if text.isEmpty { return nil }
    if text == "*" { return .all }
    if let slash = text.lastIndex(of: "/"), let network = IPAddress(String(text[..<slash])),
      let bits = Int(text[text.index(after: slash)...]), 0...(network.bytes.count * 8) ~= bits
    {
      return .network(network, bits: bits)
    }
    var host = text
    var port: Int?
    if IPAddress(text) == nil, !text.hasSuffix("]"), let colon = text.lastIndex(of: ":") {
      host = String(text[..<colon])
      port = Int(text[text.index(after: colon)...])
      // A port that is no number matches none.
      if port == nil { return nil }
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    if let address = IPAddress(host) { return .address(address, port: port) }
    if host.hasPrefix("*.") { host.removeFirst() }
    if host.isEmpty { return nil }
    let isSuffix = host.hasPrefix(".")
    return .domain(suffix: isSuffix ? host : ".\(host)", withItself: !isSuffix, port: port)
  }
}

/// An address as its 4 or 16 bytes.
struct IPAddress: Equatable {
  let bytes: [UInt8]

  /// Nil when the text is no address.
  init?(_ text: String) {
    var v4 = in_addr()
    var v6 = in6_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      bytes = withUnsafeBytes(of: v4) { Array($0) }
    } else if inet_pton(AF_INET6, text, &v6) == 1 {
      bytes = withUnsafeBytes(of: v6) { Array($0) }
    } else {
      return nil
    }
  }

  var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
  }

  func hasPrefix(of network: IPAddress, _ bits: Int) -> Bool {
    guard bytes.count == network.bytes.count else { return false }
    return (0..<bits).allSatisfy { bit in
      let difference = bytes[bit / 8] ^ network.bytes[bit / 8]
      return difference << UInt8(bit % 8) & 0x80 == 0
    }
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
