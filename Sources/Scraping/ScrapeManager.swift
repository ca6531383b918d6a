import Bytes
import Discovery
import Exposition
import NIOCore
import Synchronization

/// Keeps one scrape loop for each target, and follows what discovery finds.
public final class ScrapeManager: Sendable {
  /// Where a job has no `body_size_limit`, bodies longer than this fail their scrape: 1 GiB after decompression,
  /// millions of series. Prometheus has no limit by default; an endless body must not take the host's memory.
  public static let defaultBodyLimit = 1 << 30

  private struct Scraped {
    let loop: ScrapeLoop
    let identity: Target.Identity
    /// Of the last `apply`.
    var round: Int

    mutating func touch(_ round: Int) { self.round = round }
  }

  private struct State {
    /// By the target's revision: one that is as it was is found without a look at its labels.
    var scraped: [ObjectIdentifier: Scraped] = [:]
    var revisions: [Target.Identity: Target.Revision] = [:]
    var round = 0
    /// Removed, and still writing their last markers.
    var ending: [ScrapeLoop] = []
    /// Per job.
    var pools: [String: PoolMetrics] = [:]
    /// Why jobs are not scraped, by their names.
    var refusals: [String: String] = [:]
    /// Targets so far.
    var started = 0
    var isStopped = false

    var loops: [ScrapeLoop] { scraped.values.map(\.loop) }
  }

  private let environment: ScrapeLoop.Environment
  /// The event loops that targets are given to in turn.
  private let workers: [(eventLoop: any EventLoop, scratch: ScrapeScratch)]
  private let state = Mutex(State())
  let federations = FederationQueue()

  /// - Parameters:
  ///   - group: the event loops that the targets are scraped on, in turn.
  ///   - userAgent: what targets see, such as `pilotfish/1.0.0`.
  ///   - hostname, externalLabels: decide, with the target, when in the interval a target is scraped; so two
  ///     replicas scrape at different moments.
  ///   - keepsValues: whether the last values are kept, for `federate`: 8 bytes a series.
  ///   - warden: refuses new series over its ceilings; nil: all are taken.
  public init(
    sink: any SampleSink, fetcher: any ScrapeFetcher, group: any EventLoopGroup, userAgent: String, hostname: String,
    externalLabels: LabelSet = LabelSet(), bodyLimit: Int = ScrapeManager.defaultBodyLimit, keepsValues: Bool = false,
    warden: SeriesGuard? = nil
  ) {
    workers = group.makeIterator().map { ($0, ScrapeScratch()) }
    var seed = FNV1a()
    seed.combine(hostname.utf8.span.bytes)
    for index in 0..<externalLabels.count {
      seed.combine(0xff)
      seed.combine(externalLabels.name(at: index))
      seed.combine(0xff)
      seed.combine(externalLabels.value(at: index))
    }
    environment = ScrapeLoop.Environment(
      sink: sink, fetcher: fetcher, metrics: ScrapeMetrics(), userAgent: userAgent, offsetSeed: seed.value,
      bodyLimit: bodyLimit, keepsValues: keepsValues, warden: warden)
  }

