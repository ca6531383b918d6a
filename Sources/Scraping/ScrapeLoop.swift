import Bytes
import Discovery
import Exposition
import Glibc
import NIOCore
import Synchronization

/// Scrapes one target again and again, each time on its grid, until it is stopped or the target is removed.
///
/// A scrape that takes longer than the interval delays the next one to the next moment of the grid; none is made up
/// for. All happens on one event loop, from the timer to the samples: nothing is handed to another thread.
///
/// `@unchecked Sendable`: what changes is touched on `eventLoop` only, but for `shown`, which has its lock.
final class ScrapeLoop: @unchecked Sendable {
  /// What all loops share.
  struct Environment: Sendable {
    let sink: any SampleSink
    let fetcher: any ScrapeFetcher
    let metrics: ScrapeMetrics
    let userAgent: String
    let offsetSeed: UInt64
    let bodyLimit: Int
    let keepsValues: Bool
    let warden: SeriesGuard?
    let metadataLists = MetadataLists()
  }

  /// How a loop ends.
  private enum Ending {
    /// The target is gone: its series end.
    case removed
    /// The process ends and may come back: its series go on.
    case stopped
  }

  private let environment: Environment
  private let eventLoop: any EventLoop
  private let ended: EventLoopPromise<Void>
  private let shown: Mutex<TargetStatus>

  private var wanted: Target
  private var scraper: TargetScraper
  private var fetch: Result<ScrapeFetch, ScrapeError>?
  private var refusal: ScrapeError?
  private var mustForgetLines = false
  private var ending: Ending?
  private var hasEnded = false
  /// The moment of the grid that the last scrape was made for.
  private var due: Int64?
  /// When the last scrape began.
  private var lastStart: NIODeadline?
  private var timer: Scheduled<Void>?
  /// Breaks off the scrape that runs.
  private var cancelScrape: (() -> Void)?
  private var isScraping = false
  /// The fingerprint of the metadata that is shown.
  private var saidHash = SeriesHash.none

  init(
    _ target: Target, _ environment: Environment, on eventLoop: any EventLoop, scratch: ScrapeScratch
  ) {
    self.environment = environment
    self.eventLoop = eventLoop
    ended = eventLoop.makePromise()
    wanted = target
    shown = Mutex(TargetStatus(target: target))
    scraper = TargetScraper(
      labels: target.labels, sink: environment.sink, metrics: environment.metrics,
      metadataLists: environment.metadataLists, scratch: scratch, keepsValues: environment.keepsValues,
      quota: environment.warden.map { SeriesQuota($0, target) })
  }

  // MARK: From other threads

  var target: Target { shown.withLock { $0.target } }
  var status: TargetStatus { shown.withLock { $0 } }

  func start() { eventLoop.execute { self.waitForNext() } }

  /// Goes on with other settings for the same series: interval, timeout, URL, rules.
  func update(_ target: Target) {
    shown.withLock { $0.target = target }
    eventLoop.execute { self.change(to: target) }
  }

  /// From now on all scrapes fail for this reason, and ask the target nothing; nil: they do not.
  func refuse(_ reason: String?) { eventLoop.execute { self.refusal = reason.map { ScrapeError($0) } } }

  /// Shows the last samples; then calls `done` on the event loop. Series are not released before `endFederation`.
  func federate(to federation: Federation, _ done: @escaping @Sendable () -> Void) {
    eventLoop.execute {
      let samples = self.scraper.hold(since: federation.oldest)
      if !self.hasEnded { federation.take(samples) }
      done()
    }
  }

  func endFederation() { eventLoop.execute { self.scraper.letGo() } }

  /// Gives the series that the last scrape showed to `done`, on the event loop.
  func activeSeries(_ done: @escaping @Sendable ([SeriesID]) -> Void) {
    eventLoop.execute { done(self.hasEnded ? [] : self.scraper.cache.activeSeries()) }
  }

  /// Parses all lines anew in the next scrape.
  func forgetLines() { eventLoop.execute { self.mustForgetLines = true } }

  /// Ends the loop at once; its series get staleness markers.
  func remove() {
    eventLoop.execute {
      self.ending = .removed
      self.breakOff()
    }
  }

  /// Ends the loop after the scrape that runs, if one does.
  func stop() {
    eventLoop.execute {
      if self.ending == nil { self.ending = .stopped }
      if !self.isScraping { self.end() }
    }
  }

  /// Ends the scrape that runs as well.
  func cancel() { eventLoop.execute { self.breakOff() } }

  /// Waits until the loop has ended.
  func wait() async {
    // The promise is only ever fulfilled.
    try? await ended.futureResult.get()
  }

  // MARK: On the event loop

