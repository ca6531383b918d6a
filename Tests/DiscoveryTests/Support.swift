import Bytes
import Configuration
import Exposition
import HTTPClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

@testable import Discovery

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// New metrics each time.
func makeEnvironment() -> DiscoveryEnvironment {
  DiscoveryEnvironment(client: HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton), log: silent)
}

func jobs(_ yaml: String) throws -> [ScrapeConfiguration] {
  try Configuration.parse(Array("scrape_configs: [\(yaml)]".utf8), file: "p.yml").scrapeConfigs
}

/// The lines that metrics show, without what only people read.
func shown(_ metrics: DiscoveryMetrics) -> [String] {
  let writer = MetricWriter()
  metrics.write(to: writer)
  var page = ByteWriter()
  TextExposition().render([writer], into: &page)
  return String(utf8: page.bytes).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
}

/// What a mechanism published, to be waited for.
final class Published: Sendable {
  private let stream = AsyncStream.makeStream(of: [TargetGroup].self)
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(_ discovery: any Discovery) {
    let continuation = stream.continuation
    let task = Task { await discovery.run { continuation.yield($0) } }
    self.task.withLock { $0 = task }
  }

  deinit { task.withLock { $0?.cancel() } }

  /// The next groups, each as its source and its addresses, by source.
  func next() async -> [String] {
    for await groups in stream.stream {
      return groups.map { group in
        "\(group.source): " + addresses([group]).joined(separator: " ")
      }.sorted()
    }
    return []
  }

  /// The next groups.
  func groups() async -> [TargetGroup] {
    for await groups in stream.stream { return groups }
    return []
  }
}

/// The values of `__address__`.
func addresses(_ groups: [TargetGroup]) -> [String] {
  groups.flatMap { $0.targets.compactMap { labels in labels.first { $0.name == "__address__" }?.value } }
}

/// A server on loopback that answers requests as a test says.
final class FakeHTTP: Sendable {
  struct Request: Sendable {
    /// Path and query.
    let target: String
    let headers: [String: String]
  }

  struct Answer: Sendable {
    var status = 200
    var headers = ["Content-Type": "application/json"]
    var body = ""
    /// The answer never comes.
    var isSilent = false
  }

  let port: Int
  private let channel: any Channel
  private let log: Log

  private final class Log: Sendable {
    let requests = Mutex<[Request]>([])
  }

  var requests: [Request] { log.requests.withLock { $0 } }

  init(_ answer: @escaping @Sendable (Request) -> Answer) async throws {
    let log = Log()
    let handler: @Sendable (Request) -> Answer = { request in
      log.requests.withLock { $0.append(request) }
      return answer(request)
    }
    self.log = log
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(FakeHTTPHandler(handler))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
  }

  func close() async { try? await channel.close() }
}

private final class FakeHTTPHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let answer: @Sendable (FakeHTTP.Request) -> FakeHTTP.Answer
  private var head: HTTPRequestHead?

  init(_ answer: @escaping @Sendable (FakeHTTP.Request) -> FakeHTTP.Answer) { self.answer = answer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      let headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
      let answer = answer(FakeHTTP.Request(target: head.uri, headers: headers))
      guard !answer.isSilent else { return }
      let fields = HTTPHeaders(
        answer.headers.map { ($0.key, $0.value) } + [("Content-Length", "\(answer.body.utf8.count)")])
      let response = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: fields)
      context.write(wrapOutboundOut(.head(response)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }
}

/// What a manager told, to be waited for.
final class Told: Sendable {
  private let stream = AsyncStream.makeStream(of: [JobTargets].self)

  func tell(_ targets: [JobTargets]) { stream.continuation.yield(targets) }

  func end() { stream.continuation.finish() }

  /// How many targets were told each time from now on, up to the end.
  func counts() async -> [Int] {
    var counts: [Int] = []
    for await jobs in stream.stream { counts.append(jobs.reduce(0) { $0 + $1.active.count }) }
    return counts
  }

  /// Waits until the targets of all jobs are these.
  func wait(for addresses: [String]) async -> Bool {
    for await jobs in stream.stream {
      let found = jobs.flatMap { $0.active.map { String($0.scrapeURL.dropFirst(7).prefix { $0 != "/" }) } }
      if found.sorted() == addresses { return true }
    }
    return false
  }
}
