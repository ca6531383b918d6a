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
  private(set) var metadata = TargetMetadata()
  private let sink: any SampleSink
  private let counters: ScrapeCounters
  private let metadataLists: MetadataLists
  private let pinned: [Int]
  /// The timestamp of the last scrape, milliseconds since the epoch; nil before the first.
  private(set) var lastTimestamp: Int64?

  init(
    labels: LabelSet, sink: any SampleSink, counters: ScrapeCounters, metadataLists: MetadataLists = MetadataLists()
  ) {
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
  ///   - time: of the scrape, milliseconds since the epoch.
  ///   - elapsed: gives how long the scrape took, when all is parsed.
  /// - Returns: why the scrape counts as failed; nil when it is good.
  mutating func store(
    _ answer: Result<ScrapeResponse, ScrapeError>, of target: Target, at time: Int64, elapsed: () -> Duration
  ) -> ScrapeError? {
    var counts = SeriesCache.Counts()
    cache.begin()
    var fault: ScrapeError?
    switch answer {
    case .failure(let error): fault = error
    case .success(let response):
      fault = response.fault ?? read(response.body, of: target, at: time, &counts)
    }
    if fault == nil { cache.finish(at: time) } else { cache.fail(at: time) }
    counters.count(counts, fault)
    let report = Report(isUp: fault == nil, duration: elapsed(), counts: counts)
    for (index, series) in pinned.enumerated() { cache.report(series, Self.reports[index].value(report), at: time) }
    flush()
    lastTimestamp = time
    return fault
  }

  /// Ends all series of the target with staleness markers one interval after the last scrape.
  mutating func end(interval: Duration) {
    cache.end(at: (lastTimestamp ?? 0) + interval.nanoseconds / 1_000_000)
    flush()
  }

  private mutating func read(
    _ body: ByteBuffer, of target: Target, at time: Int64, _ counts: inout SeriesCache.Counts
  ) -> ScrapeError? {
    body.withUnsafeReadableBytes { bytes in
      do throws(ScrapeError) {
        try cache.read(
          RawSpan(_unsafeBytes: bytes), labels: target.labels, honorLabels: target.honorLabels,
          honorTimestamps: target.honorTimestamps, at: time, counts: &counts)
        metadata.update(RawSpan(_unsafeBytes: bytes), sharing: metadataLists)
        return nil
      } catch { return error }
    }
  }

  private func flush() {
    if !cache.samples.isEmpty { sink.append(cache.samples) }
    if !cache.released.isEmpty { sink.release(cache.released) }
  }
}
