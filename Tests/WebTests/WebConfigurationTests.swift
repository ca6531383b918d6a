import NIOSSL
import Secrets
import Testing
import YAML

@testable import Web

/// bcrypt of `secret`.
let secretHash = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

private func read(_ yaml: String, file: String = "/etc/pilotfish/web.yml") throws -> WebConfiguration {
  try WebConfiguration(Array(yaml.utf8), file: file)
}

private func faults(_ text: [UInt8]) -> [String] {
  do throws(ConfigurationError) {
    _ = try WebConfiguration(text, file: "w.yml")
    return []
  } catch {
    return error.problems.map { "\($0)" }
  }
}

@Suite struct WebConfigurationTests {
  @Test(arguments: ["", "{}", "tls_server_config:", "tls_server_config: {min_version: TLS13}", "basic_auth_users: {}"])
  func mayAskForNothing(_ yaml: String) throws {
    let configuration = try read(yaml)
    #expect(configuration.tls == nil)
    #expect(configuration.users.isEmpty && configuration.headers.isEmpty && configuration.rateLimit == nil)
  }

  @Test func readsEverything() throws {
    let configuration = try read(
      """
      tls_server_config:
        cert_file: tls/cert.pem
        key_file: /etc/key.pem
        cert: ignored beside cert_file
        client_ca: inline
        client_auth_type: RequireClientCert
        client_allowed_sans: [a.example, 10.0.0.1]
        cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
        curve_preferences: [X25519, CurveP256]
        min_version: TLS10
        max_version: TLS12
        prefer_server_cipher_suites: true
      http_server_config:
        http2: true
        headers: {X-Frame-Options: sameorigin, Strict-Transport-Security: max-age=1}
      basic_auth_users: {alice: "\(secretHash)"}
      rate_limit: {burst: 3, interval: 1m0.5s}
      """)
    let tls = try #require(configuration.tls)
    #expect(tls.certificate == .file("/etc/pilotfish/tls/cert.pem") && tls.key == .file("/etc/key.pem"))
    #expect(tls.clientCA == .text(Secret("inline")) && tls.files == ["/etc/pilotfish/tls/cert.pem", "/etc/key.pem"])
    #expect(tls.clientAuthentication == .requireAny && tls.allowedNames == ["a.example", "10.0.0.1"])
    #expect(tls.cipherSuites == [.TLS_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256])
    #expect(tls.curves == [.x25519, .secp256r1])
    #expect(tls.minimumVersion == .tlsv1 && tls.maximumVersion == .tlsv12)
    #expect(configuration.headers.map(\.name) == ["X-Frame-Options", "Strict-Transport-Security"])
    #expect(configuration.users["alice"]?.cost == 4)
    #expect(configuration.rateLimit == .init(burst: 3, interval: .milliseconds(60_500)))
  }

  @Test(arguments: [("0", nil), ("0s", nil), ("250ms", Duration.milliseconds(250)), ("1000", .microseconds(1))])
  func readsIntervals(text: String, interval: Duration?) throws {
    #expect(try read("rate_limit: {burst: 1, interval: \(text)}").rateLimit?.interval == interval)
  }

  @Test func pathsCountFromTheFilesFolder() throws {
    let yaml = "tls_server_config: {cert_file: c, key_file: k}"
    #expect(try read(yaml, file: "web.yml").tls?.files == ["c", "k"])
    #expect(try read(yaml, file: "/web.yml").tls?.files == ["/c", "/k"])
    #expect(try read(yaml, file: "a/b/web.yml").tls?.files == ["a/b/c", "a/b/k"])
  }

  @Test(arguments: [
    ("tls_config: {}", "1:1: tls_config: unknown key"),
    ("tls_server_config:\n  cert_fil: x", "2:3: tls_server_config.cert_fil: unknown key, did you mean cert_file?"),
    ("tls_server_config: text", "1:20: tls_server_config: expected a mapping"),
    ("tls_server_config: {cert: x}", "1:20: tls_server_config: missing one of key or key_file"),
    ("tls_server_config: {key: x}", "1:20: tls_server_config: missing one of cert or cert_file"),
    ("tls_server_config: {cert: x, key: y, client_ca: z}", "client CA's have been configured without"),
    ("tls_server_config: {cert: x, key: y, client_auth_type: Never}", "invalid ClientAuth: Never"),
    ("tls_server_config: {cert: x, key: y, client_allowed_sans: [a]}", "client_allowed_sans requires client_auth_type"),
    (
      "tls_server_config: {cert: x, key: y, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: []}",
      "client_allowed_sans requires client_auth_type"
    ),
    ("tls_server_config: {cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}", "unknown cipher: TLS_RSA_WITH_RC4_128_SHA"),
    ("tls_server_config: {curve_preferences: [P-256]}", "unknown curve: P-256"),
    ("tls_server_config: {min_version: SSL3}", "1:34: tls_server_config.min_version: unknown TLS version: SSL3"),
    ("tls_server_config: {cert: x, key: y, min_version: TLS13, max_version: TLS12}", "must not be above max_version"),
    ("http_server_config: {http2: maybe}", "expected true or false"),
    ("http_server_config: {headers: {Server: x}}", "this HTTP header can not be configured"),
    ("http_server_config: {headers: {X-Frame-Options: allow}}", "expected one of: deny, sameorigin"),
    ("http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nb: c\"}}", "control characters are not allowed"),
    ("basic_auth_users: [alice]", "expected a mapping"),
    ("rate_limit: {burst: x, interval: 1s}", "expected a whole number"),
    ("rate_limit: {burst: -1, interval: 1s}", "must not be negative"),
    ("rate_limit: {burst: 1, interval: soon}", "expected a duration such as 1s or 100ms"),
    ("rate_limit: {burst: 1, interval: -5}", "expected a duration such as 1s or 100ms"),
    ("{", "YAML: "),
  ])
  func refusesFaults(yaml: String, reason: String) {
    let faults = faults(Array(yaml.utf8))
    #expect(faults.count == 1 && faults[0].contains(reason), "\(faults)")
  }

