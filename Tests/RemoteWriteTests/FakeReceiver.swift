import Bytes
import Exposition
import HTTPClient
import Logging
import NIOCore
import Synchronization
import Testing

@testable import RemoteWrite

struct Reset: Error {}

/// A receiver in place of the network: reads what comes, keeps it, and answers as it is told.
final class FakeReceiver: Sendable {
  enum Answer {
    case take
    case takeAndReset
    case reset
    case status(Int, retryAfter: String? = nil)
    case never
  }

  struct Request {
    var headers: [(name: String, value: String)]
    var series: [DecodedSeries]
    var samples: Int { series.reduce(0) { $0 + $1.points.count } }
  }

  private struct State {
    var requests: [Request] = []
    var taken: [String: [DecodedSeries.Point]] = [:]
    var takenCount = 0
  }

  private let state = Mutex(State())
  private let answer: @Sendable (Int, Request) -> Answer
  /// How many samples were taken, after each request.
  let progress: AsyncStream<Int>
  private let progressed: AsyncStream<Int>.Continuation

  /// - Parameter answer: from the request's number, counted from 0, and the request.
  init(_ answer: @escaping @Sendable (Int, Request) -> Answer = { _, _ in .take }) {
    self.answer = answer
    (progress, progressed) = AsyncStream.makeStream()
  }

  var requests: [Request] { state.withLock { $0.requests } }
  /// What was taken, by `__name__`, in the order of arrival.
  var taken: [String: [DecodedSeries.Point]] { state.withLock { $0.taken } }
  var takenCount: Int { state.withLock { $0.takenCount } }

  func wait(for samples: Int) async {
    if takenCount >= samples { return }
    for await count in progress where count >= samples { return }
  }

  @Sendable func respond(to request: HTTPRequest, _ limits: HTTPLimits) async throws -> HTTPResponse {
    let body = try decodeSnappy(Array(request.body.readableBytesView))
    let read = Request(headers: request.headers, series: try decodeWriteRequest(body))
    let number = state.withLock { state in
      state.requests.append(read)
      return state.requests.count - 1
    }
    let answer = answer(number, read)
    switch answer {
    case .take, .takeAndReset:
      let count = state.withLock { state in
        for series in read.series {
          let name = series.labels.first { $0[0] == "__name__" }?[1] ?? ""
          state.taken[name, default: []] += series.points
          state.takenCount += series.points.count
        }
        return state.takenCount
      }
      progressed.yield(count)
      if case .takeAndReset = answer { throw Reset() }
      return HTTPResponse(status: 204, headers: [], body: ByteBuffer())
    case .reset: throw Reset()
    case .status(let status, let retryAfter):
      let headers = retryAfter.map { [(name: "retry-after", value: $0)] } ?? []
      return HTTPResponse(status: status, headers: headers, body: ByteBuffer(string: "no\n\u{1b}[31m thanks"))
    case .never:
      try await Task.sleep(for: .seconds(3600))
      throw Reset()
    }
  }
}

/// Options that lose no time.
func options(_ name: String = "test", _ change: (inout QueueOptions) -> Void = { _ in }) throws -> RemoteWriteOptions {
  var options = RemoteWriteOptions(
    url: try HTTPURL("http://127.0.0.1:9009/api/v1/push"), name: name, userAgent: "pilotfish/test")
  options.queue.minBackoff = .milliseconds(1)
  options.queue.maxBackoff = .milliseconds(4)
  options.queue.batchSendDeadline = .milliseconds(1)
  change(&options.queue)
  return options
}

func quietLog() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// Runs `body` while the storage sends.
func sending(_ storage: RemoteStorage, _ body: () async throws -> Void) async rethrows {
  let task = Task { await storage.run() }
  defer { task.cancel() }
  try await body()
  task.cancel()
  await task.value
}

extension RemoteStorage {
  func series(_ name: String) throws -> SeriesID { try #require(register(LabelSet(pairs: [("__name__", name)]))) }

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
}
