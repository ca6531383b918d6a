import Exposition
import Glibc
import HTTPClient
import Logging
import NIOCore
import Synchronization

/// Sends samples to one receiver: one dispatcher that forms batches, and a task for each batch on its way.
///
/// A full batch goes at once; a smaller one when its oldest sample has waited `batchSendDeadline`, or when draining.
/// A further batch goes beside those on their way while there are idle lanes that hold it, up to `maxShards`; while
/// the receiver fails, only one beside the one that is tried again, so that an outage is not met with a crowd.
final class RemoteWriter: Sendable {
  private struct State {
    var queue: SampleQueue
    var statistics = RemoteStatistics()
    /// Whether the last attempt found the receiver unwilling.
    var isFailing = false
    var isDraining = false
    /// When the dispatcher wakes up by itself.
    var alarm: ContinuousClock.Instant?
  }

  let options: RemoteWriteOptions
  private let table: SeriesTable
  private let transport: RemoteTransport
  private let decorate: RequestDecorator?
  private let rule: RetryRule
  private let journal: RemoteJournal
  private let state: Mutex<State>
  private let encoder = Mutex(WriteRequestEncoder())
  private let wakeups: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation
  private let emptied: AsyncStream<Void>
  private let emptiedSignal: AsyncStream<Void>.Continuation

