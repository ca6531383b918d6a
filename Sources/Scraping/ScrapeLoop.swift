import Discovery
import Exposition
import Glibc
import Synchronization

/// Scrapes one target again and again, each time on its grid, until it is stopped or the target is removed.
///
/// A scrape that takes longer than the interval delays the next one to the next moment of the grid; none is made up
/// for. All of a target's parsing happens in its one task.
final class ScrapeLoop: Sendable {
  /// What all loops share.
  struct Environment: Sendable {
    let sink: any SampleSink
    let fetcher: any ScrapeFetcher
    let counters: ScrapeCounters
    let userAgent: String
    let offsetSeed: UInt64
    let bodyLimit: Int
    let metadataLists = MetadataLists()
  }

  /// How a loop ends.
  private enum Ending {
    /// The target is gone: its series end.
    case removed
    /// The process ends and may come back: its series go on.
    case stopped
  }

  private struct State {
    var target: Target
    var mustForgetLines = false
    var ending: Ending?
    /// Waits for the next moment of the grid; nil while a scrape runs.
    var sleeper: Task<Void, Never>?
    var task: Task<Void, Never>?
    var status: TargetStatus
  }

  private let environment: Environment
  private let state: Mutex<State>

  init(_ target: Target, _ environment: Environment) {
    self.environment = environment
    state = Mutex(State(target: target, status: TargetStatus(target: target)))
  }

  var target: Target { state.withLock { $0.target } }
  var status: TargetStatus { state.withLock { $0.status } }

  func start() {
    let task = Task { await self.run() }
    state.withLock { $0.task = task }
  }

  /// Goes on with other settings for the same series: interval, timeout, URL, rules.
  func update(_ target: Target) {
    state.withLock { state in
      let old = state.target
      if old.honorLabels != target.honorLabels { state.mustForgetLines = true }
      state.target = target
      state.status.target = target
      if old.interval != target.interval { state.sleeper?.cancel() }
    }
  }

  /// Ends the loop at once; its series get staleness markers.
  func remove() {
    let task = state.withLock { state in
      state.ending = .removed
      state.sleeper?.cancel()
      return state.task
    }
    task?.cancel()
  }

  /// Ends the loop after the scrape that runs, if one does.
  func stop() {
    state.withLock { state in
      if state.ending == nil { state.ending = .stopped }
      state.sleeper?.cancel()
    }
  }

  /// Ends the scrape that runs as well.
  func cancel() { state.withLock { $0.task }?.cancel() }

  /// Waits until the loop has ended.
  func wait() async { await state.withLock { $0.task }?.value }

  // MARK: The task

  private func run() async {
    var scraper = TargetScraper(
      labels: target.labels, sink: environment.sink, counters: environment.counters,
      metadataLists: environment.metadataLists)
    var due: Int64?
    while let moment = await waitForNext(after: due) {
      due = moment.due
      let (target, mustForgetLines) = state.withLock { state in
        defer { state.mustForgetLines = false }
        return (state.target, state.mustForgetLines)
      }
      if mustForgetLines { scraper.forgetLines() }
      await scrape(target, with: &scraper, at: moment.timestamp)
    }
    let (target, ending) = state.withLock { ($0.target, $0.ending) }
    if ending == .removed { scraper.end(interval: target.interval) }
  }

  /// Waits for the next moment of the grid; nil when the loop is to end.
  private func waitForNext(after last: Int64?) async -> (due: Int64, timestamp: Int64)? {
    while true {
      let target = target
      let grid = ScrapeGrid(
        interval: target.interval, labels: target.labels, url: target.scrapeURL, seed: environment.offsetSeed)
      let now = wallClock()
      let due = grid.next(after: now, last: last)
      let sleeper = Task { _ = try? await Task.sleep(for: .nanoseconds(due - now), tolerance: .zero) }
      let mustEnd = state.withLock { state in
        state.sleeper = sleeper
        return state.ending != nil
      }
      if mustEnd { sleeper.cancel() }
      await sleeper.value
      let (isEnding, isUnchanged) = state.withLock { state in
        state.sleeper = nil
        return (state.ending != nil, state.target.interval == target.interval)
      }
      if isEnding { return nil }
      // Woken because the interval has changed: wait anew.
      if isUnchanged { return (due, grid.timestamp(due: due, now: wallClock())) }
    }
  }

  private func scrape(_ target: Target, with scraper: inout TargetScraper, at timestamp: Int64) async {
    let clock = ContinuousClock()
    let start = clock.now
    let startTime = wallClock()
    let request = ScrapeRequest(
      url: target.scrapeURL, timeout: target.timeout, bodyLimit: environment.bodyLimit,
      userAgent: environment.userAgent)
    let answer: Result<ScrapeResponse, ScrapeError>
    do throws(ScrapeError) {
      answer = .success(try await environment.fetcher.fetch(request))
    } catch {
      // A scrape that we ourselves broke off says nothing of the target.
      if Task.isCancelled { return }
      answer = .failure(error)
    }
    var duration = Duration.zero
    let fault = scraper.store(answer, of: target, at: timestamp) {
      duration = clock.now - start
      return duration
    }
    let metadata = scraper.metadata.families
    state.withLock { state in
      state.status.metadata = metadata
      state.status.health = fault == nil ? .up : .down
      state.status.lastError = fault?.description ?? ""
      state.status.lastScrape = startTime
      state.status.lastScrapeDuration = duration
    }
  }
}

/// The wall clock in nanoseconds since the epoch.
func wallClock() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
