import NIOCore
import NIOPosix
import Secrets
import TestSupport
import Testing

@testable import HTTPClient

/// What requests say of who asks, and to whom.
@Suite(.timeLimit(.minutes(1))) struct CredentialTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 1000)

  private func send(
    _ url: String, _ access: HTTPAccess, method: String = "GET", headers: [(name: String, value: String)] = []
  ) async throws -> HTTPResponse {
    try await client.send(
      HTTPRequest(method: method, url: try HTTPURL(url), headers: headers, access: access), limits: limits)
  }

  private static func options(_ credentials: HTTPClientOptions.Credentials) -> HTTPClientOptions {
    var options = HTTPClientOptions()
    options.credentials = credentials
    return options
  }

  private static func text(_ value: String) -> SecretSource { .text(Secret(value)) }

  @Test(arguments: [
    (
      HTTPClientOptions.Credentials.basic(user: text("Aladdin"), password: text("open sesame")),
      "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    ),
    (.basic(user: text(""), password: text("")), "Basic Og=="),
    (.bearer(text("abc")), "Bearer abc"),
    (.authorization(type: "Token", credentials: text("a b")), "Token a b"),
    (.authorization(type: "Custom", credentials: nil), "Custom "),
  ])
  func theAuthorizationOnTheWire(_ credentials: HTTPClientOptions.Credentials, _ value: String) async throws {
    let server = try await FakeServer { _ in [done] }
    var options = Self.options(credentials)
    options.headers = [.init(name: "X-Scope", values: [Self.text("a"), Self.text("b")])]
    let access = HTTPAccess(options)
    #expect(try await send(server.url(), access, headers: [("Accept", "x")]).status == 200)
    #expect(try await send(server.url(), access, method: "POST").status == 200)
    let tail = "Authorization: \(value)\r\nX-Scope: a\r\nX-Scope: b\r\n"
    let host = "Host: 127.0.0.1:\(server.port)\r\n"
    #expect(
      server.requests.map(\.text) == [
        "GET /metrics HTTP/1.1\r\n\(host)Accept: x\r\n\(tail)\r\n",
        "POST /metrics HTTP/1.1\r\n\(host)\(tail)Content-Length: 0\r\n\r\n",
      ])
    #expect(!"\(options)".contains("sesame") && !"\(access.options)".contains("abc"))
    await server.close()
  }

  @Test func whatTheRequestSaysItselfStands() async throws {
    let server = try await FakeServer { _ in [done] }
    let access = HTTPAccess(Self.options(.bearer(Self.text("access"))))
    _ = try await send(server.url(), access, headers: [("authorization", "Bearer own")])
    _ = try await send(server.url(userinfo: "u:p@"), access)
    #expect(server.requests.allSatisfy { !$0.text.contains("access") })
    #expect(server.requests[0].text.contains("Bearer own"))
    #expect(server.requests[1].text.contains("Authorization: Basic dTpw"))
    await server.close()
  }

  @Test func filesThatChange() async throws {
    let folder = TemporaryDirectory()
    let server = try await FakeServer { _ in [done] }
    var options = Self.options(.bearer(.file(folder.write("token", "first\n"))))
    options.headers = [.init(name: "X-Key", values: [.file(folder.write("key", " k1 \n"))])]
    let access = HTTPAccess(options)
    let request = PreparedRequest(HTTPRequest(url: try HTTPURL(server.url()), access: access))
    func send() async throws(HTTPClientError) -> Int { try await client.send(request.request, limits: limits).status }
    #expect(try await send() == 200)
    folder.write("token", "second")
    access.lookSoon()
    #expect(try await send() == 200)
    folder.write("key", "k2\r\nX-Evil: 1")
    access.lookSoon()
    let evil = await #expect(throws: HTTPClientError.self) { try await send() }
    #expect(evil?.reason == "net/http: invalid header field value for header \"X-Key\"")
    folder.delete("key")
    access.lookSoon()
    let gone = await #expect(throws: HTTPClientError.self) { try await send() }
    #expect(gone?.reason.hasPrefix("unable to read the values of header \"X-Key\": unable to read file") == true)
    folder.write("key", "k3")
    access.lookSoon()
    #expect(try await send() == 200)
    let seen = server.requests.map { request in
      request.text.split(separator: "\r\n").filter { $0.hasPrefix("Auth") || $0.hasPrefix("X-") }.map(String.init)
    }
    #expect(
      seen == [
        ["Authorization: Bearer first", "X-Key: k1"], ["Authorization: Bearer second", "X-Key: k1"],
        ["Authorization: Bearer second", "X-Key: k3"],
      ])
    await server.close()
  }

  @Test func redirectsToAnotherServerTakeNothingAlong() async throws {
    let other = try await FakeServer { request in
      request.number == 0 ? [.send("HTTP/1.1 302 R\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")] : [done]
    }
    let location = other.url("/there", host: "localhost")
    let first = try await FakeServer { request in
      let place = request.number == 0 ? "/here" : location
      return [.send("HTTP/1.1 302 R\r\nLocation: \(place)\r\nContent-Length: 0\r\n\r\n")]
    }
    var options = Self.options(.basic(user: Self.text("u"), password: Self.text("p")))
    options.headers = [.init(name: "X-Key", values: [Self.text("k")])]
    #expect(try await send(first.url(), HTTPAccess(options), headers: [("Cookie", "c=d")]).status == 200)
    #expect(first.requests.count == 2 && other.requests.count == 2)
    for secret in ["Authorization", "X-Key", "Cookie"] {
      #expect(first.requests.allSatisfy { $0.text.contains(secret) })
      #expect(other.requests.allSatisfy { !$0.text.contains(secret) })
    }
    await first.close()
    await other.close()
  }

  @Test func redirectsBetweenPlainAndTLS() async throws {
    let plain = try await FakeServer { _ in [done] }
    let back = plain.url("/plain")
    let secure = try await FakeServer(tls: try serverTLS()) { request in
      request.text.hasPrefix("GET /down")
        ? [.send("HTTP/1.1 301 R\r\nLocation: \(back)\r\nContent-Length: 0\r\n\r\n")] : [done]
    }
    let up = secure.url("/up")
    let start = try await FakeServer { _ in
      [.send("HTTP/1.1 308 R\r\nLocation: \(up)\r\nContent-Length: 0\r\n\r\n")]
    }
    let access = HTTPAccess(trusting { $0.credentials = .bearer(Self.text("token")) })
    #expect(try await send(start.url(), access).status == 200)
    #expect(secure.requests.first?.text.contains("Bearer token") == false, "another port is another server")
    #expect(try await send(secure.url("/down"), access).status == 200)
    #expect(plain.requests.first?.text.contains("Bearer token") == false)
    for server in [plain, secure, start] { await server.close() }
  }

  @Test func redirectsMayBeOff() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 302 R\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")] }
    var options = HTTPClientOptions()
    options.followsRedirects = false
    #expect(try await send(server.url(), HTTPAccess(options)).status == 302)
    #expect(server.requests.count == 1)
    await server.close()
  }

  @Test func equalOptionsShareAnAccess() {
    let options = Self.options(.bearer(Self.text("t")))
    let access = client.access(options)
    #expect(access != nil && client.access(options) === access)
    #expect(client.access(Self.options(.bearer(Self.text("other")))) !== access)
    #expect(client.access(HTTPClientOptions()) == nil)
  }

  @Test func aSecretNeverPrints() {
    let secret = Secret("hunter2")
    var dumped = ""
    dump(secret, to: &dumped)
    dump(Self.options(.basic(user: Self.text("u"), password: .text(secret))), to: &dumped)
    #expect("\(secret) \(String(reflecting: secret)) \(dumped)".contains("hunter2") == false)
    #expect("\(secret)" == "<secret>")
  }
}