  init(
    _ options: RemoteWriteOptions, table: SeriesTable, transport: @escaping RemoteTransport,
    decorate: RequestDecorator?, log: Logger
  ) {
    self.options = options
    self.table = table
    self.transport = transport
    self.decorate = decorate
    rule = RetryRule(retriesTooManyRequests: options.queue.retryOnHTTP429)
    journal = RemoteJournal(name: options.name, url: "\(options.url)", log: log)
    let (capacity, overflow) = options.queue.capacity.multipliedReportingOverflow(by: max(options.queue.maxShards, 1))
    state = Mutex(
      State(
        queue: SampleQueue(capacity: overflow ? .max : capacity, batchSize: options.queue.maxSamplesPerSend)))
    (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    (emptied, emptiedSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Queues samples; never waits. Gives back those that had to go for them.
  func append(_ samples: [Sample]) -> [Sample] {
    var dropped: [Sample] = []
    let mustWake = state.withLock { state in
      state.queue.append(samples, now: .now, dropped: &dropped)
      if !dropped.isEmpty { state.statistics.dropped[.queueFull, default: 0] += UInt64(dropped.count) }
      return state.alarm == nil || state.queue.ready >= state.queue.batchSize
    }
    if mustWake { wake.yield() }
    return dropped
  }

  // MARK: Dispatching

  /// Sends until the task is cancelled. Runs once.
  func run() async {
    await withDiscardingTaskGroup { group in
      wake.yield()
      for await _ in wakeups {
        while let batch = nextBatch() { group.addTask { await self.deliver(batch) } }
        if let alarm = nextAlarm() { group.addTask { await self.ring(at: alarm) } }
      }
      group.cancelAll()
    }
  }

  private func nextBatch() -> SampleQueue.Batch? {
    state.withLock { state in
      guard mayBegin(state) else { return nil }
      let isDue =
        state.isDraining || state.queue.ready >= state.queue.batchSize
        || state.queue.readySince.map { $0 + options.queue.batchSendDeadline <= .now } ?? false
      return isDue ? state.queue.take() : nil
    }
  }

  /// Whether a further batch may be on its way.
  private func mayBegin(_ state: borrowing State) -> Bool {
    let atOnce = state.isFailing ? min(2, options.queue.maxShards) : options.queue.maxShards
    return state.queue.batchesInFlight < max(atOnce, 1)
  }

  /// When a batch that is not full becomes due, if no alarm is set for then or before.
  private func nextAlarm() -> ContinuousClock.Instant? {
    state.withLock { state in
      // Where no further batch may begin, the end of one wakes the dispatcher.
      guard mayBegin(state), let since = state.queue.readySince else { return nil }
      let due = since + options.queue.batchSendDeadline
      if let alarm = state.alarm, alarm <= due { return nil }
      state.alarm = due
      return due
    }
  }

  private func ring(at alarm: ContinuousClock.Instant) async {
    try? await Task.sleep(until: alarm, clock: .continuous)
    state.withLock { if $0.alarm == alarm { $0.alarm = nil } }
    wake.yield()
  }

  // MARK: Sending

  /// Sends a batch until nothing of it is left to be sent, or the task is cancelled.
  private func deliver(_ batch: SampleQueue.Batch) async {
    var batch = batch
    encoder.withLock { $0.order(&batch.samples) }
    var parts = [0..<batch.samples.count]
    while let part = parts.popLast() {
      switch await send(batch.samples[part]) {
      case .done: break
      case .tooLarge:
        let middle = part.lowerBound + part.count / 2
        parts.append(middle..<part.upperBound)
        parts.append(part.lowerBound..<middle)
      case .cancelled: return
      }
    }
    table.letGo(batch.samples)
    let finished = batch
    let isEmpty = state.withLock { state in
      state.queue.finish(finished)
      return state.isDraining && state.queue.isEmpty
    }
    if isEmpty { emptiedSignal.finish() }
    wake.yield()
  }

  private enum Outcome { case done, tooLarge, cancelled }

  /// Sends samples until they are taken or refused for good.
  private func send(_ samples: ArraySlice<Sample>) async -> Outcome {
    var backoff = Backoff(least: options.queue.minBackoff, most: options.queue.maxBackoff)
    var body = ByteBuffer()
    var count = 0
    var oldest = Int64.min
    var attempt = 0
    while true {
      let cutoff = ageCutoff()
      if attempt == 0 || oldest < cutoff {
        (body, count) = encode(samples, notBefore: cutoff)
        oldest = samples.lazy.map(\.timestamp).filter { $0 >= cutoff }.min() ?? .max
        if body.readableBytes > options.queue.maxRequestBytes, samples.count > 1 {
          leaveRetry(attempt)
          return .tooLarge
        }
      }
      guard count > 0 else {
        finish(attempt) { $0.dropped[.tooOld, default: 0] += UInt64(samples.count) }
        return .done
      }
      let answer = await self.attempt(body, attempt)
      if Task.isCancelled, answer.verdict != .sent { return .cancelled }
      switch answer.verdict {
      case .split where samples.count > 1:
        leaveRetry(attempt)
        return .tooLarge
      case .sent, .drop, .split:
        record(answer, samples, count: count, bytes: body.readableBytes, attempt)
        return .done
      case .retry, .hold:
        state.withLock { state in
          state.isFailing = true
          state.statistics.retried += UInt64(count)
        }
        journal.failed(answer.reason, isFirst: attempt == 0)
        attempt += 1
        do {
          try await Task.sleep(for: backoff.delay(retryAfter: answer.retryAfter))
        } catch {
          return .cancelled
        }
      }
    }
  }

  private func encode(_ samples: ArraySlice<Sample>, notBefore cutoff: Int64) -> (ByteBuffer, Int) {
    encoder.withLock { encoder in
      let count = table.withLabels { encoder.encode(samples, notBefore: cutoff, labels: $0) }
      return (count == 0 ? ByteBuffer() : encoder.compressed(), count)
    }
  }

  /// Samples from before this are too old to send; milliseconds since the epoch.
  private func ageCutoff() -> Int64 {
    guard let limit = options.queue.sampleAgeLimit, limit > .zero else { return .min }
    return WallClock.milliseconds - Int64(limit.inSeconds * 1000)
  }

  private struct Answer {
    var verdict: Verdict
    var status = 0
    var reason = ""
    var retryAfter: Duration?
  }

  /// One request, and what its answer means.
  private func attempt(_ body: ByteBuffer, _ attempt: Int) async -> Answer {
    var request = HTTPRequest(method: "POST", url: options.url, headers: headers(attempt), body: body)
    let start = ContinuousClock.now
    defer {
      let duration = ContinuousClock.now - start
      state.withLock { $0.statistics.requestDurations.observe(duration) }
    }
    do {
      try await decorate?(&request)
      let limits = HTTPLimits(timeout: options.timeout, bodyBytes: 1 << 20, redirects: 0)
      let response = try await transport(request, limits)
      let verdict = rule.verdict(on: response.status)
      if verdict == .sent { return Answer(verdict: .sent, status: response.status) }
      return Answer(
        verdict: verdict, status: response.status,
        reason: RemoteJournal.reason(response.status, body: response.body),
        retryAfter: response.header("Retry-After").flatMap {
          RetryAfter.delay($0, now: WallClock.milliseconds / 1000)
        })
    } catch {
      return Answer(verdict: .retry, reason: "\(error)")
    }
  }

  private func headers(_ attempt: Int) -> [(name: String, value: String)] {
    var headers = [
      (name: "Content-Encoding", value: "snappy"),
      (name: "Content-Type", value: "application/x-protobuf"),
      (name: "User-Agent", value: options.userAgent),
      (name: "X-Prometheus-Remote-Write-Version", value: "0.1.0"),
    ]
    if attempt > 0 { headers.append((name: "Retry-Attempt", value: "\(attempt)")) }
    return headers + options.headers
  }

  /// Counts what became of samples.
  private func record(_ answer: Answer, _ samples: ArraySlice<Sample>, count: Int, bytes: Int, _ attempt: Int) {
    let newest = samples.lazy.map(\.timestamp).max() ?? 0
    finish(attempt) { statistics in
      if count < samples.count { statistics.dropped[.tooOld, default: 0] += UInt64(samples.count - count) }
      if answer.verdict == .sent {
        statistics.sent += UInt64(count)
        statistics.bytes += UInt64(bytes)
        statistics.highestSentTimestamp = max(statistics.highestSentTimestamp, newest)
      } else {
        statistics.refused[answer.status, default: 0] += UInt64(count)
      }
    }
    if answer.verdict != .sent { journal.refused(count, status: answer.status, answer.reason) }
  }

  private func finish(_ attempt: Int, _ count: (inout RemoteStatistics) -> Void) {
    state.withLock { state in
      state.isFailing = false
      count(&state.statistics)
    }
    leaveRetry(attempt)
  }

  private func leaveRetry(_ attempt: Int) {
    if attempt > 0 { journal.recovered() }
  }

  // MARK: Draining and showing

  /// From now on every batch goes at once.
  func beginDraining() {
    let isEmpty = state.withLock { state in
      state.isDraining = true
      return state.queue.isEmpty
    }
    if isEmpty { emptiedSignal.finish() }
    wake.yield()
  }

  /// Returns when draining has left nothing, or when the task is cancelled.
  func waitUntilEmpty() async {
    for await _ in emptied {}
  }

  /// Counts what is still queued or on its way as lost by shutdown; says how many samples that is.
  func countRemainderAsLost() -> Int {
    state.withLock { state in
      let lost = state.queue.waiting + state.queue.inFlight
      if lost > 0 { state.statistics.dropped[.shutdown, default: 0] += UInt64(lost) }
      return lost
    }
  }

  func snapshot() -> RemoteSnapshot {
    state.withLock { state in
      let queue = options.queue
      let wanted = (state.queue.waiting + state.queue.inFlight) / state.queue.batchSize + 1
      return RemoteSnapshot(
        name: options.name, url: "\(options.url)", statistics: state.statistics, queue: queue,
        pending: state.queue.waiting + state.queue.inFlight, shards: state.queue.batchesInFlight,
        shardsDesired: min(max(wanted, queue.minShards), queue.maxShards),
        oldestWait: state.queue.waitingSince.map { (ContinuousClock.now - $0).inSeconds } ?? 0)
    }
  }
}

/// The time of day.
enum WallClock {
  /// Milliseconds since the epoch.
  static var milliseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
