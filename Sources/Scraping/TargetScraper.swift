import Bytes
import Discovery
import Exposition
import NIOCore

/// Turns the answers of one target into samples: its own, `up` and the other series about the scrape, and staleness
/// markers; all of one scrape in one append.
struct TargetScraper {
  /// The series about a scrape, and what each says of it; the last three only with `extra_scrape_metrics`.
  private static let reports: [(name: String, value: @Sendable (Report) -> Double)] = [
    ("up", { $0.isUp ? 1 : 0 }),
    ("scrape_duration_seconds", { $0.duration.seconds }),
    ("scrape_samples_scraped", { Double($0.counts.scraped) }),
    ("scrape_samples_post_metric_relabeling", { Double($0.counts.kept) }),
    ("scrape_series_added", { Double($0.counts.added) }),
    ("scrape_timeout_seconds", { $0.timeout.seconds }),
    ("scrape_sample_limit", { Double($0.sampleLimit) }),
    ("scrape_body_size_bytes", { Double($0.bodySize) }),
  ]
  private static let extraReports = 3

  private struct Report {
    var isUp: Bool
    var duration: Duration
    var counts: SeriesCache.Counts
    var timeout: Duration
    var sampleLimit: Int
    /// Bytes; -1 when they were too many, and 0 when there was no answer.
    var bodySize: Int
  }

  /// An answer that comes in parts.
  private struct Arrival {
    var contentType: String?
    /// Of the body in bytes, if it is known.
    var length: Int?
    /// Bytes that have come.
    var size = 0
    /// What waits to be whole; nil when the first part was all.
    var parts: ExpositionParts?
    var counts = SeriesCache.Counts()
    var fault: ScrapeError?

    init(contentType: String?, length: Int?) {
      self.contentType = contentType
      self.length = length
    }
  }

  private(set) var cache: SeriesCache
  var metadata: TargetMetadata { cache.metadata }
  private let sink: any SampleSink
  private let metrics: ScrapeMetrics
  private let metadataLists: MetadataLists
  private let labels: LabelSet
  /// The series of `reports`, by their order.
  private var pinned: [Int] = []
  private let scratch: ScrapeScratch
  /// The timestamp of the last scrape, milliseconds since the epoch; nil before the first.
  private(set) var lastTimestamp: Int64?
  /// What has come of the answer to the scrape that runs.
  private var arrival: Arrival?
  /// How many read the labels of the series elsewhere; meanwhile none is released.
  private var holds = 0
  private var held: [SeriesID] = []
  /// The fingerprint of the metadata that was shared.
  private var saidHash = SeriesHash.none

  init(
    labels: LabelSet, sink: any SampleSink, metrics: ScrapeMetrics, metadataLists: MetadataLists = MetadataLists(),
    scratch: ScrapeScratch = ScrapeScratch(), keepsValues: Bool = false, quota: SeriesQuota? = nil
  ) {
    self.scratch = scratch
    self.metadataLists = metadataLists
    self.sink = sink
    self.metrics = metrics
    self.labels = labels
    cache = SeriesCache(sink: sink, keepsValues: keepsValues, quota: quota)
    pinReports(withExtra: false)
  }

  /// Registers the series about the scrape that are missing, or gives up those that are not wanted any more.
  private mutating func pinReports(withExtra: Bool) {
    let wanted = Self.reports.count - (withExtra ? 0 : Self.extraReports)
    while pinned.count > wanted { cache.unpin(pinned.removeLast()) }
    for report in Self.reports[pinned.count..<wanted] {
      var labels = labels
      labels.set("__name__".utf8.span.bytes, to: report.name.utf8.span.bytes)
      labels.removeEmpty()
      labels.sort()
      pinned.append(cache.pin(labels))
    }
  }

  /// The target's job or interval may be another one now.
  mutating func follow(_ target: Target) { cache.quota?.follow(target) }

  /// Parses all lines anew in the next scrape, for the target's rules have changed.
  mutating func forgetLines() { cache.forgetLines() }

  // MARK: An answer

