import Exposition
import Kernel
import Logging

/// What one run of one collector gave. It does not change any more once it is in a `Gathering`.
// The run writes it on one thread; it is handed over under the runner's lock and only read afterwards.
final class CollectorResult: @unchecked Sendable {
  let writer = MetricWriter()
  /// Seconds; 0 until the run ends.
  var duration = 0.0
  var isSuccess = false
}

/// What the collectors gave for one scrape.
public struct Gathering: Sendable {
  struct Entry: Sendable {
    let collector: String
    /// Nil when the collector did not answer in time.
    let result: CollectorResult?
    /// Seconds.
    let duration: Double
  }

  var entries: [Entry] = []

  private static let duration = MetricFamily.gauge(
    "node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.", ["collector"])
  private static let success = MetricFamily.gauge(
    "node_scrape_collector_success", "node_exporter: Whether a collector succeeded.", ["collector"])

  /// Hands out the writers in the order in which the exposition wants them: of two equal series the earlier stays.
  ///
  /// - Parameter summary: gets how long each collector took and whether it succeeded.
  public func writers(summary: MetricWriter) -> [MetricWriter] {
    for entry in entries {
      summary.begin(Self.duration)
      summary.label(entry.collector)
      summary.end(entry.duration)
    }
    for entry in entries {
      summary.begin(Self.success)
      summary.label(entry.collector)
      summary.end(entry.result?.isSuccess == true ? 1.0 : 0.0)
    }
    return [summary] + entries.compactMap(\.result?.writer)
  }
}

/// Runs collectors, each with a deadline, so that one that hangs in the kernel costs itself and no more.
///
/// A scrape is a job: one worker thread runs its collectors one after the other. When a collector takes longer than
/// `patience`, a second worker goes on with the rest while the first waits for the kernel. At the job's deadline what
/// is there is handed out; a collector that has not answered is reported as failed, goes on alone on its thread, and
/// is not started again before it returns. A job that wants a collector which still runs for an earlier job shares
/// that run.
public final class CollectorRunner: Sendable {
  /// How long a collector may keep the others waiting.
  public static let patience: Duration = .milliseconds(100)

  /// Runs a closure on a new thread of that name.
  typealias ThreadStarter = @Sendable (String, @escaping @Sendable () -> Void) throws(KernelError) -> Void

  public let names: [String]
  private let logger: Logger
  private let startThread: ThreadStarter
  private let state: Monitor<State>

  // MARK: State

  // `collector` and `failure` are used only by the worker that set `isRunning`; the rest is guarded by the monitor.
  private final class Slot: @unchecked Sendable {
    let name: String
    let collector: any Collector
    var isRunning = false
    /// Whether the run has missed a job's deadline: no further job waits for it.
    var isLate = false
    /// The jobs that wait for the run.
    var jobs: [Job] = []
    var spare: CollectorResult? = CollectorResult()
    /// Whether the last run failed, so that a lasting fault is logged once.
    var failure: String?

    init(name: String, collector: any Collector) {
      self.name = name
      self.collector = collector
    }
  }

  // Every access to what changes is made with the monitor's lock held.
  private final class Job: @unchecked Sendable {
    let slots: [Int]
    let start: UInt64
    let deadline: UInt64
    var next = 0
    var results: [Int: CollectorResult] = [:]
    var outstanding: Int
    var completions: [@Sendable (Gathering) -> Void]

    init(slots: [Int], start: UInt64, deadline: UInt64, completion: @escaping @Sendable (Gathering) -> Void) {
      self.slots = slots
      self.start = start
      self.deadline = deadline
      outstanding = slots.count
      completions = [completion]
    }
  }

  private struct State {
    var slots: [Slot]
    /// Jobs with collectors not yet started, oldest first.
    var waiting: [Job] = []
    /// Jobs whose answer is owed.
    var owed: [Job] = []
    /// When the worker that takes new collectors began its present one; nil while none is at work.
    var turnStart: UInt64?
    /// Counts hand-overs: a worker with an older number takes no further collectors.
    var turn = 0
    var hasWatchdog = false
    /// Whether the last attempt to start a thread failed, so that a lasting fault is logged once.
    var lacksThreads = false
  }

  private typealias Answer = (Gathering, @Sendable (Gathering) -> Void)

  // MARK: Starting

