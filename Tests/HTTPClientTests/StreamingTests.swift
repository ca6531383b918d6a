import Bytes
import Compression
import HTTPClient
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Bodies that are handed on as they come.
@Suite(.timeLimit(.minutes(1))) struct StreamingTests {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)

  /// What a request's parts were, and its answer.
  private func stream(
    _ url: String, bodyBytes: Int = .max
  ) async throws -> (parts: [String], outcome: Result<HTTPResponse, HTTPClientError>) {
    let parts = Mutex<[String]>([])
    let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: bodyBytes)
    let request = HTTPRequest(url: try HTTPURL(url))
    let outcome: Result<HTTPResponse, HTTPClientError>
    do throws(HTTPClientError) {
      outcome = .success(
        try await client.send(request, limits: limits) { part in parts.withLock { $0.append(String(buffer: part)) } })
    } catch {
      outcome = .failure(error)
    }
    return (parts.withLock { $0 }, outcome)
  }

  private func gzip(_ text: String) -> [UInt8] {
    var writer = ByteWriter()
    GzipCompressor().compress(Array(text.utf8).span.bytes, into: &writer)
    return writer.withUnsafeBytes { Array($0) }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ["abc"]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", []),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", ["ab", "c"]),
  ])
  func partsInOrder(_ answer: String, _ expected: [String]) async throws {
    let server = try await FakeServer { _ in [.send(answer)] }
    for _ in 0..<2 {
      let (parts, outcome) = try await stream(server.url())
      #expect(parts == expected)
      #expect(try outcome.get().body.readableBytes == 0)
    }
    #expect(server.connections == 1)
    await server.close()
  }

  /// The last bytes are fewer than those that the kernel is asked to wait for.
  @Test(arguments: [40_000, 600_000, 3_000_001]) func theEndOfALongBodyIsSeen(_ length: Int) async throws {
    let body = [UInt8](repeating: UInt8(ascii: "a"), count: length)
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n"), .send(body)]
    }
    for _ in 0..<3 {
      let (parts, outcome) = try await stream(server.url())
      #expect(parts.reduce(0) { $0 + $1.utf8.count } == length)
      #expect(throws: Never.self) { try outcome.get() }
      let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: .max)
      let whole = try await client.send(HTTPRequest(url: try HTTPURL(server.url())), limits: limits)
      #expect(whole.body.readableBytes == length)
    }
    await server.close()
  }

  @Test func aPartComesBeforeTheNextOneIsSent() async throws {
    let (seen, signal) = AsyncStream.makeStream(of: String.self)
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")]
    }
    let url = try HTTPURL(server.url())
    let watch = Task {
      try await client.send(HTTPRequest(url: url), limits: HTTPLimits(timeout: .seconds(30), bodyBytes: .max)) {
        signal.yield(String(buffer: $0))
      }
    }
    #expect(await seen.first { _ in true } == "first")
    watch.cancel()
    await #expect(throws: HTTPClientError.self) { try await watch.value }
    // The server sees that nobody listens any more.
    for await event in server.events {
      if case .closed = event { break }
    }
    await server.close()
  }

  @Test func gzipIsDecompressedInParts() async throws {
    let text = String(repeating: "node_cpu_seconds_total 1\n", count: 100_000)
    let body = gzip(text)
    let server = try await FakeServer { _ in
      [
        .send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n"), .send(body),
      ]
    }
    let (parts, outcome) = try await stream(server.url())
    #expect(try outcome.get().status == 200)
    #expect(parts.joined() == text)
    #expect(parts.count > 10)
    #expect(parts.allSatisfy { $0.utf8.count <= 128 << 10 })
    await server.close()
  }

  @Test(arguments: [false, true]) func theLimitHoldsForAllParts(_ isGzip: Bool) async throws {
    let text = String(repeating: "a", count: 300_000)
    let body = isGzip ? gzip(text) : Array(text.utf8)
    let head = "HTTP/1.1 200 OK\r\n\(isGzip ? "Content-Encoding: gzip\r\n" : "")\r\n"
    let server = try await FakeServer { _ in [.send(head), .send(body), .close] }
    let (parts, outcome) = try await stream(server.url(), bodyBytes: 200_000)
    guard case .failure(.bodyTooLarge(_, 200, 200_000)) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(parts.joined().utf8.count <= 200_000)
    let whole = try await stream(server.url(), bodyBytes: 300_000)
    #expect(whole.parts.joined() == text)
    await server.close()
  }

  @Test func otherAnswersAreGathered() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 410 Gone\r\nContent-Length: 7\r\n\r\ntoo old")] }
    let (parts, outcome) = try await stream(server.url())
    #expect(parts.isEmpty)
    #expect(try String(buffer: outcome.get().body) == "too old")
    await server.close()
  }

  @Test func anEndlessErrorIsBounded() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 500 Oh\r\n\r\n"), .flood] }
    let (_, outcome) = try await stream(server.url())
    guard case .failure(.bodyTooLarge(_, 500, _)) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    await server.close()
  }

  @Test func theHeadComesFirstAndACallMayEndInAPart() async throws {
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nabcdef")]
    }
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let request = PreparedRequest(HTTPRequest(url: try HTTPURL(server.url())))
    let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 100)
    let seen = await withCheckedContinuation { (waiter: CheckedContinuation<[String], Never>) in
      eventLoop.execute {
        nonisolated(unsafe) var seen: [String] = []
        nonisolated(unsafe) var call: HTTPCall?
        call = client.send(
          request, limits: limits, on: eventLoop,
          onHead: { seen.append($0.header("content-type") ?? "") },
          onPart: {
            seen.append(String(buffer: $0))
            call?.cancel()
          },
          completion: { outcome in
            if case .failure(.cancelled) = outcome { seen.append("cancelled") }
            waiter.resume(returning: seen)
          })
      }
    }
    #expect(seen == ["text/plain", "abcdef", "cancelled"])
    await server.close()
  }

  @Test func silenceEndsAStream() async throws {
    let server = try await FakeServer { _ in [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")]
    }
    let limits = HTTPLimits(timeout: .seconds(3600), bodyBytes: .max, idleTimeout: .milliseconds(200))
    let request = HTTPRequest(url: try HTTPURL(server.url()))
    let error = await #expect(throws: HTTPClientError.self) { try await client.send(request, limits: limits) { _ in } }
    guard case .timeout = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    await server.close()
  }

  @Test func aServerThatSpeaksNowAndThenIsNotSilent() async throws {
    let server = try await FakeServer { _ in
      [.send("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"), .drip(Array(String(repeating: "x", count: 40).utf8))]
    }
    let limits = HTTPLimits(timeout: .seconds(30), bodyBytes: 100, idleTimeout: .seconds(5))
    let request = HTTPRequest(url: try HTTPURL(server.url()))
    let response = try await client.send(request, limits: limits)
    #expect(response.body.readableBytes == 40)
    await server.close()
  }
}
