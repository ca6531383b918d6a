import Bytes
import Configuration
import Exposition
import Relabeling

/// What one target exposed in its last scrape, so that the next one needs no parsing of labels: per line a
/// fingerprint of the series' text and its record.
///
/// A scrape walks the text and the lines side by side (SeriesCache+Reading.swift). In the steady state, which is the
/// same series in the same order, nothing else is looked at. A line that is not where it was is looked up by its
/// fingerprint; one that was not there is parsed, gets the target's labels and is registered with the sink.
package struct SeriesCache {
  /// One sample line of the last good scrape.
  struct Line {
    var hash: SeriesHash
    /// Below zero, the complement of a place in `conversion.parts`.
    var record: Int32
    /// Bytes of the series' text.
    var length: UInt32
  }

  /// What became of one text.
  package struct Counts: Equatable {
    /// Sample lines read.
    package var scraped = 0
    /// Samples that were to be stored, refused ones and duplicates included.
    var kept = 0
    /// Series that the scrape before did not have.
    var added = 0
    var duplicates = 0
    var outOfOrder = 0
    var outOfBounds = 0

    package init() {}

    /// Those that count for `sample_limit`.
    var limited: Int { kept &- duplicates }
  }

  /// Limits that a scrape may exceed while it goes on: it counts its samples, and fails at its end.
  struct Exceeded: OptionSet {
    let rawValue: UInt8
    static let samples = Exceeded(rawValue: 1)
    static let histogramBuckets = Exceeded(rawValue: 2)
    /// With this one it fails at once.
    static let labels = Exceeded(rawValue: 4)
  }

  /// How the samples of a target are stored.
  package struct Terms {
    /// The target's labels.
    package var labels: LabelSet
    package var honorLabels: Bool
    package var honorTimestamps: Bool
    /// Whether series with explicit timestamps get staleness markers.
    package var tracksTimestamps = false
    /// `metric_relabel_configs`.
    package var rules: RelabelRules
    package var limits = ScrapeLimits()
    var sampleLimit: Int { limits.samples > 0 ? limits.samples : .max }
    package var histograms = HistogramResolution(buckets: 0, factor: 0)
    package var names = NameScheme.utf8
    package var histogramChoice = HistogramChoice.native
    package var conversion = HistogramConversion.Wish.none
    /// Of the scrape, milliseconds since the epoch.
    package var time: Int64

    package init(
      labels: LabelSet, honorLabels: Bool = false, honorTimestamps: Bool = true, rules: RelabelRules = RelabelRules(),
      time: Int64
    ) {
      self.labels = labels
      self.honorLabels = honorLabels
      self.honorTimestamps = honorTimestamps
      self.rules = rules
      self.time = time
    }
  }

  /// Samples of a scrape for which there is room beside its lines: those about the scrape itself.
  private static let moreSamples = 16
  /// Explicit timestamps may be so far ahead, in milliseconds: 10 minutes, as in Prometheus.
  private static let furthestAhead: Int64 = 600_000

  /// What is to be appended to the sink.
  package private(set) var samples: [Sample] = []
  /// What some of `samples` carry, to be appended with them.
  package private(set) var attachments: [Attachment] = []
  /// What is to be released once `samples` are appended.
  var released: [SeriesID] = []
  /// What the target says of its families.
  var metadata = TargetMetadata()
  /// How many lines were looked up by fingerprint, and how many parsed, since the start.
  var lookups = 0
  var parses = 0

  let sink: any SampleSink
  let hasher = SeriesHasher.process
  var lines: [Line] = []
  var records: [Record] = []
  /// The last values, by record; a staleness marker where there is none to show. Nil: they are not kept.
  var values: [Double]?
  /// What `lastSamples` gives while an exposition comes in parts.
  private var shown: [Sample]?
  var free: [Int32] = []
  var dropped: Int32?
  /// Where there is a guard: what it was asked for.
  var quota: SeriesQuota?
  /// What the last exemplars of a series were, by its record: they are not appended again.
  var exemplars: [Int32: [UInt64]] = [:]
  /// Since when a series counts, by its record, as far as the sink was told.
  var starts: [Int32: Int64] = [:]
  /// The scrape that runs, or the last one.
  private var generation = Generation.first
  /// The scrape before.
  private var previous = Generation.none

  /// Whether the metadata that is known is not what the last exposition said, which came in parts.
  var isMetadataOld = false

  // Of the scrape that runs.
  /// Where it is, when its exposition comes in parts.
  var parts: Parts?
  var conversion = HistogramConversion()
  var exceeded: Exceeded = []
  var cursor = 0
  var nextLines: [Line] = []
  var hasDiverged = false
  var lineByHash: [SeriesHash: Int32] = [:]
  var recordBySeries: [SeriesID: Int32] = [:]
  var created: [Int32] = []
  private var explicit: [(record: Int32, lastTimestamp: Int64, value: Double)] = []
  var labels = LabelSet()

  /// - Parameter keepsValues: whether the last value of each series is kept, for `lastSamples`: 8 bytes each.
  package init(sink: any SampleSink, keepsValues: Bool = false) {
    self.sink = sink
    values = keepsValues ? [] : nil
  }

  init(sink: any SampleSink, keepsValues: Bool, quota: SeriesQuota?) {
    self.init(sink: sink, keepsValues: keepsValues)
    self.quota = quota
  }

  /// Parses all lines anew in the next scrape, for rules have changed; the series stay known.
  mutating func forgetLines() { lines.removeAll() }

  /// Trades the memory of the samples for another one's.
  mutating func exchangeSamples(_ other: inout [Sample]) { swap(&samples, &other) }

  // MARK: One scrape

  /// Starts a scrape: nothing is to be stored yet.
  package mutating func begin() {
    previous = generation
    generation = generation.next
    samples.removeAll(keepingCapacity: true)
    attachments.removeAll(keepingCapacity: true)
    released.removeAll(keepingCapacity: true)
    // As many as last time, most likely.
    samples.reserveCapacity(lines.count + Self.moreSamples)
    cursor = 0
    hasDiverged = false
    exceeded = []
    conversion.begin()
    quota?.begin()
  }

  /// Stores a sample, such as `parser` has read, if nothing speaks against it.
  @inline(__always)
  mutating func store<Parser: ExposedSample & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, in record: Int32, _ terms: borrowing Terms, isNew: Bool, _ counts: inout Counts
  ) throws(ExpositionError) {
    let index = Int(record)
    if records[index].isDropped {
      if record == quota?.record { countRefused(terms, &counts) }
      return
    }
    let timestamp = terms.honorTimestamps ? parser.timestamp : nil
    counts.kept += 1
    let isRepeated = records[index].seen == generation
    records[index].seen = generation
    if isRepeated, timestamp == nil {
      counts.duplicates += 1
      return
    }
    if counts.limited > terms.sampleLimit { exceeded.insert(.samples) }
    if records[index].isRefused || exceeded.contains(.samples) { return }
    var histogram: [UInt8] = []
    if parser.isHistogram {
      guard let reduced = terms.histograms.limit(parser.histogram()) else {
        exceeded.insert(.histogramBuckets)
        return
      }
      histogram = reduced
    }
    let sampleTime = timestamp ?? terms.time
    if timestamp != nil, sampleTime > terms.time &+ Self.furthestAhead {
      counts.outOfBounds += 1
      return
    }
    guard sampleTime > records[index].lastTimestamp else {
      counts.outOfOrder += 1
      return
    }
    if timestamp != nil { explicit.append((record, records[index].lastTimestamp, values?[index] ?? 0)) }
    if timestamp == nil || terms.tracksTimestamps {
      records[index].wasTracked = records[index].tracked == previous
      records[index].tracked = generation
    }
    records[index].lastTimestamp = sampleTime
    records[index].isHistogram = parser.isHistogram
    samples.append(Sample(series: records[index].series, timestamp: sampleTime, value: parser.value))
    values?[index] = parser.isHistogram ? .staleMarker : parser.value
    if parser.isHistogram { attach(.histogram(histogram)) }
    if let start = parser.start, starts.updateValue(start, forKey: record) != start { attach(.start(start)) }
    if parser.exemplarCount > 0 { try attachExemplars(of: parser, to: record, at: sampleTime) }
    if isNew, exceeded.isEmpty { counts.added += 1 }
  }

  /// Counts a sample that the guard keeps out. For `sample_limit` it is one as any other.
  private mutating func countRefused(_ terms: borrowing Terms, _ counts: inout Counts) {
    quota?.refused += 1
    counts.kept += 1
    if counts.limited > terms.sampleLimit { exceeded.insert(.samples) }
  }

  /// Attaches to the last sample what it carries.
  private mutating func attach(_ content: Attachment.Content) {
    attachments.append(Attachment(sample: samples.count - 1, content))
  }

  /// Attaches the exemplars that the last sample of the series did not have; those without a timestamp get the
  /// sample's.
  private mutating func attachExemplars<Parser: ExposedSample & ~Copyable & ~Escapable>(
    of parser: borrowing Parser, to record: Int32, at time: Int64
  ) throws(ExpositionError) {
    let known = exemplars[record] ?? []
    let count = parser.exemplarCount
    var areKnown = count == known.count
    for index in 0..<count where areKnown { areKnown = parser.exemplarHash(at: index, hasher) == known[index] }
    if areKnown { return }
    var present: [UInt64] = []
    for index in 0..<count {
      let hash = parser.exemplarHash(at: index, hasher)
      present.append(hash)
      if known.contains(hash) { continue }
      let exemplar = try parser.exemplar(at: index)
      guard exemplar.isShortEnough else { continue }
      attach(.exemplar(labels: exemplar.labels, value: exemplar.value, timestamp: exemplar.timestamp ?? time))
    }
    exemplars[record] = present
  }

  /// The series was shown, though with nothing that can be stored: it stays known.
  mutating func keep(_ record: Int32) { records[Int(record)].seen = generation }

  /// How many records the scrape has made so far.
  var createdCount: Int { created.count }

  /// Ends a scrape that was read to its end: series that it did not show get staleness markers and are released.
  package mutating func finish(at time: Int64) {
    if hasDiverged {
      lines = nextLines
      conversion.keepParts(of: &lines)
    } else {
      lines.removeLast(lines.count - cursor)
    }
    for index in records.indices where !records[index].isFree {
      let isSeen = records[index].seen == generation
      if !records[index].isPinned {
        if records[index].tracked == previous { appendMarker(index, at: time) }
        if !isSeen { release(index) }
      }
      // What older scrapes left would be taken for a later one's.
      if !isSeen { records[index].seen = .none }
      if records[index].tracked != generation { records[index].tracked = .none }
    }
    retryRefused(at: time)
    forgetScrape()
  }

  /// Ends a scrape that failed: nothing of it is stored, and what the scrape before stored gets staleness markers.
  /// The lines stay, for the target may come back as it was.
  mutating func fail(at time: Int64) {
    samples.removeAll(keepingCapacity: true)
    attachments.removeAll(keepingCapacity: true)
    conversion.forgetNew()
    // Those of this scrape were not appended.
    exemplars.removeAll()
    starts.removeAll()
    if let parts, parts.readsMetadata { metadata = parts.before }
    for entry in explicit.reversed() {
      records[Int(entry.record)].lastTimestamp = entry.lastTimestamp
      values?[Int(entry.record)] = entry.value
    }
    for index in created { release(Int(index)) }
    for index in records.indices where !records[index].isFree {
      let isOfThisScrape = records[index].tracked == generation
      // The sample that this scrape would have stored has set the time already.
      if isOfThisScrape, records[index].lastTimestamp == time {
        records[index].lastTimestamp = time &- 1
        values?[index] = .staleMarker
      }
      let wasTracked = isOfThisScrape ? records[index].wasTracked : records[index].tracked == previous
      if wasTracked, !records[index].isPinned { appendMarker(index, at: time) }
      records[index].tracked = .none
      records[index].seen = .none
    }
    forgetScrape()
  }

  /// Forgets the lines whose series the guard has refused, when there may be room for them: the next scrape parses them
  /// anew.
  private mutating func retryRefused(at time: Int64) {
    guard let refused = quota?.record, quota?.finish(at: time) == true else { return }
    let parts = conversion.parts
    var retried: Set<SeriesHash> = []
    lines.removeAll { line in
      let part = line.record < 0 ? parts[Int(~line.record)] : nil
      let isRefused = part.map { $0.histogram == refused || $0.series == refused } ?? (line.record == refused)
      if isRefused { retried.insert(line.hash) }
      return isRefused
    }
    quota?.retried = retried
  }

  private mutating func forgetScrape() {
    parts = nil
    shown = nil
    created.removeAll(keepingCapacity: true)
    explicit.removeAll(keepingCapacity: true)
    metadata.forgetPlaces()
    guard hasDiverged else { return }
    // What has grown keeps no more room than it fills: it will most likely stay as it is.
    created = []
    if lines.capacity > lines.count + lines.count / 8 { lines = lines.withUnsafeBufferPointer { Array($0) } }
    if records.capacity > records.count + records.count / 8 { records = records.withUnsafeBufferPointer { Array($0) } }
    nextLines = []
    lineByHash = [:]
    recordBySeries = [:]
  }

  /// What this scrape exceeded does not count.
  mutating func forgetExceeded() { exceeded = [] }

  // MARK: Series about the scrape

  /// Registers a series that stays until `end`; gives the number to `report` by.
  mutating func pin(_ labels: LabelSet) -> Int {
    let index = Int(take(labels, nil, number: SeriesQuota.none))
    records[index].isPinned = true
    forgetScrape()
    recordBySeries = [:]
    return index
  }

  /// The series of that number stays no more: the next scrape ends it.
  mutating func unpin(_ index: Int) {
    records[index].isPinned = false
    // As if the last scrape had stored it.
    records[index].tracked = generation
  }

  /// Stores a value of a pinned series, unless the target itself has exposed that series.
  mutating func report(_ index: Int, _ value: Double, at time: Int64) {
    guard !records[index].isRefused, time > records[index].lastTimestamp else { return }
    records[index].lastTimestamp = time
    values?[index] = value
    samples.append(Sample(series: records[index].series, timestamp: time, value: value))
  }

  /// Ends the target: staleness markers for all that the last scrape stored, and all series are released.
  mutating func end(at time: Int64) {
    samples.removeAll(keepingCapacity: true)
    attachments.removeAll(keepingCapacity: true)
    released.removeAll(keepingCapacity: true)
    for index in records.indices where !records[index].isFree {
      let record = records[index]
      let hasReported = record.isPinned && record.lastTimestamp > .min
      if hasReported || record.tracked == generation { appendMarker(index, at: time) }
      release(index)
    }
    lines = []
    quota?.end()
  }

  /// The series that the last scrape showed; while one comes in parts, also those of the scrape before.
  func activeSeries() -> [SeriesID] {
    let isBetweenScrapes = parts == nil
    return records.compactMap { record in
      let isSeen = record.seen == generation || !isBetweenScrapes && record.seen == previous
      let isActive = record.isPinned ? record.lastTimestamp > .min : isSeen
      return isActive && !record.isFree && !record.isRefused ? record.series : nil
    }
  }

  /// Keeps what the last scrape has shown until this one is at its end.
  mutating func keepLastSamples() { if values != nil { shown = lastSamples(since: .min) } }

  /// The last sample of each series, as far as it is not older: none of those that have ended, and no histograms. Of a
  /// scrape that runs, nothing. Only if values are kept.
  func lastSamples(since oldest: Int64) -> [Sample] {
    if let shown { return shown.filter { $0.timestamp >= oldest } }
    guard let values else { return [] }
    var samples: [Sample] = []
    for (record, value) in zip(records, values) where !record.isFree && !record.isRefused {
      guard record.lastTimestamp >= oldest, !value.isStaleMarker else { continue }
      samples.append(Sample(series: record.series, timestamp: record.lastTimestamp, value: value))
    }
    return samples
  }

  // MARK: Staleness

  private mutating func appendMarker(_ index: Int, at time: Int64) {
    guard !records[index].isRefused, time > records[index].lastTimestamp else { return }
    records[index].lastTimestamp = time
    values?[index] = .staleMarker
    samples.append(Sample(series: records[index].series, timestamp: time, value: .staleMarker))
    if records[index].isHistogram { attach(.histogram(Self.staleHistogram)) }
  }

  /// A native histogram that says "this series has ended": no observations, and the staleness marker as their sum.
  private static let staleHistogram: [UInt8] = {
    var histogram = ByteWriter(capacity: 64)
    histogram.append(field: 1, 0 as UInt64)
    histogram.append(field: 3, Double.staleMarker)
    histogram.append(field: 6, 0 as UInt64)
    return histogram.bytes.array
  }()
}
