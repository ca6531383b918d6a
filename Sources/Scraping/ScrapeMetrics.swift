import Configuration
import Discovery
import Exposition
import Synchronization

/// What scraping shows of itself, under the names of Prometheus (scrape/metrics.go): counted here, and written by
/// `ScrapeManager`.
final class ScrapeMetrics: Sendable {
  let duplicates = Atomic<Int>(0)
  let outOfOrder = Atomic<Int>(0)
  let outOfBounds = Atomic<Int>(0)
  let bodiesTooLarge = Atomic<Int>(0)
  let sampleLimits = Atomic<Int>(0)
  let histogramBucketLimits = Atomic<Int>(0)
  let labelLimits = Atomic<Int>(0)
  let targetLimits = Atomic<Int>(0)
  let poolsCreated = Atomic<Int>(0)
  let poolsReloaded = Atomic<Int>(0)
  /// From the start of a target's scrape to the start of its next, by the interval that is configured.
  private let intervals = Mutex<[Duration: Summary]>([:])
  /// Of more intervals, those are forgotten that were not observed for longest: targets choose theirs by a label.
  private static let intervalLimit = 64

  func count(_ counts: SeriesCache.Counts, _ exceeded: SeriesCache.Exceeded, _ fault: ScrapeError?) {
    func add(_ number: Int, to counter: borrowing Atomic<Int>) {
      if number > 0 { counter.add(number, ordering: .relaxed) }
    }
    add(counts.duplicates, to: duplicates)
    add(counts.outOfOrder, to: outOfOrder)
    add(counts.outOfBounds, to: outOfBounds)
    add(fault?.isBodyTooLarge == true ? 1 : 0, to: bodiesTooLarge)
    add(exceeded.contains(.samples) ? 1 : 0, to: sampleLimits)
    add(exceeded.contains(.histogramBuckets) ? 1 : 0, to: histogramBucketLimits)
    add(exceeded.contains(.labels) ? 1 : 0, to: labelLimits)
  }

  func observe(interval: Duration, length: Duration) {
    intervals.withLock { intervals in
      intervals[interval, default: Summary()].observe(length.seconds, at: .now)
      guard intervals.count > Self.intervalLimit,
        let oldest = intervals.min(by: { $0.value.last ?? .now < $1.value.last ?? .now })?.key
      else { return }
      intervals[oldest] = nil
    }
  }

  // MARK: Families

  private static let counters: [(family: MetricFamily, value: @Sendable (ScrapeMetrics) -> Int)] = [
    (
      .counter(
        "prometheus_target_scrape_pool_exceeded_label_limits_total",
        "Total number of times scrape pools hit the label limits, during sync or config reload."),
      { $0.labelLimits.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrape_pool_exceeded_target_limit_total",
        "Total number of times scrape pools hit the target limit, during sync or config reload."),
      { $0.targetLimits.load(ordering: .relaxed) }
    ),
    (
      .counter("prometheus_target_scrape_pool_reloads_failed_total", "Total number of failed scrape pool reloads."),
      { _ in 0 }
    ),
    (
      .counter("prometheus_target_scrape_pool_reloads_total", "Total number of scrape pool reloads."),
      { $0.poolsReloaded.load(ordering: .relaxed) }
    ),
    (
      .counter("prometheus_target_scrape_pools_failed_total", "Total number of scrape pool creations that failed."),
      { _ in 0 }
    ),
    (
      .counter("prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts."),
      { $0.poolsCreated.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_cache_flush_forced_total",
        "How many times a scrape cache was flushed due to getting big while scrapes are failing."),
      { _ in 0 }
    ),
    (
      .counter(
        "prometheus_target_scrapes_exceeded_body_size_limit_total",
        "Total number of scrapes that hit the body size limit"),
      { $0.bodiesTooLarge.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
        "Total number of scrapes that hit the native histogram bucket limit and were rejected."),
      { $0.histogramBucketLimits.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_exceeded_sample_limit_total",
        "Total number of scrapes that hit the sample limit and were rejected."),
      { $0.sampleLimits.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_exemplar_out_of_order_total",
        "Total number of exemplar rejected due to not being out of the expected order."),
      { _ in 0 }
    ),
    (
      .counter(
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "Total number of samples rejected due to duplicate timestamps but different values."),
      { $0.duplicates.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "Total number of samples rejected due to timestamp falling outside of the time bounds."),
      { $0.outOfBounds.load(ordering: .relaxed) }
    ),
    (
      .counter(
        "prometheus_target_scrapes_sample_out_of_order_total",
        "Total number of samples rejected due to not being out of the expected order."),
      { $0.outOfOrder.load(ordering: .relaxed) }
    ),
  ]
  private static let intervalLength = MetricFamily(
    "prometheus_target_interval_length_seconds", .summary, "Actual intervals between scrapes.")
  /// Of all summaries of scraping.
  fileprivate static let shares = [0.01, 0.05, 0.5, 0.9, 0.99]

  func write(to writer: MetricWriter) {
    for (family, value) in Self.counters { writer.sample(family, Double(value(self))) }
    for (interval, summary) in intervals.withLock({ $0 }) {
      summary.write(
        to: writer, Self.intervalLength, shares: Self.shares, [(name: "interval", value: interval.goText)])
    }
  }
}

/// What is shown of the scrape pool of one job.
struct PoolMetrics {
  /// Of the job, as it was last.
  private(set) var configuration: ScrapeConfiguration?
  var targets = 0
  var targetLimit = 0
  var syncs = 0
  var failedTargets = 0
  var syncLength = Summary()
  var metadataEntries = 0
  var metadataBytes = 0

  private static let gauges: [(family: MetricFamily, value: @Sendable (PoolMetrics) -> Int)] = [
    (
      .gauge(
        "prometheus_target_metadata_cache_bytes",
        "The number of bytes that are currently used for storing metric metadata in the cache", ["scrape_job"]),
      { $0.metadataBytes }
    ),
    (
      .gauge(
        "prometheus_target_metadata_cache_entries", "Total number of metric metadata entries in the cache",
        ["scrape_job"]),
      { $0.metadataEntries }
    ),
    (
      .counter(
        "prometheus_target_scrape_pool_sync_total", "Total number of syncs that were executed on a scrape pool.",
        ["scrape_job"]),
      { $0.syncs }
    ),
    (
      .gauge(
        "prometheus_target_scrape_pool_target_limit", "Maximum number of targets allowed in this scrape pool.",
        ["scrape_job"]),
      { $0.targetLimit }
    ),
    (
      .gauge(
        "prometheus_target_scrape_pool_targets", "Current number of targets in this scrape pool.", ["scrape_job"]),
      { $0.targets }
    ),
    (
      .counter("prometheus_target_sync_failed_total", "Total number of target sync failures.", ["scrape_job"]),
      { $0.failedTargets }
    ),
  ]
  private static let syncLength = MetricFamily(
    "prometheus_target_sync_length_seconds", .summary, "Actual interval to sync the scrape pool.")

  /// Takes what discovery found.
  mutating func take(_ job: JobTargets) {
    configuration = job.job
    targetLimit = job.targetLimit
    syncs += 1
    failedTargets += job.faultCount
    syncLength.observe(job.syncDuration.seconds, at: .now)
  }

  func write(of job: String, to writer: MetricWriter) {
    for (family, value) in Self.gauges {
      writer.begin(family)
      writer.label(job)
      writer.end(Double(value(self)))
    }
    syncLength.write(
      to: writer, Self.syncLength, shares: ScrapeMetrics.shares, [(name: "scrape_job", value: job)])
  }
}