  /// Takes a part of the target's answer, before `store` is called.
  ///
  /// - Parameters:
  ///   - fallback: what an answer without a usable Content-Type is taken for; nil makes it a failure.
  ///   - time: of the scrape, milliseconds since the epoch.
  mutating func take(_ part: ScrapePart, of target: Target, fallback: ExpositionFormat? = nil, at time: Int64) {
    switch part {
    case .head(let contentType, let length):
      arrival = Arrival(contentType: contentType, length: length)
    case .bytes(let bytes):
      guard var arrival, bytes.readableBytes > 0 else { return }
      self.arrival = nil
      do throws(ScrapeError) {
        try take(bytes, &arrival, of: target, fallback, at: time)
      } catch {
        arrival.fault = error
      }
      arrival.size += bytes.readableBytes
      self.arrival = arrival
    }
  }

  private mutating func take(
    _ part: ByteBuffer, _ arrival: inout Arrival, of target: Target, _ fallback: ExpositionFormat?, at time: Int64
  ) throws(ScrapeError) {
    // Behind a fault only the length is of interest.
    if arrival.fault != nil { return }
    let isFirst = arrival.size == 0
    if isFirst {
      begin(target)
      let response = ScrapeResponse(status: 200, contentType: arrival.contentType, body: part)
      let format = try response.format(fallback: fallback)
      let terms = SeriesCache.Terms(target, at: time)
      if part.readableBytes == arrival.length {
        return try read(part, as: format, terms, &arrival.counts)
      }
      cache.beginParts()
      arrival.parts = ExpositionParts(format, terms)
    }
    try part.withUnsafeReadableBytes { bytes throws(ScrapeError) in
      try arrival.parts?.take(RawSpan(_unsafeBytes: bytes), &cache, &arrival.counts)
    }
  }

  private mutating func read(
    _ body: ByteBuffer, as format: ExpositionFormat, _ terms: SeriesCache.Terms, _ counts: inout SeriesCache.Counts
  ) throws(ScrapeError) {
    try body.withUnsafeReadableBytes { bytes throws(ScrapeError) in
      try cache.read(RawSpan(_unsafeBytes: bytes), as: format, terms, counts: &counts)
    }
  }

  /// Stores what the target answered, or that it did not.
  ///
  /// - Parameter elapsed: gives how long the scrape took, when all is parsed.
  /// - Returns: why the scrape counts as failed; nil when it is good.
  mutating func store(
    _ answer: Result<ScrapeResponse, ScrapeError>, of target: Target, fallback: ExpositionFormat? = nil, at time: Int64,
    elapsed: () -> Duration
  ) -> ScrapeError? {
    if var arrival, arrival.size > 0 {
      self.arrival = nil
      finish(&arrival, answer, target, at: time, elapsed: elapsed)
      return arrival.fault
    }
    arrival = nil
    let bodySize = (try? answer.get()).map { $0.status == 200 ? $0.body.readableBytes : 0 } ?? 0
    return store(of: target, bodySize: bodySize, at: time, elapsed: elapsed) { scraper, counts throws(ScrapeError) in
      let response = try answer.get()
      let format = try response.format(fallback: fallback)
      try scraper.read(response.body, as: format, SeriesCache.Terms(target, at: time), &counts)
    }
  }

  /// Ends a scrape whose parts were taken.
  private mutating func finish(
    _ arrival: inout Arrival, _ answer: Result<ScrapeResponse, ScrapeError>, _ target: Target, at time: Int64,
    elapsed: () -> Duration
  ) {
    if case .failure(let error) = answer {
      // To Prometheus, which reads nothing before all is there, this is no scrape of samples.
      cache.forgetExceeded()
      arrival = Arrival(contentType: nil, length: nil)
      arrival.fault = error
    } else if arrival.fault == nil {
      do throws(ScrapeError) { try arrival.parts?.end(&cache, &arrival.counts) } catch { arrival.fault = error }
    }
    finish(target, arrival.counts, arrival.fault, bodySize: arrival.size, at: time, elapsed: elapsed)
  }

  /// Stores what collectors of this process wrote, as if the target had answered it.
  mutating func store(
    writers: [MetricWriter], of target: Target, at time: Int64, elapsed: () -> Duration
  ) -> ScrapeError? {
    store(of: target, bodySize: 0, at: time, elapsed: elapsed) { scraper, counts throws(ScrapeError) in
      try scraper.cache.read(writers, SeriesCache.Terms(target, at: time), counts: &counts)
    }
  }

