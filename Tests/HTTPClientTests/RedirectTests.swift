import HTTPClient
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct RedirectTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)

  private func send(
    _ method: String = "GET", _ url: String, headers: [(name: String, value: String)] = [], body: String = "",
    redirects: Int = 10
  ) async throws -> HTTPResponse {
    try await client.send(
      HTTPRequest(method: method, url: try HTTPURL(url), headers: headers, body: ByteBuffer(string: body)),
      limits: HTTPLimits(timeout: .seconds(30), bodyBytes: 1000, redirects: redirects))
  }

  private static let done = FakeServer.Step.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

  private static func redirect(_ status: Int = 302, to location: String) -> FakeServer.Step {
    .send("HTTP/1.1 \(status) R\r\nLocation: \(location)\r\nContent-Length: 2\r\n\r\nno")
  }

  private let secrets: [(name: String, value: String)] = [
    ("authorization", "Bearer token"), ("Cookie", "a=b"), ("X-Harmless", "yes"),
  ]

  @Test func credentialsStayWithTheirServer() async throws {
    let other = try await FakeServer { request in
      request.number == 0 ? [RedirectTests.redirect(to: "/again")] : [RedirectTests.done]
    }
    let location = other.url("/there")
    let first = try await FakeServer { request in
      request.number == 0 ? [RedirectTests.redirect(to: "/here")] : [RedirectTests.redirect(to: location)]
    }
    #expect(try await String(buffer: send("GET", first.url(), headers: secrets).body) == "done")
    #expect(first.requests.count == 2)
    #expect(first.requests.allSatisfy { $0.text.contains("Bearer token") && $0.text.contains("a=b") })
    #expect(other.requests.map { $0.text.prefix { $0 != "\r\n" } } == ["GET /there HTTP/1.1", "GET /again HTTP/1.1"])
    for request in other.requests {
      #expect(!request.text.contains("Bearer token") && !request.text.contains("a=b"))
      #expect(request.text.contains("X-Harmless: yes"))
    }
    await first.close()
    await other.close()
  }

  @Test func userAndPasswordStayWithTheirServer() async throws {
    let other = try await FakeServer { _ in [RedirectTests.done] }
    let location = other.url()
    let first = try await FakeServer { request in
      [request.number == 0 ? RedirectTests.redirect(to: "x") : RedirectTests.redirect(to: location)]
    }
    #expect(try await send("GET", first.url("/a/b", userinfo: "me:secret@")).status == 200)
    #expect(first.requests.count == 2)
    #expect(first.requests.allSatisfy { $0.text.contains("Authorization: Basic") })
    #expect(first.requests.last?.text.hasPrefix("GET /a/x ") == true)
    #expect(other.requests.allSatisfy { !$0.text.contains("Authorization") })
    await first.close()
    await other.close()
  }

  @Test(arguments: [
    (301, "POST", "GET", ""), (302, "POST", "GET", ""), (303, "PUT", "GET", ""), (307, "POST", "POST", "body"),
    (308, "PUT", "PUT", "body"),
  ])
  func methodsAndBodies(_ status: Int, _ method: String, _ then: String, _ body: String) async throws {
    let server = try await FakeServer { request in
      [request.number == 0 ? RedirectTests.redirect(status, to: "/next") : RedirectTests.done]
    }
    let response = try await send(method, server.url(), headers: [("Content-Type", "x/y")], body: "body")
    #expect(response.status == 200)
    let second = try #require(server.requests.last?.text)
    #expect(second.hasPrefix("\(then) /next HTTP/1.1\r\n"))
    #expect(second.hasSuffix("\r\n\r\n\(body)"))
    #expect(second.contains("x/y") == !body.isEmpty)
    await server.close()
  }

  @Test func theyAreCounted() async throws {
    let server = try await FakeServer { _ in [RedirectTests.redirect(to: "/loop")] }
    let error = await #expect(throws: HTTPClientError.self) { try await send("GET", server.url(), redirects: 3) }
    #expect(error?.description == "Get \"\(server.url("/loop"))\": stopped after 3 redirects")
    #expect(server.requests.count == 4)
    #expect(try await send("GET", server.url(), redirects: 0).status == 302)
    #expect(server.requests.count == 5)
    await server.close()
  }

  @Test(arguments: ["ftp://127.0.0.1/", "gopher://x/", "http://"])
  func placesThatCannotBeReached(_ location: String) async throws {
    let server = try await FakeServer { _ in [RedirectTests.redirect(to: location)] }
    let error = await #expect(throws: HTTPClientError.self) { try await send("GET", server.url()) }
    guard case .redirect = error else { return #expect(Bool(false), "\(String(describing: error))") }
    await server.close()
  }

  @Test func withoutALocationTheAnswerStands() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 301 R\r\nContent-Length: 0\r\n\r\n")] }
    #expect(try await send("GET", server.url()).status == 301)
    await server.close()
  }
}