  /// Makes these the targets: new ones are scraped from their next moment on, those that are gone get staleness
  /// markers, the others go on with their settings of now. Of targets with equal labels and URL one is kept. A job with
  /// more targets than it may have scrapes none of them, and all are down.
  public func apply(_ jobs: [JobTargets]) {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.round += 1
      let round = state.round
      var new: [Target] = []
      takePools(jobs, &state)
      for job in jobs {
        for target in job.targets {
          if state.scraped[ObjectIdentifier(target.revision)]?.touch(round) == nil { new.append(target) }
        }
      }
      var gone = Gone(state.scraped.filter { $0.value.round != round })
      for target in new { take(target, instead: &gone, &state) }
      for (revision, scraped) in gone.scraped {
        forget(revision, scraped.identity, &state)
        end(scraped.loop, &state)
      }
      refuse(jobs, &state)
    }
  }

  private func takePools(_ jobs: [JobTargets], _ state: inout State) {
    var pools: [String: PoolMetrics] = [:]
    for job in jobs {
      let known = state.pools[job.jobName]
      if known == nil {
        environment.metrics.poolsCreated.add(1, ordering: .relaxed)
      } else if known?.configuration != job.job {
        environment.metrics.poolsReloaded.add(1, ordering: .relaxed)
      }
      pools[job.jobName] = known ?? PoolMetrics()
      pools[job.jobName]?.take(job)
    }
    state.pools = pools
  }

  /// Refuses the targets of jobs that have too many.
  private func refuse(_ jobs: [JobTargets], _ state: inout State) {
    var refusals: [String: String] = [:]
    // Equal ones count once, which is looked at only where it matters.
    for job in jobs where job.targetLimit > 0 && job.activeCount > job.targetLimit {
      let count = job.active.count
      guard count > job.targetLimit else { continue }
      environment.metrics.targetLimits.add(1, ordering: .relaxed)
      refusals[job.jobName] = "target_limit exceeded (number of targets: \(count), limit: \(job.targetLimit))"
    }
    if !refusals.isEmpty || !state.refusals.isEmpty {
      for loop in state.loops { loop.refuse(refusals[loop.target.jobName]) }
    }
    state.refusals = refusals
  }

  /// A target that is new, or other than it was.
  private func take(_ target: Target, instead gone: inout Gone, _ state: inout State) {
    let identity = target.identity
    let same = state.revisions[identity].map { ObjectIdentifier($0) }
    if let same, gone.scraped[same] == nil { return }
    let loop: ScrapeLoop
    // A target that moved to another URL has the same series, which go on.
    if let (revision, old) = gone.take(same, labels: identity.labels) {
      forget(revision, old.identity, &state)
      loop = old.loop
      loop.update(target)
    } else {
      let worker = workers[state.started % workers.count]
      state.started += 1
      loop = ScrapeLoop(target, environment, on: worker.eventLoop, scratch: worker.scratch)
      loop.start()
    }
    state.scraped[ObjectIdentifier(target.revision)] = Scraped(loop: loop, identity: identity, round: state.round)
    state.revisions[identity] = target.revision
  }

  private func forget(_ revision: ObjectIdentifier, _ identity: Target.Identity, _ state: inout State) {
    state.scraped[revision] = nil
    if let kept = state.revisions[identity], ObjectIdentifier(kept) == revision { state.revisions[identity] = nil }
  }

  /// Those that are not among the targets any more, unless new ones go on with their series.
  private struct Gone {
    private(set) var scraped: [ObjectIdentifier: Scraped]
    private var places: [LabelSet: [ObjectIdentifier]]

    init(_ scraped: [ObjectIdentifier: Scraped]) {
      self.scraped = scraped
      places = Dictionary(grouping: scraped.keys) { scraped[$0]?.identity.labels ?? LabelSet() }
    }

    /// Takes out the one, or else any with these labels.
    mutating func take(_ revision: ObjectIdentifier?, labels: LabelSet) -> (ObjectIdentifier, Scraped)? {
      if let revision, let found = scraped.removeValue(forKey: revision) { return (revision, found) }
      while let revision = places[labels]?.popLast() {
        if let found = scraped.removeValue(forKey: revision) { return (revision, found) }
      }
      return nil
    }
  }

  private func end(_ loop: ScrapeLoop, _ state: inout State) {
    loop.remove()
    state.ending.append(loop)
    Task {
      await loop.wait()
      self.state.withLock { $0.ending.removeAll { $0 === loop } }
    }
  }

  /// Ends all scraping: those scrapes that run may end within `bound`, then they are broken off. No staleness markers
  /// are written, for the process may come back.
  public func stop(within bound: Duration) async {
    let loops = state.withLock { state in
      state.isStopped = true
      return state.loops + state.ending
    }
    for loop in loops { loop.stop() }
    let watchdog = Task {
      try await Task.sleep(for: bound)
      for loop in loops { loop.cancel() }
    }
    for loop in loops { await loop.wait() }
    watchdog.cancel()
  }

  /// Parses all lines of all targets anew in their next scrapes: what series are made of has changed.
  public func forgetLines() {
    let loops = state.withLock { $0.loops }
    for loop in loops { loop.forgetLines() }
  }

  func allLoops() -> [ScrapeLoop] { state.withLock { $0.loops } }

  /// What all targets say of their families.
  public func metadata() -> [MetricMetadata] {
    let loops = state.withLock { $0.loops }
    return loops.flatMap { $0.status.metadata.map(\.metadata) }
  }

  /// The series that each target's last scrape showed, which are those that its next one will most likely store; series
  /// about the scrape included, those that were dropped or refused not.
  public func activeSeries() async -> [(target: Target, series: [SeriesID])] {
    var all: [(target: Target, series: [SeriesID])] = []
    for loop in allLoops() {
      let series = await withCheckedContinuation { continuation in
        loop.activeSeries { continuation.resume(returning: $0) }
      }
      if !series.isEmpty { all.append((loop.target, series)) }
    }
    return all
  }

  /// How all targets fare, ordered by job and URL.
  public func snapshot() -> [TargetStatus] {
    let loops = state.withLock { $0.loops }
    return loops.map(\.status).sorted {
      ($0.target.jobName, $0.target.scrapeURL) < ($1.target.jobName, $1.target.scrapeURL)
    }
  }
}

extension ScrapeManager: MetricSource {
  public func write(to writer: MetricWriter) {
    var (pools, loops) = state.withLock { ($0.pools, $0.loops) }
    for status in loops.lazy.map(\.status) {
      pools[status.target.jobName]?.targets += 1
      pools[status.target.jobName]?.metadataEntries += status.metadata.count
      pools[status.target.jobName]?.metadataBytes += status.metadataBytes
    }
    for (job, pool) in pools { pool.write(of: job, to: writer) }
    environment.metrics.write(to: writer)
  }
}
