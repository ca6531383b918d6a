// The web configuration file of Prometheus' exporters
// (https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md).

import Bytes
import Flags
import NIOSSL
import Secrets
import YAML

/// A web configuration file, read and checked.
struct WebConfiguration: Sendable {
  /// Nil: plain HTTP.
  var tls: TLS?
  /// What every answer carries besides its own headers.
  var headers: [(name: String, value: String)] = []
  /// Who may ask; nobody is named when everybody may.
  var users: [String: BcryptHash] = [:]
  var rateLimit: RateLimit?

  /// The `tls_server_config` block.
  struct TLS: Sendable {
    var certificate: SecretSource
    var key: SecretSource
    var clientCA: SecretSource?
    var clientAuthentication = ClientAuthentication.none
    /// The names of which a client's certificate must have one; nil: any.
    var allowedNames: Set<String>?
    /// Empty: those of the library.
    var cipherSuites: [NIOTLSCipher] = []
    /// Empty: those of the library.
    var curves: [NIOTLSCurve] = []
    var minimumVersion = TLSVersion.tlsv12
    var maximumVersion = TLSVersion.tlsv13

    /// The files that this names.
    var files: [String] {
      [certificate, key, clientCA].compactMap { $0?.path }
    }
  }

  /// What is wanted of a client's certificate.
  enum ClientAuthentication: String, Sendable {
    case none = "NoClientCert"
    case request = "RequestClientCert"
    case requireAny = "RequireAnyClientCert"
    case verifyIfGiven = "VerifyClientCertIfGiven"
    case requireAndVerify = "RequireAndVerifyClientCert"
  }

  /// The `rate_limit` block: a bucket of `burst` requests, into which one more falls at each `interval`.
  struct RateLimit: Sendable, Equatable {
    var burst: Int
    var interval: Duration
  }
}

// MARK: - Reading

extension WebConfiguration {
  static let sizeLimit = 1 << 20

  private static let keys = BlockKeys(
    served: ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"])
  private static let tlsKeys = BlockKeys(
    served: [
      "cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "client_allowed_sans",
      "cipher_suites", "curve_preferences", "min_version", "max_version", "prefer_server_cipher_suites",
    ])
  private static let httpKeys = BlockKeys(served: ["http2", "headers"])
  private static let rateKeys = BlockKeys(served: ["burst", "interval"])

  /// Reads a configuration.
  ///
  /// - Parameter file: the path, by which errors name the text, and from whose folder the paths in it count.
  /// - Throws: with all faults of the text. No secret is in them.
  init(_ text: [UInt8], file: String) throws(ConfigurationError) {
    self = try BlockReader.read(text, file: file, Self.keys) { Self($0, folder: folder(of: file)) }
  }

  private init(_ top: BlockReader, folder: String) {
    tls = top.block("tls_server_config", Self.tlsKeys).flatMap { TLS($0, folder: folder) }
    if let http = top.block("http_server_config", Self.httpKeys) {
      // Only HTTP/1.1 is spoken; the key is read for its form.
      _ = http.bool("http2")
      headers = Self.headers(http)
    }
    users = Self.users(top)
    if let rate = top.block("rate_limit", Self.rateKeys) { rateLimit = RateLimit(rate) }
  }

  /// The headers that may be set, with the values that they may have; none: any.
  private static let settableHeaders: [String: [String]] = [
    "Strict-Transport-Security": [],
    "X-Content-Type-Options": ["nosniff"],
    "X-Frame-Options": ["deny", "sameorigin"],
    "X-XSS-Protection": [],
    "Content-Security-Policy": [],
  ]

  private static func headers(_ http: BlockReader) -> [(name: String, value: String)] {
    http.texts("headers").map { header in
      func refuse(_ reason: String) {
        http.problems.add(header.position, http.path(of: "headers", header.key), reason)
      }
      if let values = settableHeaders[header.key] {
        if !values.isEmpty, !values.contains(header.text) {
          refuse("invalid value, expected one of: \(values.joined(separator: ", "))")
        } else if header.text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7f }) {
          refuse("control characters are not allowed")
        }
      } else {
        refuse("this HTTP header can not be configured")
      }
      return (header.key, header.text)
    }
  }

  private static func users(_ top: BlockReader) -> [String: BcryptHash] {
    var users: [String: BcryptHash] = [:]
    for user in top.texts("basic_auth_users") {
      if let hash = BcryptHash(user.text) {
        users[user.key] = hash
      } else {
        top.problems.add(
          user.position, top.path(of: "basic_auth_users", user.key),
          "the value is no bcrypt hash; htpasswd -nBC 10 \"\" makes one")
      }
    }
    return users
  }
}

