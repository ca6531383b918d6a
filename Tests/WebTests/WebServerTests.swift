import Glibc
import NIOCore
import NIOEmbedded
import NIOPosix
import Synchronization
import Testing

@testable import Web

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

  @Test(arguments: [
    (":99999", "tcp: address 99999: invalid port"), (":-1", "tcp: address -1: invalid port"),
    (":99999999999999999999", "tcp: address 99999999999999999999: invalid port"),
    (":abc", "tcp: lookup tcp/abc: unknown port"), ("9100", "tcp: address 9100: missing port in address"),
    ("", "tcp: address : missing port in address"), ("::1:9100", "tcp: address ::1:9100: too many colons in address"),
    ("[::1:9100", "tcp: address [::1:9100: missing ']' in address"),
    ("[::1]", "tcp: address [::1]: missing port in address"),
    ("vsock://9100", "vsock://9100: address 9100: missing port in address"),
    ("vsock://:x", "vsock://:x: invalid port \"x\""),
    ("vsock://:4294967296", "vsock://:4294967296: invalid port \"4294967296\""),
  ])
  func badAddressesSayWhy(text: String, reason: String) {
    #expect { try ListenAddress(text) } throws: { "\($0)" == "listen \(reason)" }
  }

  @Test(arguments: [":0", "127.0.0.1:", "[::1]:9100", "localhost:+80", "vsock://:9100"])
  func goodAddressesAreTaken(text: String) throws { #expect(try ListenAddress(text).description == text) }

  @Test func anAddressInUseSaysSo() async throws {
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

  @Test func readsAllLinesOfAcceptEncoding() async throws {
    try await withServer(echo()) { _, port in
      let answer = try Client(port).ask("GET", "/big", "Accept-Encoding: br\r\naccept-encoding: gzip\r\n")
      #expect(answer.contains("Content-Encoding: gzip\r\n"))
    }
  }

  @Test func aClientThatSendsNoMoreIsAnswered() async throws {
    try await withServer(echo()) { _, port in
      let one = try Client(port)
      one.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
      one.endSending()
      #expect(one.read().utf8.count > 100_000)
      let several = try Client(port)
      several.send((0..<5).map { "GET /echo?collect[]=\($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined() + "GET /ec")
      several.endSending()
      #expect(several.read().components(between: "\r\n\r\n") == ["0", "1", "2", "3", "4"])
      let none = try Client(port)
      none.endSending()
      #expect(none.read() == "")
      let part = try Client(port)
      part.send("GET /echo HTTP/1.1\r\nHost")
      part.endSending()
      #expect(part.read() == "")
    }
  }

  @Test func aClientThatSendsNoMoreIsAnsweredLater() async throws {
    let owed = Mutex<[@Sendable (WebResponse) -> Void]>([])
    var routes = WebRoutes()
    routes["/slow"] = { _, respond in owed.withLock { $0.append(respond) } }
    try await withServer(routes) { _, port in
      let client = try Client(port)
      client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
      client.endSending()
      while owed.withLock({ $0.isEmpty }) { await Task.yield() }
      for respond in owed.withLock({ $0 }) { respond(.text(200, "done")) }
      #expect(client.read().hasSuffix("done\n"))
    }
  }

  @Test func noiseBehindARequestDoesNotCostItsAnswer() async throws {
    let owed = Mutex<[@Sendable (WebResponse) -> Void]>([])
    var routes = echo()
    routes["/slow"] = { _, respond in owed.withLock { $0.append(respond) } }
    try await withServer(routes) { _, port in
      let client = try Client(port)
      client.send(
        "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?collect[]=b HTTP/1.1\r\nHost: x\r\n\r\n\u{1}\u{2} noise\r\n\r\n"
      )
      while owed.withLock({ $0.isEmpty }) { await Task.yield() }
      for respond in owed.withLock({ $0 }) { respond(.text(200, "done")) }
      #expect(client.read().components(between: "\r\n\r\n") == ["done\n", "b", "400 Bad Request\n"])
    }
  }

  @Test func aConnectionThatComesWhileTheServerEndsIsClosed() async throws {
    let count = ConnectionCount(limit: 10)
    await count.close(within: .zero)
    let channel = EmbeddedChannel(handler: count.makeHandler())
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    #expect(!channel.isActive)
    _ = try channel.finish(acceptAlreadyClosed: true)
  }

  @Test func listensOnASocketThatItIsGiven() async throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(Glibc.listen(descriptor, 8) == 0)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await WebServer.start([ListenAddress(descriptor: descriptor)], routes: echo(), group: group)
    let port = Int(server.addresses[0].split(separator: ":").last ?? "") ?? 0
    #expect(try Client(port).ask("GET", "/echo?collect[]=given").hasSuffix("given"))
    await server.stop(within: .seconds(1))
    try await group.shutdownGracefully()
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
