import Bytes
import Exposition

/// What one target exposed in its last scrape, so that the next one needs no parsing of labels: per line a
/// fingerprint of the series' text and its record.
///
/// A scrape walks the text and the lines side by side. In the steady state, which is the same series in the same
/// order, nothing else is looked at. A line that is not where it was is looked up by its fingerprint; one that was
/// not there is parsed, gets the target's labels and is registered with the sink.
package struct SeriesCache {
  /// One sample line of the last good scrape.
  private struct Line {
    var hash: SeriesHash
    var record: Int32
    /// Bytes of the series' text.
    var length: UInt32
  }

  /// One series that the sink knows, or has refused. Two spellings of one label set share a record.
  private struct Record {
    var series: SeriesID
    /// The scrape that showed the series last.
    var seen: UInt32 = 0
    /// The scrape that last stored it at the scrape's own time; it gets a staleness marker when the next does not.
    var tracked: UInt32 = 0
    /// Whether the scrape before `tracked` had stored it too.
    var wasTracked = false
    var isRefused = false
    /// Whether this is a series about the scrape itself, which stays as long as the target.
    var isPinned = false
    var isFree = false
    /// Milliseconds since the epoch; samples that are not later are not stored.
    var lastTimestamp = Int64.min
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
  }

  /// Explicit timestamps may be so far ahead, in milliseconds: 10 minutes, as in Prometheus.
  private static let furthestAhead: Int64 = 600_000

  /// What is to be appended to the sink.
  package private(set) var samples: [Sample] = []
  /// What is to be released once `samples` are appended.
  private(set) var released: [SeriesID] = []
  /// How many lines were looked up by fingerprint, and how many parsed, since the start.
  private(set) var lookups = 0
  private(set) var parses = 0

  private let sink: any SampleSink
  private let hasher = SeriesHasher.process
  private var lines: [Line] = []
  private var records: [Record] = []
  private var free: [Int32] = []
  /// Counts scrapes.
  private var generation: UInt32 = 1

  // Of the scrape that runs.
  private var cursor = 0
  private var nextLines: [Line] = []
  private var hasDiverged = false
  private var lineByHash: [SeriesHash: Int32] = [:]
  private var recordBySeries: [SeriesID: Int32] = [:]
  private var created: [Int32] = []
  private var explicit: [(record: Int32, lastTimestamp: Int64)] = []
  private var labels = LabelSet()

  package init(sink: any SampleSink) { self.sink = sink }

  /// Parses all lines anew in the next scrape, for rules have changed; the series stay known.
  mutating func forgetLines() { lines.removeAll() }

  // MARK: One scrape

  /// Starts a scrape: nothing is to be stored yet.
  package mutating func begin() {
    generation &+= 1
    samples.removeAll(keepingCapacity: true)
    released.removeAll(keepingCapacity: true)
    cursor = 0
    hasDiverged = false
  }

  /// Reads an exposition of the target at `time`, milliseconds since the epoch. On an error `counts` say how far it
  /// came; the caller then calls `fail`, else `finish`.
  package mutating func read(
    _ text: RawSpan, labels target: LabelSet, honorLabels: Bool, honorTimestamps: Bool, at time: Int64,
    counts: inout Counts
  ) throws(ScrapeError) {
    var parser = TextParser(text)
    do throws(TextParserError) {
      while let entry = try parser.next() {
        guard entry == .sample else { continue }
        let isInPlace = isNextLine(&parser)
        if !isInPlace { try parser.readSeries() }
        try parser.readValue()
        counts.scraped += 1
        var isNew = false
        let record: Int32
        if isInPlace {
          record = lines[cursor].record
          if hasDiverged { nextLines.append(lines[cursor]) }
          cursor += 1
        } else {
          do throws(ScrapeError) {
            record = try find(parser, target, honorLabels: honorLabels, isNew: &isNew)
          } catch { throw TextParserError(error.description) }
        }
        store(record, parser.value, honorTimestamps ? parser.timestamp : nil, time, isNew: isNew, &counts)
      }
    } catch { throw ScrapeError(error.description) }
  }

  /// Whether the sample at the parser's position is of the series that stood next in the last scrape; moves the
  /// parser behind the series if so.
  @inline(__always)
  private func isNextLine(_ parser: inout TextParser) -> Bool {
    guard cursor < lines.count else { return false }
    let line = lines[cursor]
    let start = parser.position
    let end = start &+ Int(line.length)
    guard end <= parser.bytes.byteCount,
      hasher.hash(parser.bytes.extracting(unchecked: start..<end), salt: parser.type.salt) == line.hash
    else { return false }
    return parser.skipSeries(length: Int(line.length))
  }

  /// The record of a series that does not stand where it stood, which may be new.
  private mutating func find(
    _ parser: borrowing TextParser, _ target: LabelSet, honorLabels: Bool, isNew: inout Bool
  ) throws(ScrapeError) -> Int32 {
    if !hasDiverged {
      hasDiverged = true
      nextLines.append(contentsOf: lines[..<cursor])
      for (position, line) in lines.enumerated() { lineByHash[line.hash] = Int32(truncatingIfNeeded: position) }
    }
    let hash = hasher.hash(parser.bytes.extracting(parser.series), salt: parser.type.salt)
    lookups += 1
    var line = Line(hash: hash, record: 0, length: UInt32(truncatingIfNeeded: parser.series.count))
    if let position = lineByHash[hash] {
      let known = position >= 0 ? lines[Int(position)] : nextLines[-1 - Int(position)]
      line.record = known.record
      if position >= 0 { cursor = Int(position) + 1 }
    } else {
      parses += 1
      labels.removeAll()
      parser.labels(of: parser.series, into: &labels)
      try labels.add(target: target, honorLabels: honorLabels)
      line.record = register(labels)
      isNew = true
      // Below zero: a line of this scrape.
      lineByHash[hash] = Int32(truncatingIfNeeded: -1 - nextLines.count)
    }
    nextLines.append(line)
    return line.record
  }

  private mutating func store(
    _ index: Int32, _ value: Double, _ timestamp: Int64?, _ time: Int64, isNew: Bool, _ counts: inout Counts
  ) {
    let index = Int(index)
    counts.kept += 1
    let isRepeated = records[index].seen == generation
    records[index].seen = generation
    if records[index].isRefused { return }
    if isRepeated, timestamp == nil {
      counts.duplicates += 1
      return
    }
    let sampleTime = timestamp ?? time
    if timestamp != nil, sampleTime > time &+ Self.furthestAhead {
      counts.outOfBounds += 1
      return
    }
    guard sampleTime > records[index].lastTimestamp else {
      counts.outOfOrder += 1
      return
    }
    if timestamp != nil {
      explicit.append((Int32(truncatingIfNeeded: index), records[index].lastTimestamp))
    } else {
      records[index].wasTracked = records[index].tracked == generation &- 1
      records[index].tracked = generation
    }
    records[index].lastTimestamp = sampleTime
    samples.append(Sample(series: records[index].series, timestamp: sampleTime, value: value))
    if isNew { counts.added += 1 }
  }

  /// Ends a scrape that was read to its end: series that it did not show get staleness markers and are released.
  package mutating func finish(at time: Int64) {
    if hasDiverged {
      lines = nextLines
    } else {
      lines.removeLast(lines.count - cursor)
    }
    for index in records.indices where !records[index].isFree && !records[index].isPinned {
      if records[index].tracked == generation &- 1 { appendMarker(index, at: time) }
      if records[index].seen != generation { release(index) }
    }
    forgetScrape()
  }

  /// Ends a scrape that failed: nothing of it is stored, and what the scrape before stored gets staleness markers.
  /// The lines stay, for the target may come back as it was.
  mutating func fail(at time: Int64) {
    samples.removeAll(keepingCapacity: true)
    for entry in explicit.reversed() { records[Int(entry.record)].lastTimestamp = entry.lastTimestamp }
    for index in created { release(Int(index)) }
    for index in records.indices where !records[index].isFree {
      let isOfThisScrape = records[index].tracked == generation
      // The sample that this scrape would have stored has set the time already.
      if isOfThisScrape { records[index].lastTimestamp = time &- 1 }
      let wasTracked = isOfThisScrape ? records[index].wasTracked : records[index].tracked == generation &- 1
      if wasTracked, !records[index].isPinned { appendMarker(index, at: time) }
      records[index].tracked = 0
      records[index].seen = 0
    }
    forgetScrape()
  }

  private mutating func forgetScrape() {
    created.removeAll(keepingCapacity: true)
    explicit.removeAll(keepingCapacity: true)
    guard hasDiverged else { return }
    nextLines = []
    lineByHash = [:]
    recordBySeries = [:]
  }

  // MARK: Series about the scrape

  /// Registers a series that stays until `end`; gives the number to `report` by.
  mutating func pin(_ labels: LabelSet) -> Int {
    let index = Int(register(labels))
    records[index].isPinned = true
    forgetScrape()
    recordBySeries = [:]
    return index
  }

  /// Stores a value of a pinned series, unless the target itself has exposed that series.
  mutating func report(_ index: Int, _ value: Double, at time: Int64) {
    guard !records[index].isRefused, time > records[index].lastTimestamp else { return }
    records[index].lastTimestamp = time
    samples.append(Sample(series: records[index].series, timestamp: time, value: value))
  }

  /// Ends the target: staleness markers for all that the last scrape stored, and all series are released.
  mutating func end(at time: Int64) {
    samples.removeAll(keepingCapacity: true)
    released.removeAll(keepingCapacity: true)
    for index in records.indices where !records[index].isFree {
      let record = records[index]
      let hasReported = record.isPinned && record.lastTimestamp > .min
      if hasReported || record.tracked == generation { appendMarker(index, at: time) }
      release(index)
    }
    lines = []
  }

  // MARK: Records

  /// The record of a label set, which may be known in another spelling.
  private mutating func register(_ labels: LabelSet) -> Int32 {
    let series = sink.register(labels, nil)
    if let series {
      if recordBySeries.isEmpty {
        for index in records.indices where !records[index].isFree && !records[index].isRefused {
          recordBySeries[records[index].series] = Int32(truncatingIfNeeded: index)
        }
      }
      if let known = recordBySeries[series] {
        // The sink counts registrations; one is enough.
        released.append(series)
        return known
      }
    }
    var record = Record(series: series ?? SeriesID(rawValue: 0))
    record.isRefused = series == nil
    let index: Int32
    if let reused = free.popLast() {
      index = reused
      records[Int(index)] = record
    } else {
      index = Int32(truncatingIfNeeded: records.count)
      records.append(record)
    }
    if let series { recordBySeries[series] = index }
    created.append(index)
    return index
  }

  private mutating func release(_ index: Int) {
    if !records[index].isRefused { released.append(records[index].series) }
    records[index].isFree = true
    free.append(Int32(truncatingIfNeeded: index))
  }

  private mutating func appendMarker(_ index: Int, at time: Int64) {
    guard !records[index].isRefused, time > records[index].lastTimestamp else { return }
    records[index].lastTimestamp = time
    samples.append(Sample(series: records[index].series, timestamp: time, value: .staleMarker))
  }
}

extension MetricType {
  /// The type decides how `le` and `quantile` are written, so equal texts under different types are different series.
  fileprivate var salt: UInt64 {
    switch self {
    case .histogram: 1
    case .summary: 2
    case .counter, .gauge, .untyped: 0
    }
  }
}