extension WebConfiguration.RateLimit {
  /// Nil when there is no interval, which is no limit.
  fileprivate init?(_ block: BlockReader) {
    let burst = block.integer("burst") ?? 0
    if burst < 0 { block.refuse("burst", "must not be negative") }
    var interval = Duration.zero
    if let text = block.string("interval") {
      // A bare number is Go's: nanoseconds.
      if let parsed = Int64(text).map({ Duration.nanoseconds($0) }) ?? (try? Duration.parse(text)), parsed >= .zero {
        interval = parsed
      } else {
        block.refuse("interval", "expected a duration such as 1s or 100ms")
      }
    }
    guard interval > .zero else { return nil }
    self.init(burst: burst, interval: interval)
  }
}

extension WebConfiguration.TLS {
  /// Nil when the block asks for no TLS, and when it is faulty.
  fileprivate init?(_ block: BlockReader, folder: String) {
    func source(_ key: String) -> SecretSource? {
      if let path = block.string(key + "_file"), !path.isEmpty {
        return .file(path.hasPrefix("/") ? path : folder + path)
      }
      return block.string(key).flatMap { $0.isEmpty ? nil : .text(Secret($0)) }
    }
    let (certificate, key) = (source("cert"), source("key"))
    let authentication = block.string("client_auth_type") ?? ""
    clientCA = source("client_ca")
    cipherSuites = block.choices("cipher_suites", "unknown cipher", TLSNames.cipherSuites)
    curves = block.choices("curve_preferences", "unknown curve", TLSNames.curves)
    minimumVersion = block.choice("min_version", "unknown TLS version", TLSNames.versions) ?? .tlsv12
    maximumVersion = block.choice("max_version", "unknown TLS version", TLSNames.versions) ?? .tlsv13
    // The server's order always counts; the key is read for its form.
    _ = block.bool("prefer_server_cipher_suites")
    if block.has("client_allowed_sans") {
      allowedNames = Set(block.strings("client_allowed_sans") { _ in nil })
    }
    guard certificate != nil || key != nil || clientCA != nil || !authentication.isEmpty else { return nil }

    switch authentication {
    case "": break
    case "RequireClientCert": clientAuthentication = .requireAny
    default:
      if let known = WebConfiguration.ClientAuthentication(rawValue: authentication) {
        clientAuthentication = known
      } else {
        block.refuse("client_auth_type", "invalid ClientAuth: \(shown(authentication))")
      }
    }
    if clientCA != nil, clientAuthentication == .none {
      let key = block.has("client_ca_file") ? "client_ca_file" : "client_ca"
      block.refuse(key, "client CA's have been configured without a Client Auth Policy")
    }
    if allowedNames != nil, ![.requireAny, .requireAndVerify].contains(clientAuthentication) {
      block.refuse(
        "client_allowed_sans",
        "client_allowed_sans requires client_auth_type to be one of RequireAnyClientCert or RequireAndVerifyClientCert")
    }
    let order: [TLSVersion] = [.tlsv1, .tlsv11, .tlsv12, .tlsv13]
    if order.firstIndex(of: minimumVersion) ?? 0 > order.firstIndex(of: maximumVersion) ?? 0 {
      block.refuse("min_version", "must not be above max_version")
    }
    if certificate == nil { block.problems.add(block.position, block.path, "missing one of cert or cert_file") }
    if key == nil { block.problems.add(block.position, block.path, "missing one of key or key_file") }
    guard let certificate, let key else { return nil }
    self.certificate = certificate
    self.key = key
  }
}

extension BlockReader {
  /// A word of a table.
  fileprivate func choice<Value>(_ key: String, _ fault: String, _ table: [String: Value]) -> Value? {
    guard let text = string(key) else { return nil }
    if table[text] == nil { refuse(key, "\(fault): \(shown(text))") }
    return table[text]
  }

  /// A list of words of a table.
  fileprivate func choices<Value>(_ key: String, _ fault: String, _ table: [String: Value]) -> [Value] {
    strings(key) { table[$0] == nil ? "\(fault): \(shown($0))" : nil }.compactMap { table[$0] }
  }
}

/// The folder of a file, with the slash at its end; empty for the working directory.
private func folder(of file: String) -> String {
  String(file[..<(file.lastIndex(of: "/").map { file.index(after: $0) } ?? file.startIndex)])
}