  /// - Parameter collectors: in the order in which they are run and shown; of two equal series the earlier's stays.
  ///   The caller uses them no more.
  public convenience init(_ collectors: [(name: String, collector: any Collector)], logger: Logger) {
    self.init(collectors, logger: logger) { name, body throws(KernelError) in try KernelThread.start(name, body) }
  }

  init(
    _ collectors: [(name: String, collector: any Collector)], logger: Logger, startThread: @escaping ThreadStarter
  ) {
    names = collectors.map(\.name)
    self.logger = logger
    self.startThread = startThread
    state = Monitor(State(slots: collectors.map { Slot(name: $0.name, collector: $0.collector) }))
  }

  /// Runs the collectors and hands out what they gave, on a thread of the runner's.
  ///
  /// - Parameters:
  ///   - collectors: indices into `names`.
  ///   - timeout: from now until `completion` is called at the latest.
  public func gather(
    _ collectors: [Int], timeout: Duration, completion: @escaping @Sendable (Gathering) -> Void
  ) {
    guard !collectors.isEmpty else { return completion(Gathering()) }
    let start = MonotonicClock.now
    // A time beyond the clock's end is never reached.
    let (sum, overflow) = start.addingReportingOverflow(timeout.nanoseconds)
    let deadline = overflow ? UInt64.max : sum
    let needsThread: (worker: Int?, watchdog: Bool) = state.withLock { state in
      if let job = state.waiting.last, job.next == 0, job.slots == collectors, job.deadline <= deadline {
        // Nothing of it has begun, and its answer comes in time: this scrape and that one share it.
        job.completions.append(completion)
        return (nil, false)
      }
      let job = Job(slots: collectors, start: start, deadline: deadline, completion: completion)
      state.waiting.append(job)
      state.owed.append(job)
      let startsWatchdog = !state.hasWatchdog
      state.hasWatchdog = true
      if state.turn == 0 {
        state.turn = 1
        return (1, startsWatchdog)
      }
      return (nil, startsWatchdog)
    }
    if let turn = needsThread.worker { startWorker(turn) }
    if needsThread.watchdog { startWatchdog() }
    state.signal()
  }

  /// When there is no thread for it, the watchdog hands the turn on once more, after `patience`.
  private func startWorker(_ turn: Int) {
    guard !start("collectors", { self.work(turn) }) else { return }
    state.withLock { state in
      if state.turn == turn { state.turnStart = MonotonicClock.now }
    }
  }

  /// When there is no thread for it, nobody would answer in time: what is there is handed out now, and the next scrape
  /// tries again.
  private func startWatchdog() {
    guard !start("watchdog", { self.watch() }) else { return }
    let answers = state.withLock { state -> [Answer] in
      state.hasWatchdog = false
      return state.owed.flatMap { Self.giveUp($0, &state).answers }
    }
    for (gathering, completion) in answers { completion(gathering) }
  }