  @Test(arguments: [
    "basic_auth_users: {alice: hunter2}", "basic_auth_users: {alice: [hunter2]}",
    "tls_server_config: {key: [hunter2]}", "tls_server_config: {key: {hunter2: hunter2}}",
    "tls_server_config: {key: hunter2}",
  ])
  func errorsShowNoSecret(_ yaml: String) {
    let faults = faults(Array(yaml.utf8))
    #expect(!faults.isEmpty && faults.allSatisfy { !$0.contains("hunter2") }, "\(faults)")
  }

  @Test(arguments: [UInt64](1...4))
  func mutatedFilesNeverCrash(_ seed: UInt64) {
    let good = Array(
      """
      tls_server_config: {cert: x, key: y, client_auth_type: RequireAnyClientCert, client_allowed_sans: [a, b]}
      http_server_config: {http2: true, headers: {X-Frame-Options: deny}}
      basic_auth_users: {alice: "\(secretHash)"}
      rate_limit: {burst: 3, interval: 1s}
      """.utf8)
    #expect(faults(good) == [])
    var state = seed
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for _ in 0..<500 {
      var text = good
      for _ in 0...random(4) {
        switch random(3) {
        case 0: text[random(text.count)] = UInt8(random(256))
        case 1: text.remove(at: random(text.count))
        default: text.insert(Array("{}[]:,-'\"\n&*".utf8)[random(12)], at: random(text.count))
        }
      }
      for fault in faults(text) { #expect(!fault.contains("\n")) }
    }
  }
}

@Suite struct PasswordTests {
  @Test(arguments: [
    secretHash, "$2a$" + secretHash.dropFirst(4), "$2y$" + secretHash.dropFirst(4), "$2$" + secretHash.dropFirst(4),
  ])
  func bcryptKnowsThePassword(_ text: String) throws {
    let hash = try #require(BcryptHash(text))
    #expect(hash.matches(Array("secret".utf8)))
    for wrong in ["", "Secret", "secret ", "secret\0", "secret\0x", String(repeating: "x", count: 10_000)] {
      #expect(!hash.matches(Array(wrong.utf8)), "\(wrong.debugDescription)")
    }
  }

  @Test(arguments: [
    "", "$", "$2b$", "$2b$10$", "$1$abc$def", "$2b$03$" + String(repeating: "a", count: 53),
    "$2b$32$" + String(repeating: "a", count: 53), "$2b$10$" + String(repeating: "a", count: 52),
    "$2b$10$" + String(repeating: "a", count: 54), "$2b$10$" + String(repeating: "é", count: 53),
    "$2bb$10$" + String(repeating: "a", count: 53), "$3b$10$" + String(repeating: "a", count: 53),
    "$2b$+9$" + String(repeating: "a", count: 53), secretHash + "\n", secretHash + "$",
  ])
  func noHashIsRefused(_ text: String) { #expect(BcryptHash(text) == nil) }

  @Test(arguments: 4...31) func thereIsADecoyOfEveryCost(_ cost: Int) {
    #expect(BcryptHash.decoy(cost: cost)?.cost == cost)
  }

  @Test(arguments: [
    ("Basic YWxpY2U6c2VjcmV0", "alice", "secret"), ("basic YTo=", "a", ""), ("BASIC Ojo6", "", "::"),
    ("Basic YTpiOmM=", "a", "b:c"),
  ])
  func readsCredentials(header: String, user: String, password: String) {
    #expect(BasicCredentials(header) == BasicCredentials(user: user, password: Array(password.utf8)))
  }

  @Test(arguments: [
    "", "Basic", "Basic ", "Bearer YTpi", "Basic YTpi=", "Basic YTp", "Basic YT=i", "Basic YTo===", "Basic ====",
    "Basic YWI=", "Basic Y Tpi", "Basic ÿÿÿÿ", "Basic  YTpi", "Basic YTp-",
  ])
  func refusesCredentials(_ header: String) { #expect(BasicCredentials(header) == nil) }

  @Test func aBucketOfRequestsFillsAgain() {
    let start = ContinuousClock.now
    var limiter = RateLimiter(.init(burst: 2, interval: .seconds(1)), now: start)
    let times: [(Duration, Bool)] = [
      (.zero, true), (.zero, true), (.zero, false), (.milliseconds(900), false), (.milliseconds(1000), true),
      (.milliseconds(1001), false), (.seconds(100), true), (.seconds(100), true), (.seconds(100), false),
    ]
    #expect(times.map { limiter.allows(now: start + $0.0) } == times.map(\.1))
    var closed = RateLimiter(.init(burst: 0, interval: .seconds(1)), now: start)
    let isAllowed = closed.allows(now: start + .seconds(1000))
    #expect(!isAllowed)
  }
}
