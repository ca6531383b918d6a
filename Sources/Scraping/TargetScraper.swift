import Bytes
import Discovery
import Exposition
import NIOCore

/// Turns the answers of one target into samples: its own, `up` and the four other series about the scrape, and
/// staleness markers; all of one scrape in one append.
struct TargetScraper {
  /// The series about a scrape, and what each says of it.
  private static let reports: [(name: String, value: @Sendable (Report) -> Double)] = [
    ("up", { $0.isUp ? 1 : 0 }),
    ("scrape_duration_seconds", { $0.duration.seconds }),
    ("scrape_samples_scraped", { Double($0.counts.scraped) }),
    ("scrape_samples_post_metric_relabeling", { Double($0.counts.kept) }),
    ("scrape_series_added", { Double($0.counts.added) }),
  ]

  private struct Report {
    var isUp: Bool
    var duration: Duration
    var counts: SeriesCache.Counts
  }

  private(set) var cache: SeriesCache
  var metadata: TargetMetadata { cache.metadata }
  private let sink: any SampleSink
  private let counters: ScrapeCounters
  private let metadataLists: MetadataLists
  private let pinned: [Int]
  private let scratch: ScrapeScratch
  /// The timestamp of the last scrape, milliseconds since the epoch; nil before the first.
  private(set) var lastTimestamp: Int64?

  init(
    labels: LabelSet, sink: any SampleSink, counters: ScrapeCounters, metadataLists: MetadataLists = MetadataLists(),
    scratch: ScrapeScratch = ScrapeScratch()
  ) {
    self.scratch = scratch
    self.metadataLists = metadataLists
    self.sink = sink
    self.counters = counters
    var cache = SeriesCache(sink: sink)
    pinned = Self.reports.map { report in
      var labels = labels
      labels.set("__name__".utf8.span.bytes, to: report.name.utf8.span.bytes)
      labels.removeEmpty()
      labels.sort()
      return cache.pin(labels)
    }
    self.cache = cache
  }

  /// Parses all lines anew in the next scrape, for the target's rules have changed.
  mutating func forgetLines() { cache.forgetLines() }

  /// Stores what the target answered, or that it did not.
  ///
  /// - Parameters:
  ///   - fallback: what an answer without a usable Content-Type is taken for; nil makes it a failure.
  ///   - time: of the scrape, milliseconds since the epoch.
  ///   - elapsed: gives how long the scrape took, when all is parsed.
  /// - Returns: why the scrape counts as failed; nil when it is good.
  mutating func store(
    _ answer: Result<ScrapeResponse, ScrapeError>, of target: Target, fallback: ExpositionFormat? = nil, at time: Int64,
    elapsed: () -> Duration
  ) -> ScrapeError? {
    store(at: time, elapsed: elapsed) { cache, counts throws(ScrapeError) in
      let response = try answer.get()
      let format = try response.format(fallback: fallback)
      let terms = SeriesCache.Terms(target, at: time)
      try response.body.withUnsafeReadableBytes { bytes throws(ScrapeError) in
        try cache.read(RawSpan(_unsafeBytes: bytes), as: format, terms, counts: &counts)
      }
    }
  }

  /// Stores what collectors of this process wrote, as if the target had answered it.
  mutating func store(
    writers: [MetricWriter], of target: Target, at time: Int64, elapsed: () -> Duration
  ) -> ScrapeError? {
    store(at: time, elapsed: elapsed) { cache, counts throws(ScrapeError) in
      try cache.read(writers, SeriesCache.Terms(target, at: time), counts: &counts)
    }
  }

  private mutating func store(
    at time: Int64, elapsed: () -> Duration,
    _ read: (inout SeriesCache, inout SeriesCache.Counts) throws(ScrapeError) -> Void
  ) -> ScrapeError? {
    var counts = SeriesCache.Counts()
    var fault: ScrapeError?
    let said = cache.metadata.hash
    cache.exchangeSamples(&scratch.samples)
    cache.begin()
    do throws(ScrapeError) { try read(&cache, &counts) } catch { fault = error }
    if cache.metadata.hash != said { cache.metadata.share(metadataLists) }
    if fault == nil { cache.finish(at: time) } else { cache.fail(at: time) }
    counters.count(counts, fault)
    let report = Report(isUp: fault == nil, duration: elapsed(), counts: counts)
    for (index, series) in pinned.enumerated() { cache.report(series, Self.reports[index].value(report), at: time) }
    flush()
    cache.exchangeSamples(&scratch.samples)
    lastTimestamp = time
    return fault
  }

  /// Ends all series of the target with staleness markers one interval after the last scrape.
  mutating func end(interval: Duration) {
    cache.end(at: (lastTimestamp ?? 0) + interval.nanoseconds / 1_000_000)
    flush()
  }

  private func flush() {
    if !cache.samples.isEmpty { sink.append(cache.samples, cache.attachments) }
    if !cache.released.isEmpty { sink.release(cache.released) }
  }
}

/// Memory that the targets of one event loop use in turn: only one of them stores samples at a time.
///
/// `@unchecked Sendable`: it is touched on that event loop only.
final class ScrapeScratch: @unchecked Sendable {
  var samples: [Sample] = []
}

extension SeriesCache.Terms {
  init(_ target: Target, at time: Int64) {
    self.init(
      labels: target.labels, honorLabels: target.honorLabels, honorTimestamps: target.honorTimestamps,
      rules: target.metricRelabelRules, time: time)
  }
}