  /// Starts a thread; says whether there was one to be had.
  private func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    do {
      try startThread(name, body)
      state.withLock { $0.lacksThreads = false }
      return true
    } catch {
      let isNew = state.withLock { state in
        defer { state.lacksThreads = true }
        return !state.lacksThreads
      }
      if isNew { logger.error("cannot start a thread", metadata: ["err": "\(error)"]) }
      return false
    }
  }

  // MARK: Working

  /// The life of a worker: takes collectors until a newer worker has the turn.
  private func work(_ turn: Int) {
    while true {
      var answers: [Answer]
      switch nextStep(turn) {
      case .leave: return
      case .answer(let complete): answers = complete
      case .run(let index, let slot, let result):
        let start = MonotonicClock.now
        let failure = run(slot.collector, into: result)
        result.duration = Double(MonotonicClock.now - start) / 1e9
        result.isSuccess = failure == nil
        report(slot, failure)
        answers = finishRun(of: index, with: result)
      }
      for (gathering, completion) in answers { completion(gathering) }
    }
  }

  private enum Step {
    case run(index: Int, slot: Slot, result: CollectorResult)
    case answer([Answer])
    /// A newer worker has the turn.
    case leave
  }

  private func run(_ collector: any Collector, into result: CollectorResult) -> (any Error)? {
    result.writer.removeAll()
    do {
      try collector.collect(into: result.writer)
      return nil
    } catch {
      return error
    }
  }

  /// Waits for something to do.
  private func nextStep(_ turn: Int) -> Step {
    state.wait { state, _ in
      guard state.turn == turn else { return .leave }
      state.turnStart = nil
      while let job = state.waiting.first {
        guard job.next < job.slots.count else {
          state.waiting.removeFirst()
          continue
        }
        let index = job.slots[job.next]
        job.next += 1
        let slot = state.slots[index]
        if slot.isLate {
          job.outstanding -= 1
          if job.outstanding == 0 { return .answer(Self.close(job, &state)) }
          continue
        }
        slot.jobs.append(job)
        if slot.isRunning { continue }
        slot.isRunning = true
        state.turnStart = MonotonicClock.now
        var result = slot.spare.take() ?? CollectorResult()
        if !isKnownUniquelyReferenced(&result) { result = CollectorResult() }
        return .run(index: index, slot: slot, result: result)
      }
      return nil
    }
  }

  /// Gives the result to all jobs that wait for it; those that are complete come back.
  private func finishRun(of index: Int, with result: CollectorResult) -> [Answer] {
    state.withLock { state in
      let slot = state.slots[index]
      slot.isRunning = false
      slot.isLate = false
      slot.spare = result
      let jobs = slot.jobs
      slot.jobs.removeAll(keepingCapacity: true)
      var complete: [Answer] = []
      for job in jobs {
        job.results[index] = result
        job.outstanding -= 1
        if job.outstanding == 0 { complete += Self.close(job, &state) }
      }
      return complete
    }
  }

  /// Takes the job out of the books; its answers are to be given without the lock.
  private static func close(_ job: Job, _ state: inout State) -> [Answer] {
    guard let place = state.owed.firstIndex(where: { $0 === job }) else { return [] }
    state.owed.remove(at: place)
    let now = MonotonicClock.now
    let entries = job.slots.map { index in
      let result = job.results[index]
      return Gathering.Entry(
        collector: state.slots[index].name, result: result,
        duration: result?.duration ?? Double(now - job.start) / 1e9)
    }
    return job.completions.map { (Gathering(entries: entries), $0) }
  }

  private func report(_ slot: Slot, _ failure: (any Error)?) {
    let text = failure.map { "\($0)" }
    defer { slot.failure = text }
    guard let failure, let text else { return }
    let metadata: Logger.Metadata = ["name": "\(slot.name)", "err": "\(text)"]
    if failure is NoData {
      logger.debug("collector returned no data", metadata: metadata)
    } else if slot.failure != text {
      logger.error("collector failed", metadata: metadata)
    }
  }

  // MARK: Watching

  private enum Alarm {
    case handOver(turn: Int)
    case overdue([Answer], late: [String])
  }

  /// The life of the watchdog: asleep while no answer is owed.
  private func watch() {
    while true {
      switch nextAlarm() {
      case .handOver(let turn): startWorker(turn)
      case .overdue(let answers, let late):
        for name in late { logger.warning("collector did not answer in time", metadata: ["name": "\(name)"]) }
        for (gathering, completion) in answers { completion(gathering) }
      }
    }
  }

  /// Answers a job with what is there; nobody waits any longer for the collectors of it that still run.
  private static func giveUp(_ job: Job, _ state: inout State) -> (answers: [Answer], late: [String]) {
    let late = state.slots.filter { slot in slot.jobs.contains { $0 === job } }
    for slot in late {
      slot.isLate = true
      slot.jobs.removeAll { $0 === job }
    }
    state.waiting.removeAll { $0 === job }
    return (close(job, &state), late.map(\.name))
  }

  private func nextAlarm() -> Alarm {
    state.wait { state, deadline in
      let now = MonotonicClock.now
      if let job = state.owed.first(where: { $0.deadline <= now }) {
        let (answers, late) = Self.giveUp(job, &state)
        return .overdue(answers, late: late)
      }
      if let start = state.turnStart, now - start >= Self.patience.nanoseconds {
        state.turnStart = nil
        state.turn += 1
        return .handOver(turn: state.turn)
      }
      guard !state.owed.isEmpty else { return nil }
      deadline = min(state.owed.map(\.deadline).min() ?? .max, (state.turnStart ?? now) + Self.patience.nanoseconds)
      return nil
    }
  }
}

extension Duration {
  /// Whole nanoseconds; 0 when negative, the largest number when it does not fit.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, sumOverflow) = product.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return overflow || sumOverflow ? .max : sum
  }
}
