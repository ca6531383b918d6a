import Configuration
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Discovery

/// A name server on loopback.
final class FakeDNS: Sendable {
  /// Answers a question's message; nil: not at all.
  typealias Script = @Sendable (_ question: [UInt8], _ isStream: Bool) -> [UInt8]?

  let port: UInt16
  private let channels: [any Channel]

  init(_ script: @escaping Script) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    // Ports of datagrams are seldom taken, so theirs comes second.
    let streams = try await ServerBootstrap(group: group).childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(StreamHandler(script)) }
    }.bind(host: "127.0.0.1", port: 0).get()
    port = UInt16(streams.localAddress?.port ?? 0)
    let datagrams = try await DatagramBootstrap(group: group).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(DatagramHandler(script))
      }
    }.bind(host: "127.0.0.1", port: Int(port)).get()
    channels = [datagrams, streams]
  }

  func close() async { for channel in channels { try? await channel.close() } }

  private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>
    private let script: Script
    init(_ script: @escaping Script) { self.script = script }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let question = unwrapInboundIn(data)
      guard let answer = script(Array(question.data.readableBytesView), false) else { return }
      // One for another question first, as one that comes late.
      let late = [answer[0] &+ 1] + answer.dropFirst()
      for bytes in [late, answer] {
        let envelope = AddressedEnvelope(remoteAddress: question.remoteAddress, data: ByteBuffer(bytes: bytes))
        context.writeAndFlush(wrapOutboundOut(envelope), promise: nil)
      }
    }
  }

  private final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let script: Script
    init(_ script: @escaping Script) { self.script = script }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let bytes = Array(unwrapInboundIn(data).readableBytesView.dropFirst(2))
      guard let answer = script(bytes, true) else { return }
      let whole = [UInt8(answer.count >> 8), UInt8(answer.count & 0xff)] + answer
      // In pieces, as streams have them.
      for piece in [whole.prefix(1), whole.dropFirst()] {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: piece)), promise: nil)
      }
    }
  }
}

/// The name that a question asks for.
private func name(_ question: [UInt8]) -> String {
  var (place, labels) = (12, [String]())
  while place < question.count, question[place] > 0 {
    let end = place + 1 + Int(question[place])
    labels.append(String(decoding: question[(place + 1)..<end], as: UTF8.self))
    place = end
  }
  return labels.joined(separator: ".")
}

private func resolver(_ port: UInt16, _ text: String = "") -> DNSResolver {
  var configuration = ResolverConfiguration("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n" + text)
  configuration.port = port
  return DNSResolver(log: silent) { [configuration] in configuration }
}

@Test func asksByStreamWhatDoesNotFit() async throws {
  let server = try await FakeDNS { question, isStream in
    var answer = AnswerBuilder(question, isTruncated: !isStream, answers: isStream ? 300 : 0)
    if isStream { for number in 0..<300 { answer.add(1, [10, 0, UInt8(number >> 8), UInt8(number & 0xff)]) } }
    return answer.bytes
  }
  let records = try await resolver(server.port).records(of: "many.example.", .a)
  #expect(records.count == 300 && records.last == .address("10.0.1.43"))
  await server.close()
}

@Test func triesTheSearchList() async throws {
  let server = try await FakeDNS { question, _ in
    guard name(question) == "web.one.example" else { return AnswerBuilder(question, code: 3).bytes }
    var answer = AnswerBuilder(question, answers: 1)
    answer.add(1, [192, 0, 2, 7])
    return answer.bytes
  }
  let search = "search two.example one.example\n"
  #expect(try await resolver(server.port, search).records(of: "web", .a) == [.address("192.0.2.7")])
  #expect(try await resolver(server.port, search).records(of: "web.one", .a) == [])
  // Everybody says that there is no such name: no records, for sure.
  #expect(try await resolver(server.port, search).records(of: "other", .a) == [])
  await server.close()
}

