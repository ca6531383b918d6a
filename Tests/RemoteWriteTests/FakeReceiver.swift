import Bytes
import Exposition
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import HTTPClient
@testable import RemoteWrite

struct Reset: Error {}

/// A receiver in place of the network: reads what comes, keeps it, and answers as it is told.
final class FakeReceiver: Sendable {
  enum Answer {
    case take
    case takeAndReset
    /// 2xx of one that does not know what it was sent, and stores nothing.
    case ignore
    case reset
    case status(Int, retryAfter: String? = nil)
    /// Another replica is elected.
    case denied
    case never
  }

  struct Request {
    var headers: [(name: String, value: String)]
    var isVersion2: Bool
    var series: [DecodedSeries]
    var samples: Int { series.reduce(0) { $0 + $1.points.count } }
    func holds(_ name: String) -> Bool { series.contains { $0.name == name } }
  }

  private struct State {
    var requests: [Request] = []
    var taken: [String: [DecodedSeries.Point]] = [:]
    var takenCount = 0
    var malformed = 0
  }

  private let state = Mutex(State())
  private let answer: @Sendable (Int, Request) -> Answer
  private let delay: @Sendable (Int) -> TimeAmount
  /// How many samples were taken, after each request.
  private let progress: AsyncStream<Int>
  private let progressed: AsyncStream<Int>.Continuation

  /// - Parameters:
  ///   - delay: how long the answer to a request takes.
  ///   - answer: from the request's number, counted from 0, and the request.
  init(
    delay: @escaping @Sendable (Int) -> TimeAmount,
    answer: @escaping @Sendable (Int, Request) -> Answer
  ) {
    self.answer = answer
    self.delay = delay
    (progress, progressed) = AsyncStream.makeStream()
  }

  convenience init(_ answer: @escaping @Sendable (Int, Request) -> Answer = { _, _ in .take }) {
    self.init(delay: { _ in .zero }, answer: answer)
  }

  var requests: [Request] { state.withLock { $0.requests } }
  /// What was taken, by `__name__`, in the order of arrival.
  var taken: [String: [DecodedSeries.Point]] { state.withLock { $0.taken } }
  var takenCount: Int { state.withLock { $0.takenCount } }
  /// Requests that are no remote write.
  var malformed: Int { state.withLock { $0.malformed } }

  func wait(for samples: Int) async {
    if takenCount >= samples { return }
    for await count in progress where count >= samples { return }
  }

  /// The `RemoteTransport`.
  var respond: RemoteTransport {
    { request, _, eventLoop, completion in
      let (number, result) = self.result(of: request)
      guard let result else { return }
      eventLoop.assumeIsolated().scheduleTask(in: self.delay(number)) { completion(result) }
    }
  }

  private func result(of request: HTTPRequest) -> (Int, Result<HTTPResponse, HTTPClientError>?) {
    guard let read = try? Self.read(request) else {
      state.withLock { $0.malformed += 1 }
      return (0, .success(HTTPResponse(status: 400, headers: [], body: ByteBuffer(string: "malformed"))))
    }
    let number = state.withLock { state in
      state.requests.append(read)
      return state.requests.count - 1
    }
    let reset = HTTPClientError.connection(HTTPClientError.Attempt(request), reason: "EOF")
    let answer = answer(number, read)
    switch answer {
    case .take, .takeAndReset:
      take(read)
      if case .takeAndReset = answer { return (number, .failure(reset)) }
      let counts = [(name: "X-Prometheus-Remote-Write-Samples-Written", value: "\(read.samples)")]
      return (
        number, .success(HTTPResponse(status: 204, headers: read.isVersion2 ? counts : [], body: ByteBuffer()))
      )
    case .ignore: return (number, .success(HTTPResponse(status: 204, headers: [], body: ByteBuffer())))
    case .reset: return (number, .failure(reset))
    case .status(let status, let retryAfter):
      let headers = retryAfter.map { [(name: "retry-after", value: $0)] } ?? []
      return (
        number,
        .success(HTTPResponse(status: status, headers: headers, body: ByteBuffer(string: "no\n\u{1b}[31m thanks")))
      )
    case .denied:
      let reason = "replicas did not match, rejecting sample: replica=a, elected=b\n"
      return (number, .success(HTTPResponse(status: 202, headers: [], body: ByteBuffer(string: reason))))
    case .never: return (number, nil)
    }
  }

