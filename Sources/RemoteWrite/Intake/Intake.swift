import Exposition

/// All that is known of samples until they are sent, behind one lock: the series and their labels, the newest samples,
/// and the records for the log.
struct Intake: ~Copyable {
  /// What it counted, for metrics.
  struct Counts {
    var samples: UInt64 = 0
    /// Milliseconds since the epoch.
    var highestTimestamp: Int64 = 0
    var unknownSeries: UInt64 = 0
    var refusedSeries: UInt64 = 0
    var refusedForMemory: UInt64 = 0
    var deletedSeries: UInt64 = 0
    /// Samples that are in memory only, because the log could not be written.
    var unlogged: UInt64 = 0
  }

  /// How far a remote is, and when it wants to be told of new samples.
  struct Reader {
    /// The next sample that it wants.
    var position: Ordinal
    /// It is woken when the end reaches this ordinal; 0 while it is awake.
    var wakeAt: Ordinal = 0
    /// Where series go by its own rules; nil when it has none.
    var map: SeriesMap?
    /// The series that were in each of its backlogs, as `Sender.overtakings` has them.
    var backlogs: [FilteredSeries] = []
  }

  var table: LabelTable
  var ring: SampleRing
  var encoder = SegmentEncoder()
  private(set) var hasReaders = false
  var readers: [Reader] = []
  var counts = Counts()
  /// Samples before this one may be in memory only; the log has, or will soon have, those from here on.
  var unloggedEnd: Ordinal
  /// The first sample of this process.
  let origin: Ordinal
  /// Whether records are made for the log.
  var isLogged: Bool
  /// Samples that the ring may hold while there is memory enough.
  var mostSamples: Int { didSet { limitRing() } }
  /// Then the ring makes room.
  var isMemoryShort = false { didSet { limitRing() } }
  /// New series that memory is there for.
  var newSeriesLeft = Int.max
  /// Bytes of a segment, about.
  let segmentBytes: Int

  /// Beyond this, a disk that is stuck costs samples of the log and not the memory.
  private static let mostPendingBytes = 64 << 20

  private static let samplesInShortMemory = 1 << 14

  private var graves: [(series: UInt32, end: Ordinal)] = []
  private var firstGrave = 0
  private var known: [Sample] = []

  init(table: consuming LabelTable, ring: SampleRing, isLogged: Bool, segmentBytes: Int) {
    self.table = table
    self.ring = ring
    unloggedEnd = ring.end
    origin = ring.end
    mostSamples = ring.limit
    self.isLogged = isLogged
    self.segmentBytes = segmentBytes
  }

  mutating func add(_ reader: Reader) {
    readers.append(reader)
    hasReaders = true
  }

  /// The remote reads no more.
  mutating func remove(_ index: Int) {
    for series in readers[index].map?.registered ?? [] { release(series) }
    readers[index] = Reader(position: .max)
    hasReaders = readers.contains { $0.position < .max }
  }

  // MARK: Series

  mutating func register(_ labels: LabelSet, _ metadata: MetricMetadata?) -> SeriesID? {
    let numbers = table.count
    guard let number = table.register(labels, metadata) else {
      counts.refusedSeries += 1
      return nil
    }
    if table.count > numbers {
      guard newSeriesLeft > 0 else {
        counts.refusedForMemory += 1
        release(number)
        return nil
      }
      newSeriesLeft -= 1
    }
    return SeriesID(rawValue: number)
  }

  mutating func release(_ number: UInt32) {
    if table.release(number) { graves.append((number, ring.end)) }
  }

  /// Buries series whose last samples have left memory.
  private mutating func buryDead() {
    while firstGrave < graves.count, graves[firstGrave].end <= ring.start {
      table.bury(graves[firstGrave].series)
      firstGrave += 1
    }
    if firstGrave > 1024, firstGrave * 2 > graves.count {
      graves.removeFirst(firstGrave)
      firstGrave = 0
    } else if firstGrave == graves.count {
      graves.removeAll(keepingCapacity: true)
      firstGrave = 0
    }
    forgetReclaimed()
  }