  private mutating func store(
    of target: Target, bodySize: Int, at time: Int64, elapsed: () -> Duration,
    _ read: (inout TargetScraper, inout SeriesCache.Counts) throws(ScrapeError) -> Void
  ) -> ScrapeError? {
    begin(target)
    var counts = SeriesCache.Counts()
    var fault: ScrapeError?
    do throws(ScrapeError) { try read(&self, &counts) } catch { fault = error }
    finish(target, counts, fault, bodySize: bodySize, at: time, elapsed: elapsed)
    return fault
  }

  private mutating func begin(_ target: Target) {
    pinReports(withExtra: target.extraScrapeMetrics)
    var samples = scratch.take()
    cache.exchangeSamples(&samples)
    cache.begin()
  }

  private mutating func finish(
    _ target: Target, _ counts: SeriesCache.Counts, _ fault: ScrapeError?, bodySize: Int, at time: Int64,
    elapsed: () -> Duration
  ) {
    if cache.metadata.hash != saidHash {
      saidHash = cache.metadata.hash
      cache.metadata.share(metadataLists)
    }
    if fault == nil { cache.finish(at: time) } else { cache.fail(at: time) }
    metrics.count(counts, cache.exceeded, fault)
    let report = Report(
      isUp: fault == nil, duration: elapsed(), counts: counts, timeout: target.timeout,
      sampleLimit: target.limits.samples, bodySize: fault?.isBodyTooLarge == true ? -1 : bodySize)
    for (index, series) in pinned.enumerated() { cache.report(series, Self.reports[index].value(report), at: time) }
    flush()
    giveSamplesBack()
    lastTimestamp = time
  }

  private mutating func giveSamplesBack() {
    var samples: [Sample] = []
    cache.exchangeSamples(&samples)
    scratch.give(samples)
  }

  /// Ends all series of the target with staleness markers one interval after the last scrape. A scrape whose parts are
  /// on their way is given up.
  mutating func end(interval: Duration) {
    let end = (lastTimestamp ?? 0) + interval.nanoseconds / 1_000_000
    if let arrival, arrival.size > 0 {
      cache.fail(at: end)
      flush()
      giveSamplesBack()
    }
    arrival = nil
    cache.end(at: end)
    flush()
  }

  private mutating func flush() {
    if !cache.samples.isEmpty { sink.append(cache.samples, cache.attachments) }
    if cache.released.isEmpty { return }
    if holds > 0 { held += cache.released } else { sink.release(cache.released) }
  }

  // MARK: Federation

  /// The last samples, whose series stay registered until `letGo`.
  mutating func hold(since oldest: Int64) -> [Sample] {
    holds += 1
    return cache.lastSamples(since: oldest)
  }

  mutating func letGo() {
    holds -= 1
    guard holds == 0, !held.isEmpty else { return }
    sink.release(held)
    held = []
  }
}

/// Memory for samples that the targets of one event loop use in turn.
///
/// `@unchecked Sendable`: it is touched on that event loop only.
final class ScrapeScratch: @unchecked Sendable {
  /// Room for more samples than that is not kept.
  private static let keptCapacity = 1 << 17
  /// So many scrapes run at a time, mostly, whose answers come in parts.
  private static let keptCount = 4

  private var spare: [[Sample]] = []

  func take() -> [Sample] { spare.popLast() ?? [] }

  func give(_ samples: [Sample]) {
    guard samples.capacity <= Self.keptCapacity, spare.count < Self.keptCount else { return }
    spare.append(samples)
  }
}

extension SeriesCache.Terms {
  init(_ target: Target, at time: Int64) {
    self.init(
      labels: target.labels, honorLabels: target.honorLabels, honorTimestamps: target.honorTimestamps,
      rules: target.metricRelabelRules, time: time)
    tracksTimestamps = target.trackTimestampsStaleness
    names = target.names.scheme
    histogramChoice =
      !target.scrapeNativeHistograms ? .classic : target.alwaysScrapeClassicHistograms ? .both : .native
    histograms = target.histogramResolution
    conversion =
      !target.convertsClassicHistograms ? .none : target.alwaysScrapeClassicHistograms ? .besideClassic : .instead
    limits = target.limits
  }
}