  private static func read(_ request: HTTPRequest) throws -> Request {
    let body = try decodeSnappy(Array(request.body.readableBytesView))
    let isVersion2 = request.headers.contains { $0.name == "Content-Type" && $0.value.hasSuffix("v2.Request") }
    let series = isVersion2 ? try decodeWriteRequest2(body) : try decodeWriteRequest(body)
    return Request(headers: request.headers, isVersion2: isVersion2, series: series)
  }

  private func take(_ request: Request) {
    let count = state.withLock { state in
      for series in request.series {
        state.taken[series.name, default: []] += series.points
        state.takenCount += series.points.count
      }
      return state.takenCount
    }
    progressed.yield(count)
  }
}

/// Options that lose no time.
func options(_ name: String = "test", _ change: (inout QueueOptions) -> Void = { _ in }) throws -> RemoteWriteOptions {
  var options = RemoteWriteOptions(
    url: try HTTPURL("http://127.0.0.1:9009/api/v1/push"), name: name, userAgent: "pilotfish/test")
  options.queue.minBackoff = .milliseconds(1)
  options.queue.maxBackoff = .milliseconds(4)
  options.queue.batchSendDeadline = .milliseconds(1)
  options.holdBackoff = .milliseconds(1)...(.milliseconds(4))
  change(&options.queue)
  return options
}

func quietLog() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// A storage that was not started.
func storage(_ remotes: [Remote], log: LogOptions? = nil) throws -> RemoteStorage {
  try RemoteStorage(remotes, log: log, group: MultiThreadedEventLoopGroup.singleton, logger: quietLog())
}

extension RemoteStorage {
  /// Sends while `body` runs, and then what is left, for `time`.
  func sending(
    within time: Duration = .seconds(60), _ body: (RemoteStorage) async throws -> Void = { _ in }
  ) async throws {
    try start()
    do { try await body(self) } catch {
      await stop(within: .zero)
      throw error
    }
    await stop(within: time)
  }

  func series(_ name: String) throws -> SeriesID { try #require(register(LabelSet(pairs: [("__name__", name)]))) }

  func series(_ count: Int) throws -> [SeriesID] { try (0..<count).map { try series("s\($0)") } }

  /// A sample of each series.
  func append(_ series: [SeriesID], at time: Int64) {
    append(series.map { Sample(series: $0, timestamp: time, value: Double(time)) })
  }

  /// The value of a line of `/metrics`.
  func metric(_ name: String) -> Double? {
    let writer = MetricWriter()
    write(to: writer)
    var text = ByteWriter()
    TextExposition().render([writer], into: &text)
    for line in String(utf8: text.bytes).split(separator: "\n") where line.hasPrefix(name) {
      return line.split(separator: " ").last.flatMap { Double($0) }
    }
    return nil
  }

  func dropped(_ reason: String, _ remote: String = "test") -> Double? {
    metric(#"prometheus_remote_storage_samples_dropped_total{reason="\#(reason)",remote_name="\#(remote)""#)
  }
}

/// The points that came first, without those that came again; nil when a point came after a later one, but for
/// repetitions with equal bits.
func inOrder(_ points: [DecodedSeries.Point]) -> [Int64]? {
  var known: [Int64: UInt64] = [:]
  var times: [Int64] = []
  for point in points {
    if let bits = known[point.timestamp] {
      guard bits == point.bits else { return nil }
    } else {
      guard point.timestamp > times.last ?? .min else { return nil }
      known[point.timestamp] = point.bits
      times.append(point.timestamp)
    }
  }
  return times
}