/// When a server fails, it is not known what there is.
@Test func doesNotTakeFailuresForAnAnswer() async throws {
  let server = try await FakeDNS { question, _ in
    switch name(question) {
    case "damaged": Array(AnswerBuilder(question, answers: 1).bytes)
    case "silent": nil
    default: AnswerBuilder(question, code: name(question) == "web" ? 3 : 2).bytes
    }
  }
  for (name, reason) in [
    ("web", "127.0.0.1 answers web.one.example. with the code 2"), ("damaged.", "not a DNS message"),
    ("silent.", "timed out"),
  ] {
    await #expect {
      try await resolver(server.port, "search one.example\n").records(of: name, .a)
    } throws: {
      "\($0)".contains(reason)
    }
  }
  let nobody = DNSResolver(log: silent) { ResolverConfiguration("") }
  await #expect(throws: LookupFault.self) { try await nobody.records(of: "a", .a) }
  await server.close()
}

@Test(arguments: [
  ("a", "search x y\n", ["a.x.", "a.y.", "a."]), ("a.b", "search x\n", ["a.b.", "a.b.x."]),
  ("a.", "search x\n", ["a."]),
  ("a.b", "domain x.\noptions ndots:5 rotate\n", ["a.b.x.", "a.b."]), ("a", "# search x\n", ["a."]),
  ("a", "search .\n", ["a.", "a."]),
])
func candidates(_ name: String, _ text: String, _ names: [String]) {
  #expect(ResolverConfiguration(text).candidates(name) == names)
}

@Test func readsTheResolversConfiguration() {
  let configuration = ResolverConfiguration(
    "nameserver 192.0.2.1 # one\n\tnameserver\tfe80::1%eth0\nnameserver\noptions ndots:99 timeout:0 attempts:x attempts:3 edns0\n;"
  )
  #expect(configuration.servers == ["192.0.2.1", "fe80::1%eth0"] && configuration.dots == 15)
  #expect(configuration.timeout == .seconds(1) && configuration.attempts == 3 && configuration.port == 53)
}

@Test func discoversRecords() async throws {
  let isBroken = Mutex(false)
  let server = try await FakeDNS { question, _ in
    if isBroken.withLock({ $0 }), name(question) == "a.example" { return AnswerBuilder(question, code: 2).bytes }
    var answer = AnswerBuilder(question, answers: 1)
    answer.add(33, [0, 1, 0, 2, 0x23, 0x8c] + AnswerBuilder.name("t.example"))
    return answer.bytes
  }
  var configuration = ResolverConfiguration("nameserver 127.0.0.1\n")
  configuration.port = server.port
  let environment = makeEnvironment()
  var discovery = DNSDiscovery(
    DNSDiscoveryConfiguration(names: ["a.example", "b.example"]), environment
  ) { [configuration] in configuration }
  let groups = try await discovery.refresh()
  #expect(
    groups.map(\.source) == ["a.example", "b.example"] && addresses(groups) == ["t.example:9100", "t.example:9100"])
  #expect(
    groups[0].targets[0].map { "\($0.name)=\($0.value)" } == [
      "__address__=t.example:9100", "__meta_dns_name=a.example", "__meta_dns_srv_record_target=t.example.",
      "__meta_dns_srv_record_port=9100",
    ])
  // One that fails keeps what it had.
  isBroken.withLock { $0 = true }
  #expect(try await discovery.refresh() == groups)
  let lines = shown(environment.metrics)
  #expect(lines.contains("prometheus_sd_dns_lookups_total 4"))
  #expect(lines.contains("prometheus_sd_dns_lookup_failures_total 1"))
  await server.close()
  await #expect(throws: (any Error).self) { try await discovery.refresh() }
}

/// A lookup that nobody waits for any more ends, however patient the configuration is.
@Test(.timeLimit(.minutes(1))) func aCancelledLookupEnds() async throws {
  let hasAsked = Mutex(false)
  let server = try await FakeDNS { _, _ in
    hasAsked.withLock { $0 = true }
    return nil
  }
  let patient = resolver(server.port, "options timeout:1 attempts:100000\n")
  let lookup = Task { try await patient.records(of: "silent.", .a, isDoubtful: true) }
  while !hasAsked.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
  lookup.cancel()
  await #expect(throws: (any Error).self) { try await lookup.value }
  await server.close()
}
