import NIOCore
import NIOPosix
import Secrets
import Testing

@testable import HTTPClient

@Suite(.timeLimit(.minutes(1))) struct ProxyTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 1000)

  private func get(_ url: String, _ options: HTTPClientOptions) async throws -> HTTPResponse {
    try await client.send(HTTPRequest(url: try HTTPURL(url), access: HTTPAccess(options)), limits: limits)
  }

  private static func through(_ url: String, _ options: HTTPClientOptions = trusting()) throws -> HTTPClientOptions {
    var options = options
    options.proxy.url = try HTTPURL(url)
    return options
  }

  @Test func plainHTTPIsAskedOfTheProxy() async throws {
    let proxy = try await FakeServer { _ in [done] }
    let options = try Self.through("http://u:p@127.0.0.1:\(proxy.port)")
    #expect(try await get("http://nowhere.test:9100/metrics?x", options).status == 200)
    #expect(try await get("http://elsewhere.test/", options).status == 200)
    #expect(
      proxy.requests.map(\.text) == [
        "GET http://nowhere.test:9100/metrics?x HTTP/1.1\r\nHost: nowhere.test:9100\r\n"
          + "Proxy-Authorization: Basic dTpw\r\n\r\n",
        "GET http://elsewhere.test/ HTTP/1.1\r\nHost: elsewhere.test\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
      ])
    // Servers behind one proxy share its connections, as far as they are on one event loop.
    #expect(proxy.connections <= 2)
    await proxy.close()
  }

  @Test func aTunnelForTLS() async throws {
    let server = try await FakeServer(tls: try serverTLS()) { _ in [done] }
    let proxy = try await TunnelServer()
    var options = try Self.through("http://u:p@127.0.0.1:\(proxy.port)")
    options.credentials = .bearer(.text(Secret("token")))
    options.proxy.connectHeaders = [.init(name: "X-Tunnel", values: [.text(Secret("v"))])]
    let access = HTTPAccess(options)
    for _ in 0..<2 {
      let request = HTTPRequest(url: try HTTPURL(server.url()), access: access)
      #expect(try await client.send(request, limits: limits).status == 200)
    }
    let place = "127.0.0.1:\(server.port)"
    #expect(
      proxy.heads == [
        "CONNECT \(place) HTTP/1.1\r\nHost: \(place)\r\nProxy-Authorization: Basic dTpw\r\nX-Tunnel: v\r\n\r\n"
      ])
    #expect(server.requests.allSatisfy { $0.text.contains("Bearer token") && !$0.text.contains("Proxy-") })
    await server.close()
    await proxy.close()
  }

  @Test(arguments: [
    ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "Proxy Authentication Required"),
    ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "proxy refused CONNECT with HTTP status 503"),
    ("hello\r\n", "proxy's answer to CONNECT is no HTTP"),
  ])
  func proxiesThatRefuse(_ answer: String, _ reason: String) async throws {
    let proxy = try await FakeServer { _ in [.send(answer)] }
    let error = await #expect(throws: HTTPClientError.self) {
      try await get("https://127.0.0.1:1/", Self.through("http://127.0.0.1:\(proxy.port)"))
    }
    #expect(error?.reason == reason)
    await proxy.close()
  }

  @Test func aProxyThatIsNotThere() async throws {
    let error = await #expect(throws: HTTPClientError.self) {
      try await get("https://host.test/", Self.through("http://u:secret@127.0.0.1:1"))
    }
    #expect(error?.reason == "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused")
  }

  // MARK: - Which proxy

  @Test(arguments: [
    ("", "http://host/", true), ("", "http://127.0.0.1/", true), ("", "http://localhost/", true),
    ("x", "http://127.0.0.1/", false), ("x", "http://localhost:1/", false), ("x", "http://[::1]/", false),
    ("*", "http://host/", false), ("a, * ,b", "http://host/", false),
    ("example.com", "http://example.com/", false), ("example.com", "http://a.b.EXAMPLE.com/", false),
    ("Example.COM", "http://example.com/", false), ("example.com", "http://badexample.com/", true),
    (".example.com", "http://example.com/", true), (".example.com", "http://a.example.com/", false),
    ("*.example.com", "http://a.example.com/", false), ("*.example.com", "http://example.com/", true),
    ("example.com:81", "http://example.com/", true), ("example.com:80", "http://example.com/", false),
    ("example.com:443", "https://example.com/", false), ("example.com:x", "http://example.com/", true),
    ("10.0.0.0/8", "http://10.1.2.3/", false), ("10.0.0.0/8", "http://11.1.2.3/", true),
    ("10.0.0.0/33", "http://10.1.2.3/", true), ("10.0.0.0/-1", "http://10.1.2.3/", true),
    ("10.128.0.0/9", "http://10.127.0.1/", true), ("10.128.0.0/9", "http://10.200.0.1/", false),
    ("0.0.0.0/0", "http://9.9.9.9/", false), ("0.0.0.0/0", "http://host/", true),
    ("fd00::/8", "http://[fd12::1]/", false), ("fd00::/8", "http://[fe80::1]/", true),
    ("fd00::/8", "http://10.0.0.1/", true),
    ("10.0.0.1", "http://10.0.0.1:9/", false), ("10.0.0.1:9", "http://10.0.0.1:9/", false),
    ("10.0.0.1:9", "http://10.0.0.1:8/", true), ("[fd00::1]:9", "http://[fd00::1]:9/", false),
    ("[fd00::1]", "http://[fd00::1]:9/", false), ("fd00::1", "http://[fd00::1]/", false),
    (":80", "http://host/", true), (",,", "http://host/", true), (".", "http://host/", true),
    ("[", "http://host/", true),
  ])
  func exceptions(_ exceptions: String, _ url: String, _ isProxied: Bool) throws {
    var options = HTTPClientOptions.Proxy()
    options.url = try HTTPURL("http://proxy:3128")
    options.exceptions = exceptions
    let rules = try #require(try ProxyRules(options) { _ in nil })
    #expect((rules.proxy(for: try HTTPURL(url)) != nil) == isProxied)
  }

  @Test(
    arguments: [
      (["HTTP_PROXY": "p1:1", "https_proxy": "http://p2"], "http://h/", "p1:1"),
      (["HTTP_PROXY": "p1:1", "https_proxy": "http://p2"], "https://h/", "p2:80"),
      (["http_proxy": "low:1", "HTTP_PROXY": "up:1"], "http://h/", "up:1"),
      (["HTTP_PROXY": "", "http_proxy": "low:1"], "http://h/", "low:1"),
      (["HTTP_PROXY": "p1:1", "no_proxy": "h"], "http://h/", nil),
      (["HTTP_PROXY": "p1:1"], "https://h/", nil), (["HTTP_PROXY": "p1:1"], "http://127.0.0.1/", nil),
      ([:], "http://h/", nil),
    ] as [([String: String], String, String?)])
  func theEnvironment(_ variables: [String: String], _ url: String, _ expected: String?) throws {
    var options = HTTPClientOptions.Proxy()
    options.isFromEnvironment = true
    let proxy = try ProxyRules(options) { variables[$0] }?.proxy(for: try HTTPURL(url))
    #expect(proxy.map { "\($0.host):\($0.port)" } == expected)
  }

  @Test func anEnvironmentThatIsNoProxy() throws {
    var options = HTTPClientOptions.Proxy()
    options.isFromEnvironment = true
    let error = #expect(throws: HTTPAccessError.self) { try ProxyRules(options) { _ in "socks5://u:secret@h" } }
    #expect(error?.description == "the environment's HTTP_PROXY is not the http URL of a proxy")
  }
}
