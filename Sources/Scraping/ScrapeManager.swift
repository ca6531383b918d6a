import Bytes
import Discovery
import Exposition
import NIOCore
import Synchronization

/// Keeps one scrape loop for each target, and follows what discovery finds.
public final class ScrapeManager: Sendable {
  /// Bodies longer than this fail their scrape: 128 MiB after decompression, a million series and more. Prometheus
  /// has no limit by default; an endless body must not take the host's memory.
  public static let defaultBodyLimit = 128 << 20

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
  public init(
    sink: any SampleSink, fetcher: any ScrapeFetcher, group: any EventLoopGroup, userAgent: String, hostname: String,
    externalLabels: LabelSet = LabelSet(), bodyLimit: Int = ScrapeManager.defaultBodyLimit
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
      sink: sink, fetcher: fetcher, counters: ScrapeCounters(), userAgent: userAgent, offsetSeed: seed.value,
      bodyLimit: bodyLimit)
  }

  /// Makes these the targets: new ones are scraped from their next moment on, those that are gone get staleness
  /// markers, the others go on with their settings of now. Of targets with equal labels and URL one is kept.
  public func apply(_ targets: [Target]) {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.discovered = [:]
      var wanted: [Key: Target] = [:]
      for target in targets {
        state.discovered[target.jobName, default: 0] += 1
        wanted[Key(target)] = target
      }
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
  private static let targets = MetricFamily.gauge(
    "prometheus_target_scrape_pool_targets", "Current number of targets in this scrape pool.", ["scrape_job"])
  private static let bodiesTooLarge = MetricFamily.counter(
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "Total number of scrapes that hit the body size limit")
  private static let duplicates = MetricFamily.counter(
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "Total number of samples rejected due to duplicate timestamps but different values.")
  private static let outOfBounds = MetricFamily.counter(
    "prometheus_target_scrapes_sample_out_of_bounds_total",
    "Total number of samples rejected due to timestamp falling outside of the time bounds.")
  private static let outOfOrder = MetricFamily.counter(
    "prometheus_target_scrapes_sample_out_of_order_total",
    "Total number of samples rejected due to not being out of the expected order.")

  public func write(to writer: MetricWriter) {
    let (discovered, loops) = state.withLock { ($0.discovered, Array($0.loops.values)) }
    var active: [String: Int] = [:]
    for loop in loops { active[loop.target.jobName, default: 0] += 1 }
    for (job, count) in discovered {
      writer.begin(Self.discovered)
      writer.label(job)
      writer.label("scrape")
      writer.end(Double(count))
    }
    for (job, count) in active {
      writer.begin(Self.targets)
      writer.label(job)
      writer.end(Double(count))
    }
    let counters = environment.counters
    for (family, counter) in [
      (Self.bodiesTooLarge, counters.bodiesTooLarge.load(ordering: .relaxed)),
      (Self.duplicates, counters.duplicates.load(ordering: .relaxed)),
      (Self.outOfBounds, counters.outOfBounds.load(ordering: .relaxed)),
      (Self.outOfOrder, counters.outOfOrder.load(ordering: .relaxed)),
    ] {
      writer.sample(family, Double(counter))
    }
  }
}
