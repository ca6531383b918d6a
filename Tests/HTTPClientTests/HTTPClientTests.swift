import Bytes
import Compression
import HTTPClient
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

/// The client against a server on loopback, well-behaved and otherwise.
@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 1 << 20)

  private func get(
    _ url: String, method: String = "GET", headers: [(name: String, value: String)] = [], body: String = "",
    limits: HTTPLimits? = nil
  ) async throws -> HTTPResponse {
    let request = HTTPRequest(
      method: method, url: try HTTPURL(url), headers: headers, body: ByteBuffer(string: body))
    return try await client.send(request, limits: limits ?? self.limits)
  }

  /// The error of a request, without what was tried.
  private func failure(_ url: String, limits: HTTPLimits? = nil) async throws -> HTTPClientError {
    try #require(await #expect(throws: HTTPClientError.self) { try await get(url, limits: limits) })
  }

  // MARK: - What is sent, what comes back

  @Test func aRequestOnTheWire() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi")] }
    let response = try await get(
      server.url("/w?x=%20y", userinfo: "Aladdin:open%20sesame@"), method: "POST",
      headers: [("Content-Type", "text/plain"), ("Host", "evil"), ("Content-Length", "9"), ("connection", "close")],
      body: "abc")
    #expect(response.status == 200)
    #expect(response.header("x-a") == "b")
    #expect(String(buffer: response.body) == "hi")
    #expect(
      server.requests.map(\.text) == [
        """
        POST /w?x=%20y HTTP/1.1\r
        Host: 127.0.0.1:\(server.port)\r
        Content-Type: text/plain\r
        Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r
        Content-Length: 3\r
        \r
        abc
        """
      ])
    await server.close()
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: u\r\n\r\n", 200, "abc"),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", 404, "x"),
    ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n", 304, ""),
    ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500, ""),
  ])
  func answersThatKeepTheConnection(_ answer: String, _ status: Int, _ body: String) async throws {
    let server = try await FakeServer { _ in [.send(answer)] }
    for _ in 0..<3 {
      let response = try await get(server.url())
      #expect(response.status == status)
      #expect(String(buffer: response.body) == body)
    }
    #expect(server.connections == 1)
    #expect(server.requests.count == 3)
    await server.close()
  }

  @Test func anAnswerByteByByte() async throws {
    let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nup 1".utf8)
    let server = try await FakeServer { _ in [.drip(answer)] }
    #expect(try await String(buffer: get(server.url()).body) == "up 1")
    await server.close()
  }

  @Test func headHasNoBody() async throws {
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\nContent-Encoding: gzip\r\n\r\n")]
    }
    for _ in 0..<2 { #expect(try await get(server.url(), method: "HEAD").body.readableBytes == 0) }
    #expect(server.connections == 1)
    await server.close()
  }

  @Test(arguments: [
    "HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
  ])
  func answersThatEndTheConnection(_ answer: String) async throws {
    let server = try await FakeServer { _ in [.send(answer), .close] }
    for _ in 0..<2 { #expect(try await String(buffer: get(server.url()).body) == "abc") }
    #expect(server.connections == 2)
    await server.close()
  }

  @Test func manyAtOnce() async throws {
    let body = String(repeating: "node_cpu_seconds_total 1\n", count: 2600)
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")]
    }
    let url = server.url()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<20 {
        group.addTask {
          for _ in 0..<10 { guard try await String(buffer: self.get(url).body) == body else { return false } }
          return true
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    #expect(server.requests.count == 200)
    #expect(server.connections < 200)
    await server.close()
  }

  @Test func aMegabyteOfBodyGoesOut() async throws {
    let server = try await FakeServer { request in
      [
        .send(
          "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\(request.text.utf8.count > 1 << 20 ? "million" : "partial")")
      ]
    }
    let body = String(repeating: "x", count: 1 << 20)
    for _ in 0..<2 {
      #expect(try await String(buffer: get(server.url(), method: "POST", body: body).body) == "million")
    }
    #expect(server.connections == 1)
    await server.close()
  }

  // MARK: - Servers that close

  @Test func aConnectionClosedWhileIdleIsReplaced() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .close] }
    for _ in 0..<3 { #expect(try await get(server.url()).status == 200) }
    #expect(server.connections == 3)
    await server.close()
  }

  @Test(arguments: [FakeServer.Step.close, .reset])
  func aKeptConnectionThatEndsOnARequestIsRetriedOnce(_ end: FakeServer.Step) async throws {
    let server = try await FakeServer { request in
      request.number == 0 && request.connection < 2 ? [.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")] : [end]
    }
    #expect(try await get(server.url()).status == 200)
    #expect(try await get(server.url()).status == 200)
    #expect(server.requests.map(\.connection) == [0, 0, 1])
    // The retry fails as well: no third attempt.
    let error = try await failure(server.url())
    #expect(["EOF", "connection reset by peer"].contains(error.reason))
    #expect(server.requests.map(\.connection) == [0, 0, 1, 1, 2])
    await server.close()
  }

  @Test(arguments: [
    ([FakeServer.Step.close], ["EOF"]),
    ([.reset], ["connection reset by peer"]),
    ([.send("HTTP/1.1 200 O"), .close], ["unexpected EOF"]),
    ([.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), .close], ["unexpected EOF"]),
    ([.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"), .close], ["unexpected EOF"]),
    ([.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), .close], ["unexpected EOF"]),
  ])
  func answersCutShort(_ steps: [FakeServer.Step], _ reasons: [String]) async throws {
    let server = try await FakeServer { _ in steps }
    let error = try await failure(server.url())
    #expect(reasons.contains(error.reason), "\(error)")
    guard case .connection = error else { return #expect(Bool(false), "\(error)") }
    #expect(server.connections == 1)
    await server.close()
  }

  @Test func nobodyListens() async throws {
    let server = try await FakeServer { _ in [] }
    await server.close()
    let url = server.url("/metrics", userinfo: "user:secret@")
    let error = try await failure(url)
    #expect(
      error.description == "Get \"http://xxxxx@127.0.0.1:\(server.port)/metrics\": "
        + "dial tcp 127.0.0.1:\(server.port): connect: connection refused")
    // By name, the error says which address was tried.
    let byName = try await failure("http://localhost:\(server.port)/")
    #expect(
      byName.reason.hasSuffix("]:\(server.port): connect: connection refused")
        || byName.reason == "dial tcp 127.0.0.1:\(server.port): connect: connection refused", "\(byName)")
  }

  @Test(arguments: [
    "220 mail.example.org ESMTP\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 100_000) + "\r\n\r\n",
    "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 1000) + "\r\n",
  ])
  func answersThatAreNoHTTP(_ answer: String) async throws {
    let server = try await FakeServer { _ in [.send(answer)] }
    let error = try await failure(server.url())
    guard case .malformedResponse = error else { return #expect(Bool(false), "\(error)") }
    #expect(server.connections == 1)
    await server.close()
  }

  /// Whatever a server sends before it closes: an answer within the limit or a typed error, and never a wait for more.
  @Test func mutatedAnswers() async throws {
    let originals = [
      Array("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nprocess_open_fds 12\n".utf8),
      Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\n0\r\nT: u\r\n\r\n".utf8),
      gzipAnswer(compressed(Array("go_threads 9\n".utf8))),
    ]
    let random = Mutex(SeededGenerator(99))
    let server = try await FakeServer { _ in
      random.withLock { random in
        var answer = originals.randomElement(using: &random) ?? []
        for _ in 0...Int.random(in: 0..<3, using: &random) where !answer.isEmpty {
          let place = Int.random(in: 0..<answer.count, using: &random)
          switch Int.random(in: 0..<4, using: &random) {
          case 0: answer[place] = .random(in: 0...255, using: &random)
          case 1: answer.remove(at: place)
          case 2: answer.insert(answer[place], at: place)
          default: answer.removeLast(Int.random(in: 0..<answer.count, using: &random))
          }
        }
        return [.send(answer), .close]
      }
    }
    let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 100)
    for _ in 0..<300 {
      do {
        let response = try await get(server.url(), limits: limits)
        #expect(response.body.readableBytes <= 100)
      } catch let error as HTTPClientError {
        if case .timeout = error { Issue.record("\(error)") }
      }
    }
    await server.close()
  }

  @Test func bytesBehindAnAnswerEndTheConnection() async throws {
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n")]
    }
    #expect(try await String(buffer: get(server.url()).body) == "x")
    for await case .closed(connection: 0) in server.events { break }
    await server.close()
  }

  // MARK: - Limits

  @Test(arguments: [
    [FakeServer.Step](), [.drip(Array("HTTP/1.1 200 OK\r\nX-Slow: \(String(repeating: "z", count: 10_000))".utf8))],
    [.send("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"), .drip([UInt8](repeating: 0, count: 10_000))],
  ])
  func theDeadlineEndsIt(_ steps: [FakeServer.Step]) async throws {
    let server = try await FakeServer { _ in steps }
    let error = try await failure(server.url(), limits: HTTPLimits(timeout: .milliseconds(150), bodyBytes: 1 << 20))
    #expect(error.description == "Get \"\(server.url())\": context deadline exceeded")
    for await case .closed in server.events { break }
    await server.close()
  }

  @Test(arguments: [
    "Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n\r\n6400000\r\n", "Connection: close\r\n",
  ])
  func aHundredMegabytesAgainstALimitOfOne(_ framing: String) async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\n\(framing)\r\n"), .flood] }
    let error = try await failure(server.url())
    guard case .bodyTooLarge(_, status: _, limit: 1 << 20) = error else { return #expect(Bool(false), "\(error)") }
    #expect(error.reason.hasPrefix("body size limit exceeded"))
    for await case .closed in server.events { break }
    await server.close()
  }

  @Test func theLimitIsExact() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde")] }
    let fits = HTTPLimits(timeout: .seconds(30), bodyBytes: 5)
    #expect(try await get(server.url(), limits: fits).body.readableBytes == 5)
    let error = try await failure(server.url(), limits: HTTPLimits(timeout: .seconds(30), bodyBytes: 4))
    guard case .bodyTooLarge = error else { return #expect(Bool(false), "\(error)") }
    let unlimited = HTTPLimits(timeout: .seconds(Int64.max), bodyBytes: .max)
    #expect(try await get(server.url(), limits: unlimited).body.readableBytes == 5)
    await server.close()
  }

  @Test func gzip() async throws {
    let content = [UInt8](repeating: 65, count: 300_000)
    let answer = gzipAnswer(compressed(content))
    let server = try await FakeServer { _ in [.send(answer)] }
    for _ in 0..<2 {
      let response = try await get(server.url(), headers: [("Accept-Encoding", "gzip")])
      #expect(Array(buffer: response.body) == content)
    }
    #expect(server.connections == 1)
    await server.close()
  }

  @Test func aGzipBomb() async throws {
    let answer = gzipAnswer(compressed([UInt8](repeating: 0, count: 64 << 20)))
    let server = try await FakeServer { _ in [.send(answer)] }
    let error = try await failure(server.url())
    guard case .bodyTooLarge(_, status: _, limit: 1 << 20) = error else { return #expect(Bool(false), "\(error)") }
    await server.close()
  }

  @Test(arguments: [
    (gzipAnswer(Array(compressed([1, 2, 3]).dropLast())), "unexpected EOF"), (gzipAnswer([]), "unexpected EOF"),
    (gzipAnswer(Array("plain".utf8)), "unexpected EOF"),
  ])
  func damagedGzip(_ answer: [UInt8], _ reason: String) async throws {
    let server = try await FakeServer { _ in [.send(answer)] }
    #expect(try await failure(server.url()).reason == reason)
    await server.close()
  }

  // MARK: - Requests that are not sent, or given up

  @Test(arguments: [
    ("GET", "X-A", "b\r\nX-C: d", "invalid header field value for \"X-A\""),
    ("GET", "X A", "b", "invalid header field name"),
    ("GET", "", "b", "invalid header field name"), ("G ET", "X-A", "b", "invalid method"),
    ("", "X-A", "b", "invalid method"),
    ("GET", "X-A", "b\0", "invalid header field value"),
  ])
  func requestsThatWouldSplit(_ method: String, _ name: String, _ value: String, _ reason: String) async throws {
    let error = try #require(
      await #expect(throws: HTTPClientError.self) {
        try await get("http://127.0.0.1:1/", method: method, headers: [(name, value)])
      })
    guard case .invalidRequest = error else { return #expect(Bool(false), "\(error)") }
    #expect(error.reason.contains(reason))
  }

  @Test func aCancelledTaskClosesTheConnection() async throws {
    let server = try await FakeServer { _ in [] }
    let task = Task { [self] in try await get(server.url()) }
    for await event in server.events {
      if case .request = event { task.cancel() }
      if case .closed = event { break }
    }
    let error = await #expect(throws: HTTPClientError.self) { try await task.value }
    #expect(error?.reason == "context canceled")
    await server.close()
  }

  @Test func aTaskCancelledBeforeItBegins() async throws {
    let server = try await FakeServer { _ in [] }
    let task = Task { [self] in
      withUnsafeCurrentTask { $0?.cancel() }
      return try await get(server.url())
    }
    let error = await #expect(throws: HTTPClientError.self) { try await task.value }
    #expect(error?.reason == "context canceled")
    #expect(server.requests.isEmpty)
    await server.close()
  }

  @Test func idleConnectionsAreClosedAfterAWhile() async throws {
    let client = HTTPClient(
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, idleTimeout: .milliseconds(20))
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")] }
    let request = HTTPRequest(url: try HTTPURL(server.url()))
    #expect(try await client.send(request, limits: limits).status == 200)
    for await case .closed(connection: 0) in server.events { break }
    #expect(try await client.send(request, limits: limits).status == 200)
    await client.shutdown()
    await server.close()
  }

  @Test func connectionsToAServerThatIsAskedNoMoreAreClosed() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")] }
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let request = PreparedRequest(HTTPRequest(url: try HTTPURL(server.url())))
    let answered = eventLoop.makePromise(of: Int.self)
    eventLoop.execute { [client, limits] in
      client.send(request, limits: limits, on: eventLoop) { answered.completeWith($0.map(\.status).mapError { $0 }) }
    }
    #expect(try await answered.futureResult.get() == 200)
    eventLoop.execute { [client] in client.closeIdleConnections(of: request, on: eventLoop) }
    for await case .closed(connection: 0) in server.events { break }
    await server.close()
  }

  @Test func shutdownClosesIdleConnectionsAndRefusesRequests() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")] }
    #expect(try await get(server.url()).status == 200)
    await client.shutdown()
    for await case .closed(connection: 0) in server.events { break }
    guard case .shutdown = try await failure(server.url()) else { return #expect(Bool(false)) }
    await server.close()
  }
}

private func compressed(_ content: [UInt8]) -> [UInt8] {
  var output = ByteWriter()
  GzipCompressor().compress(content.span.bytes, into: &output)
  return output.bytes.array
}

private func gzipAnswer(_ body: [UInt8]) -> [UInt8] {
  Array("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
}
