import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Web

/// A server on loopback for the length of a test.
private func withServer(
  _ routes: WebRoutes, limits: WebServer.Limits = .init(), _ body: (WebServer, Int) async throws -> Void
) async throws {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let server = try await WebServer.start([ListenAddress("127.0.0.1:0")], routes: routes, group: group, limits: limits)
  let port = Int(server.addresses[0].split(separator: ":").last ?? "") ?? 0
  do {
    try await body(server, port)
  } catch {
    await server.stop(within: .seconds(1))
    try await group.shutdownGracefully()
    throw error
  }
  await server.stop(within: .seconds(1))
  try await group.shutdownGracefully()
}

/// A blocking client, with a limit to its patience.
private struct Client: ~Copyable {
  let descriptor: Int32

  init(_ port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(code == 0)
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// What comes until `isEnough`, or until the server closes.
  func read(until isEnough: (String) -> Bool = { _ in false }) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while !isEnough(String(decoding: bytes, as: UTF8.self)) {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count <= 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// One request that closes its connection behind the answer.
  func ask(_ method: String, _ target: String, _ headers: String = "") -> String {
    send("\(method) \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(headers)\r\n")
    return read()
  }
}

private func echo() -> WebRoutes {
  var routes = WebRoutes()
  routes["/echo"] = { request, respond in
    respond(
      WebResponse(
        contentType: "text/plain", body: ByteBuffer(string: request.parameters("collect[]").joined(separator: ","))))
  }
  routes["/big"] = { _, respond in
    respond(WebResponse(contentType: "text/plain", body: ByteBuffer(repeating: 65, count: 100_000)))
  }
  return routes
}

/// One after the other: the clients block the threads that other tests run on.
@Suite(.serialized) struct WebServerTests {
  @Test func answersRoutesAndOnlyThem() async throws {
    try await withServer(echo()) { _, port in
      #expect(try Client(port).ask("GET", "/echo?collect%5B%5D=a&collect[]=b%20c+d").hasSuffix("\r\n\r\na,b c d"))
      #expect(try Client(port).ask("GET", "/echo/").hasPrefix("HTTP/1.1 404 Not Found\r\n"))
      #expect(try Client(port).ask("GET", "/nope").hasSuffix("\r\n\r\n404 page not found\n"))
      let head = try Client(port).ask("HEAD", "/big")
      #expect(head.contains("Content-Length: 100000\r\n") && head.hasSuffix("\r\n\r\n"))
    }
  }

  @Test(arguments: [
    ("gzip", true), ("gzip;q=0", false), ("deflate, gzip;q=0.5", true), ("*", true), ("*;q=0", false), ("zstd", false),
    ("identity", false), ("gzip;q=x", false), ("", false), (";;,,", false),
  ])
  func compressesWhatTheClientTakes(header: String, isCompressed: Bool) async throws {
    try await withServer(echo()) { _, port in
      let answer = try Client(port).ask("GET", "/big", "Accept-Encoding: \(header)\r\n")
      #expect(answer.contains("Content-Encoding: gzip\r\n") == isCompressed)
      #expect((answer.utf8.count < 10_000) == isCompressed)
    }
  }

  @Test func keepsConnectionsAndAnswersPipelinedRequestsInOrder() async throws {
    try await withServer(echo()) { _, port in
      let client = try Client(port)
      let names = (0..<50).map { "n\($0)" }
      client.send(names.map { "GET /echo?collect[]=\($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined())
      let text = client.read { $0.hasSuffix("n49") }
      let bodies = text.components(between: "\r\n\r\n")
      #expect(bodies == names)
      client.send("GET /echo?collect[]=again HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(client.read { $0.hasSuffix("again") }.hasSuffix("again"))
    }
  }

  @Test func refusesWhatIsTooMuchOrNoRequest() async throws {
    var limits = WebServer.Limits()
    limits.bodyBytes = 1000
    limits.connections = 3
    limits.requestTime = .milliseconds(300)
    try await withServer(echo(), limits: limits) { _, port in
      let big = try Client(port)
      big.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 5000))
      #expect(big.read().hasPrefix("HTTP/1.1 413 "))
      let noise = try Client(port)
      noise.send("\u{1}\u{2}\u{3} nonsense\r\n\r\n")
      #expect(noise.read().hasPrefix("HTTP/1.1 400 "))
      // One that never ends its request is closed.
      let slow = try Client(port)
      slow.send("GET /echo HTT")
      #expect(slow.read() == "")
    }
  }

  @Test func limitsRequestsAtOnce() async throws {
    let owed = Mutex<[@Sendable (WebResponse) -> Void]>([])
    var routes = WebRoutes()
    routes["/slow"] = RequestLimit(1).limiting { _, respond in owed.withLock { $0.append(respond) } }
    try await withServer(routes) { _, port in
      let first = try Client(port)
      first.send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      while owed.withLock({ $0.isEmpty }) { await Task.yield() }
      let second = try Client(port).ask("GET", "/slow")
      #expect(second.hasPrefix("HTTP/1.1 503 "))
      #expect(second.hasSuffix("Limit of concurrent requests reached (1), try again later.\n"))
      for respond in owed.withLock({ $0 }) { respond(.text(200, "done")) }
      #expect(first.read().hasSuffix("done\n"))
    }
  }

  @Test func anAnswerToAClientThatHasGoneIsDropped() async throws {
    let owed = Mutex<[@Sendable (WebResponse) -> Void]>([])
    var routes = echo()
    routes["/slow"] = { _, respond in owed.withLock { $0.append(respond) } }
    try await withServer(routes) { _, port in
      do {
        let client = try Client(port)
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        while owed.withLock({ $0.isEmpty }) { await Task.yield() }
      }
      for respond in owed.withLock({ $0 }) { respond(.text(200, "late")) }
      #expect(try Client(port).ask("GET", "/echo?collect[]=alive").hasSuffix("alive"))
    }
  }

  @Test func badAddressesSayWhy() async throws {
    #expect { try ListenAddress(":99999") } throws: { "\($0)" == "listen tcp :99999: address 99999: invalid port" }
    #expect { try ListenAddress("9100") } throws: { "\($0)".contains("missing port in address") }
    #expect { try ListenAddress("::1:9100") } throws: { "\($0)".contains("too many colons") }
    try await withServer(echo()) { _, port in
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      await #expect {
        _ = try await WebServer.start([ListenAddress("127.0.0.1:\(port)")], routes: WebRoutes(), group: group)
      } throws: {
        "\($0)" == "listen tcp 127.0.0.1:\(port): bind: address already in use"
      }
      try await group.shutdownGracefully()
    }
  }

  @Test func jsonIsEscaped() {
    let json: JSON = ["a\"\\\n\u{1}é": [.number(.nan), .number(1.5), .integer(-2), true, .null, "x"]]
    #expect(json.text == #"{"a\"\\\n\u0001é":[null,1.5,-2,true,null,"x"]}"#)
  }

  @Test func anyTargetIsDecodedWithoutACrash() {
    var state: UInt64 = 7
    let alphabet = Array("%5B?&=+/aé%%zz;#\u{0}[]".unicodeScalars)
    for _ in 0..<20_000 {
      var target = ""
      for _ in 0..<(state >> 60) {
        state = state &* 6_364_136_223_846_793_005 &+ 1
        target.unicodeScalars.append(alphabet[Int(state >> 33) % alphabet.count])
      }
      state = state &* 6_364_136_223_846_793_005 &+ 1
      let parsed = RequestTarget.parse(target)
      #expect(parsed.query.count <= RequestTarget.parameterLimit)
    }
  }

}

extension String {
  /// The bodies of answers that stand one behind the other, each of the length that its head says.
  fileprivate func components(between separator: String) -> [String] {
    var bodies: [String] = []
    var rest = utf8[...]
    while let end = rest.firstRange(of: Array(separator.utf8)) {
      let head = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
      let length =
        head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
        .flatMap { Int($0.dropFirst("content-length:".count).filter(\.isNumber)) } ?? 0
      rest = rest[end.upperBound...]
      bodies.append(String(decoding: rest.prefix(length), as: UTF8.self))
      rest = rest.dropFirst(length)
    }
    return bodies
  }
}