  /// Series whose number is free now: what remotes noted of them is void.
  mutating func forgetReclaimed() {
    guard !table.reclaimed.isEmpty else { return }
    let reclaimed = table.reclaimed
    table.reclaimed.removeAll(keepingCapacity: true)
    counts.deletedSeries += UInt64(reclaimed.count)
    for index in readers.indices where readers[index].map != nil {
      for number in reclaimed {
        if let mapped = readers[index].map?.forget(number) { release(mapped) }
      }
    }
    for index in readers.indices {
      for backlog in readers[index].backlogs.indices {
        for number in reclaimed { readers[index].backlogs[backlog].forget(number) }
      }
    }
  }

  // MARK: Samples

  /// The oldest sample that a remote wants from memory. Those that are further back read the log.
  private var wanted: Ordinal {
    var wanted = ring.end
    for reader in readers { wanted = min(wanted, max(reader.position, ring.start)) }
    return wanted
  }

  /// Takes samples; gives the remotes that want to be told.
  mutating func append(_ samples: [Sample], _ attachments: [Attachment], now: Int64) -> [Int] {
    guard hasReaders else {
      counts.samples += UInt64(samples.count)
      // Nobody waits for what series that ended had.
      ring.shrink(wanted: ring.end)
      buryDead()
      return []
    }
    // Series that are not registered are a caller's error, and rare: only then is there a copy.
    if samples.contains(where: { !table.isRegistered($0.series.rawValue) }) {
      known.removeAll(keepingCapacity: true)
      for sample in samples where table.isRegistered(sample.series.rawValue) { known.append(sample) }
      counts.unknownSeries += UInt64(samples.count - known.count)
      takeInPieces(known, [], now)
    } else {
      takeInPieces(samples, attachments, now)
    }
    buryDead()
    var woken: [Int] = []
    for index in readers.indices where readers[index].wakeAt > 0 && ring.end >= readers[index].wakeAt {
      readers[index].wakeAt = 0
      woken.append(index)
    }
    return woken
  }

  private mutating func takeInPieces(_ samples: [Sample], _ attachments: [Attachment], _ now: Int64) {
    var start = 0
    var carried = attachments[...]
    while start < samples.count {
      let end = min(start + LogFormat.mostSamples, samples.count)
      let split = carried.partitioningIndex { $0.sample >= end }
      take(samples[start..<end], carried[..<split], offset: start, now)
      carried = carried[split...]
      start = end
    }
  }

  private mutating func take(
    _ samples: ArraySlice<Sample>, _ attachments: ArraySlice<Attachment>, offset: Int, _ now: Int64
  ) {
    counts.samples += UInt64(samples.count)
    for attachment in attachments {
      if case .start(let start) = attachment.content {
        table.setStart(start, of: samples[samples.startIndex + attachment.sample - offset].series.rawValue)
      }
    }
    for sample in samples { counts.highestTimestamp = max(counts.highestTimestamp, sample.timestamp) }
    let isWritten = isLogged && encoder.pending.bytes.count < Self.mostPendingBytes
    if isWritten {
      if encoder.segmentBytes.map({ $0 >= segmentBytes }) == true { encoder.endSegment() }
      encoder.append(samples, attachments, offset: offset, first: ring.end, now: now, &table)
    } else {
      counts.unlogged += UInt64(samples.count)
    }
    ring.append(samples, attachments, offset: offset, wanted: wanted)
    if !isWritten { unloggedEnd = ring.end }
  }

  mutating func shrink() { ring.shrink(wanted: wanted) }

  private mutating func limitRing() {
    ring.limit = isMemoryShort ? min(mostSamples, Self.samplesInShortMemory) : mostSamples
  }
}
