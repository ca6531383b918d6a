import Bytes
import NIOCore
import NIOPosix
import Secrets
import Testing

@testable import HTTPClient

/// Client credentials against a server of tokens, well-behaved and otherwise.
@Suite(.timeLimit(.minutes(1))) struct TokenTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 1000)

  private static func answer(_ body: String, status: Int = 200) -> [FakeServer.Step] {
    [.send("HTTP/1.1 \(status) S\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")]
  }

  private func access(
    _ tokens: FakeServer, _ change: (inout HTTPClientOptions.OAuth2) -> Void = { _ in }
  ) throws -> HTTPAccess {
    var oauth2 = HTTPClientOptions.OAuth2(clientID: "pilot fish", tokenURL: try HTTPURL(tokens.url("/token")))
    oauth2.clientSecret = .text(Secret("s3cr3t:&"))
    change(&oauth2)
    var options = HTTPClientOptions()
    options.credentials = .oauth2(oauth2)
    return HTTPAccess(options)
  }

  private func get(_ server: FakeServer, _ access: HTTPAccess) async throws -> HTTPResponse {
    try await client.send(HTTPRequest(url: try HTTPURL(server.url()), access: access), limits: limits)
  }

  @Test func oneTokenServesAll() async throws {
    let tokens = try await FakeServer { _ in
      Self.answer(#"{"access_token":"tok1","token_type":"bearer","expires_in":3600}"#)
    }
    let server = try await FakeServer { _ in [done] }
    let access = try access(tokens) {
      $0.scopes = ["a", "b"]
      $0.endpointParameters = ["audience": "x/y"]
    }
    try await withThrowingTaskGroup { group in
      for _ in 0..<20 { group.addTask { _ = try await get(server, access) } }
      try await group.waitForAll()
    }
    #expect(try await get(server, access).status == 200)
    #expect(server.requests.count == 21)
    #expect(server.requests.allSatisfy { $0.text.contains("\r\nAuthorization: Bearer tok1\r\n") })
    #expect(tokens.requests.count == 1)
    let asked = try #require(tokens.requests.first?.text)
    #expect(asked.hasPrefix("POST /token HTTP/1.1\r\n"))
    #expect(asked.contains("Authorization: Basic \(base64("pilot+fish:s3cr3t%3A%26".utf8))\r\n"))
    #expect(asked.hasSuffix("\r\n\r\ngrant_type=client_credentials&scope=a+b&audience=x%2Fy"))
    await tokens.close()
    await server.close()
  }

  @Test func theSecretGoesInTheFormIfNotInTheHeader() async throws {
    let tokens = try await FakeServer { request in
      request.text.contains("Authorization")
        ? Self.answer(#"{"error":"invalid_client"}"#, status: 401)
        : Self.answer(#"{"access_token":"t","token_type":"MAC","expires_in":"1"}"#)
    }
    let server = try await FakeServer { _ in [done] }
    #expect(try await get(server, access(tokens)).status == 200)
    #expect(server.requests.first?.text.contains("Authorization: MAC t\r\n") == true)
    #expect(tokens.requests.count == 2)
    #expect(tokens.requests.last?.text.hasSuffix("client_id=pilot+fish&client_secret=s3cr3t%3A%26") == true)
    await tokens.close()
    await server.close()
  }

  @Test(
    arguments: [
      (answer(#"{"error":"invalid_client"}"#, status: 401), "server answered HTTP status 401 (invalid_client)"),
      (answer(#"{"error":"s3cr3t <b>"}"#, status: 400), "server answered HTTP status 400"),
      (answer("oops", status: 500), "server answered HTTP status 500"),
      (answer("oops"), "server answered what is not JSON"), (answer(""), "server answered what is not JSON"),
      (answer("{}"), "server response missing access_token"), (answer("[]"), "server response missing access_token"),
      (answer(#"{"access_token":""}"#), "server response missing access_token"),
      (answer(#"{"access_token":5}"#), "server response missing access_token"),
      (answer(#"{"access_token":"a\r\nX: y"}"#), "server's token is not fit for a header"),
      (answer(String(repeating: "[", count: 100_000)), "server answered what is not JSON"),
      ([.send("HTTP/1.1 200 OK\r\n\r\n"), .flood], "body size limit exceeded: more than 1048576 bytes"),
      ([.close], "EOF"), ([.send("hello\r\n")], "malformed HTTP response"),
    ] as [([FakeServer.Step], String)])
  func answersWithoutAToken(_ steps: [FakeServer.Step], _ reason: String) async throws {
    let tokens = try await FakeServer { _ in steps }
    let server = try await FakeServer { _ in [done] }
    let access = try access(tokens)
    for _ in 0..<3 {
      let error = await #expect(throws: HTTPClientError.self) { try await get(server, access) }
      let text = error?.reason ?? ""
      #expect(text.hasPrefix("oauth2: cannot fetch token from \(tokens.url("/token")): \(reason)"), "\(text)")
      #expect(!text.contains("s3cr3t"))
    }
    // Nobody hammers a server that fails.
    #expect(tokens.requests.count <= 2)
    #expect(server.requests.isEmpty)
    await tokens.close()
    await server.close()
  }

  @Test(arguments: ["-1", "0", "1e300", "\"x\"", "null", "{}", "1e-9"])
  func strangeLifetimes(_ lifetime: String) async throws {
    let tokens = try await FakeServer { _ in Self.answer(#"{"access_token":"t","expires_in":\#(lifetime)}"#) }
    let server = try await FakeServer { _ in [done] }
    #expect(try await get(server, access(tokens)).status == 200)
    await tokens.close()
    await server.close()
  }

  @Test func aServerOfTokensBehindTLS() async throws {
    let tokens = try await FakeServer(tls: try serverTLS()) { _ in Self.answer(#"{"access_token":"t"}"#) }
    let server = try await FakeServer { _ in [done] }
    #expect(try await get(server, access(tokens) { $0.tls = trusting().tls }).status == 200)
    let error = await #expect(throws: HTTPClientError.self) { try await get(server, access(tokens)) }
    #expect(error?.reason.contains("unknown authority") == true)
    await tokens.close()
    await server.close()
  }
}