  private func change(to target: Target) {
    let old = wanted
    wanted = target
    scraper.follow(target)
    fetch = nil
    if old.honorLabels != target.honorLabels || old.metricRelabelRules != target.metricRelabelRules
      || old.limits != target.limits || old.names != target.names
      || old.convertsClassicHistograms != target.convertsClassicHistograms
      || old.alwaysScrapeClassicHistograms != target.alwaysScrapeClassicHistograms
    {
      mustForgetLines = true
    }
    if old.interval != target.interval, !isScraping {
      timer?.cancel()
      waitForNext()
    }
  }

  private func waitForNext() {
    guard ending == nil else { return end() }
    let target = wanted
    let grid = ScrapeGrid(
      interval: target.interval, labels: target.labels, url: target.scrapeURL, seed: environment.offsetSeed)
    let now = wallClock()
    let due = grid.next(after: now, last: due)
    timer = eventLoop.scheduleTask(in: .nanoseconds(due - now)) {
      self.timer = nil
      self.due = due
      self.scrape(at: grid.timestamp(due: due, now: wallClock()))
    }
  }

  private func scrape(at timestamp: Int64) {
    let target = wanted
    let start = NIODeadline.now()
    let startTime = wallClock()
    if let lastStart {
      environment.metrics.observe(interval: target.interval, length: .nanoseconds((start - lastStart).nanoseconds))
    }
    lastStart = start
    if mustForgetLines { scraper.forgetLines() }
    mustForgetLines = false
    isScraping = true
    switch prepared(target) {
    case .failure(let error): store(.failure(error), of: target, at: timestamp, start, startTime)
    case .success(let fetch):
      cancelScrape = fetch(
        eventLoop, { self.take($0, of: target, at: timestamp) },
        { self.store($0, of: target, at: timestamp, start, startTime) })
    }
  }

  private func prepared(_ target: Target) -> Result<ScrapeFetch, ScrapeError> {
    if let refusal { return .failure(refusal) }
    if let fetch { return fetch }
    let result: Result<ScrapeFetch, ScrapeError>
    do { result = .success(try environment.fetcher.prepare(request(for: target))) } catch { result = .failure(error) }
    fetch = result
    return result
  }

  private func request(for target: Target) -> ScrapeRequest {
    let limit = target.limits.bodySize
    var request = ScrapeRequest(
      url: target.scrapeURL, timeout: target.timeout, bodyLimit: limit > 0 ? limit - 1 : environment.bodyLimit,
      userAgent: environment.userAgent)
    request.escaping = target.names.escaping
    request.protocols = target.scrapeProtocols
    request.acceptsGzip = target.enableCompression
    request.access = target.access
    return request
  }

  private func take(_ part: ScrapePart, of target: Target, at timestamp: Int64) {
    guard isScraping, !hasEnded else { return }
    scraper.take(part, of: target, fallback: target.fallbackScrapeProtocol?.format, at: timestamp)
  }

  private func store(
    _ answer: Result<ScrapeAnswer, ScrapeError>, of target: Target, at timestamp: Int64, _ start: NIODeadline,
    _ startTime: Int64
  ) {
    guard isScraping, !hasEnded else { return }
    isScraping = false
    cancelScrape = nil
    var duration = Duration.zero
    func elapsed() -> Duration {
      duration = .nanoseconds((NIODeadline.now() - start).nanoseconds)
      return duration
    }
    let fault: ScrapeError?
    switch answer {
    case .success(.collected(let collected)):
      fault = scraper.store(writers: collected.writers, of: target, at: timestamp, elapsed: elapsed)
    case .success(.response(let response)):
      fault = scraper.store(
        .success(response), of: target, fallback: target.fallbackScrapeProtocol?.format, at: timestamp,
        elapsed: elapsed)
    case .failure(let error):
      fault = scraper.store(.failure(error), of: target, at: timestamp, elapsed: elapsed)
    }
    let metadata = scraper.metadata
    shown.withLock { shown in
      if saidHash != metadata.hash {
        shown.metadata = metadata.families
        shown.metadataBytes = metadata.byteCount
        saidHash = metadata.hash
      }
      shown.health = fault == nil ? .up : .down
      shown.lastError = fault?.description ?? ""
      shown.lastScrape = startTime
      shown.lastScrapeDuration = duration
    }
    waitForNext()
  }

  /// Ends at once. A scrape that we ourselves break off says nothing of the target.
  private func breakOff() {
    guard !hasEnded else { return }
    if ending == nil { ending = .stopped }
    isScraping = false
    cancelScrape?()
    end()
  }

  private func end() {
    guard !hasEnded else { return }
    hasEnded = true
    timer?.cancel()
    timer = nil
    cancelScrape = nil
    if ending == .removed {
      scraper.end(interval: wanted.interval)
      environment.fetcher.forget(request(for: wanted), on: eventLoop)
    }
    ended.succeed()
  }
}

/// The wall clock in nanoseconds since the epoch.
func wallClock() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
