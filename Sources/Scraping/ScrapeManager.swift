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

  private struct Key: Hashable {
    var labels: LabelSet
    var url: String

    init(_ target: Target) {
      labels = target.labels
      url = target.scrapeURL
    }
  }

  private struct State {
    var loops: [Key: ScrapeLoop] = [:]
    /// Removed, and still writing their last markers.
    var ending: [ScrapeLoop] = []
    /// Per job, before targets with equal labels and URL were merged.
    var discovered: [String: Int] = [:]
    /// Per job.
    var pools: [String: PoolMetrics] = [:]
    /// Targets so far.
    var started = 0
    var isStopped = false
  }

  private let environment: ScrapeLoop.Environment
  /// The event loops that targets are given to in turn.
  private let workers: [(eventLoop: any EventLoop, scratch: ScrapeScratch)]
  private let state = Mutex(State())

  /// - Parameters:
  ///   - group: the event loops that the targets are scraped on, in turn.
  ///   - userAgent: what targets see, such as `pilotfish/1.0.0`.
  ///   - hostname, externalLabels: decide, with the target, when in the interval a target is scraped; so two
  ///     replicas scrape at different moments.
  ///   - keepsValues: whether the last values are kept, for `federate`: 8 bytes a series.
  public init(
    sink: any SampleSink, fetcher: any ScrapeFetcher, group: any EventLoopGroup, userAgent: String, hostname: String,
    externalLabels: LabelSet = LabelSet(), bodyLimit: Int = ScrapeManager.defaultBodyLimit, keepsValues: Bool = false
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
      bodyLimit: bodyLimit, keepsValues: keepsValues)
  }

  /// Makes these the targets: new ones are scraped from their next moment on, those that are gone get staleness
  /// markers, the others go on with their settings of now. Of targets with equal labels and URL one is kept.
  /// A job with more targets than it may have scrapes none of them, and all are down.
  public func apply(_ jobs: [JobTargets]) {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.discovered = [:]
      var pools: [String: PoolMetrics] = [:]
      var wanted: [Key: Target] = [:]
      var refusals: [String: String] = [:]
      for job in jobs {
        state.discovered[job.jobName, default: 0] += job.active.count
        if state.pools[job.jobName] == nil { environment.metrics.poolsCreated.add(1, ordering: .relaxed) }
        pools[job.jobName] = state.pools[job.jobName] ?? PoolMetrics()
        pools[job.jobName]?.take(job)
        for target in job.active { wanted[Key(target)] = target }
        if job.targetLimit > 0, job.active.count > job.targetLimit {
          environment.metrics.targetLimits.add(1, ordering: .relaxed)
          refusals[job.jobName] =
            "target_limit exceeded (number of targets: \(job.active.count), limit: \(job.targetLimit))"
        }
      }
      state.pools = pools
      var gone = state.loops.filter { wanted[$0.key] == nil }
      var kept: [Key: ScrapeLoop] = [:]
      for (key, target) in wanted {
        // A target that moved to another URL has the same series, which go on.
        let moved = state.loops[key] == nil ? gone.first { $0.key.labels == key.labels }?.key : nil
        if let loop = state.loops[key] ?? moved.flatMap({ gone.removeValue(forKey: $0) }) {
          loop.update(target)
          kept[key] = loop
        } else {
          let worker = workers[state.started % workers.count]
          state.started += 1
          let loop = ScrapeLoop(target, environment, on: worker.eventLoop, scratch: worker.scratch)
          loop.start()
          kept[key] = loop
        }
        kept[key]?.refuse(refusals[target.jobName])
      }
      for loop in gone.values { end(loop, &state) }
      state.loops = kept
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
      return Array(state.loops.values) + state.ending
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
    let loops = state.withLock { Array($0.loops.values) }
    for loop in loops { loop.forgetLines() }
  }

  func allLoops() -> [ScrapeLoop] { state.withLock { Array($0.loops.values) } }

  /// What all targets say of their families.
  public func metadata() -> [MetricMetadata] {
    let loops = state.withLock { Array($0.loops.values) }
    return loops.flatMap { $0.status.metadata.map(\.metadata) }
  }

  /// How all targets fare, ordered by job and URL.
  public func snapshot() -> [TargetStatus] {
    let loops = state.withLock { Array($0.loops.values) }
    return loops.map(\.status).sorted {
      ($0.target.jobName, $0.target.scrapeURL) < ($1.target.jobName, $1.target.scrapeURL)
    }
  }
}

extension ScrapeManager: MetricSource {
  private static let discovered = MetricFamily.gauge(
    "prometheus_sd_discovered_targets", "Current number of discovered targets.", ["config", "name"])

  public func write(to writer: MetricWriter) {
    var (discovered, pools, loops) = state.withLock { ($0.discovered, $0.pools, Array($0.loops.values)) }
    for status in loops.lazy.map(\.status) {
      pools[status.target.jobName]?.targets += 1
      pools[status.target.jobName]?.metadataEntries += status.metadata.count
      pools[status.target.jobName]?.metadataBytes += status.metadataBytes
    }
    for (job, count) in discovered {
      writer.begin(Self.discovered)
      writer.label(job)
      writer.label("scrape")
      writer.end(Double(count))
    }
    for (job, pool) in pools { pool.write(of: job, to: writer) }
    environment.metrics.write(to: writer)
  }
}
