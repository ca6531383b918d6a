import Bytes
import Exposition

/// Why a segment cannot be read on.
package struct LogDamage: Error, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

/// The samples of one record.
package struct LogRecord {
  /// The ordinal of the first sample.
  var first: Ordinal = 0
  /// The number of each sample's series in the segment, its timestamp in milliseconds since the epoch, and its bits.
  package var slots: [UInt32] = []
  var timestamps: [Int64] = []
  var values: [UInt64] = []
  /// By ascending index of the sample.
  var attachments: [(sample: Int, content: Attachment.Content)] = []

  package init() {}

  var count: Int { slots.count }
  var end: Ordinal { first &+ Ordinal(slots.count) }

  mutating func removeAll() {
    slots.removeAll(keepingCapacity: true)
    timestamps.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    attachments.removeAll(keepingCapacity: true)
  }
}

/// Reads the records of one segment, in order: each needs what those before it have defined.
package struct SegmentDecoder {
  /// What a segment says of a series.
  struct Series {
    var labels: LabelSet
    var metadata: MetricMetadata?
  }

  /// Series, and their metadata and starts, that the last record has defined or changed; the owner takes note of them.
  private(set) var defined: [Series] = []
  private(set) var redescribed: [(slot: UInt32, metadata: MetricMetadata?)] = []
  private(set) var started: [(slot: UInt32, start: Int64)] = []
  /// Series that the segment has defined so far.
  private(set) var seriesCount = 0
  private(set) var pairCount = 0

  private var pairs: [(name: Range<Int>, value: Range<Int>)] = []
  private var pairBytes: [UInt8] = []
  private var metadata: [MetricMetadata] = []
  private var lastBits: [UInt64] = []
  private var exponents: [UInt8] = []

  package init() {}

  /// Reads a record's payload, whose checksum was right.
  package mutating func decode(_ payload: RawSpan, into record: inout LogRecord) throws(LogDamage) {
    record.removeAll()
    defined.removeAll(keepingCapacity: true)
    redescribed.removeAll(keepingCapacity: true)
    started.removeAll(keepingCapacity: true)
    var scanner = ByteScanner(payload)
    guard let first = scanner.varint(), let time = scanner.zigzag(), let count = scanner.varint(),
      count <= UInt64(LogFormat.mostSamples), first < LogFormat.ordinalLimit
    else { throw LogDamage("a record's head is malformed") }
    record.first = first
    try readDefinitions(&scanner)
    let samples = Int(count)
    try readSeries(&scanner, samples, &record)
    try readTimestamps(&scanner, samples, time, &record)
    try readValues(&scanner, samples, &record)
    try readAttachments(&scanner, samples, &record)
    guard scanner.isAtEnd else { throw LogDamage("a record is longer than what it says") }
  }

  // MARK: Definitions

  @_lifetime(scanner: copy scanner)
  private mutating func readDefinitions(_ scanner: inout ByteScanner) throws(LogDamage) {
    while let kind = scanner.next {
      scanner.position += 1
      let isRead: Bool
      switch kind {
      case LogFormat.Definition.end: return
      case LogFormat.Definition.pair: isRead = readPair(&scanner)
      case LogFormat.Definition.series: isRead = readSeriesDefinition(&scanner)
      case LogFormat.Definition.metadata: isRead = readMetadata(&scanner)
      case LogFormat.Definition.redescription: isRead = readRedescription(&scanner)
      case LogFormat.Definition.start: isRead = readStart(&scanner)
      default: isRead = false
      }
      guard isRead else { throw LogDamage("a definition is malformed") }
    }
    throw LogDamage("a record ends within its definitions")
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readPair(_ scanner: inout ByteScanner) -> Bool {
    guard let length = scanner.varint(), let message = scanner.take(length) else { return false }
    var fields = ByteScanner(message)
    guard fields.skip(Protobuf.lengthDelimited(1)), let nameLength = fields.varint(),
      let name = fields.take(nameLength), fields.skip(Protobuf.lengthDelimited(2)),
      let valueLength = fields.varint(), let value = fields.take(valueLength), fields.isAtEnd
    else { return false }
    let start = pairBytes.count
    name.withUnsafeBytes { pairBytes.append(contentsOf: $0) }
    let middle = pairBytes.count
    value.withUnsafeBytes { pairBytes.append(contentsOf: $0) }
    pairs.append((start..<middle, middle..<pairBytes.count))
    pairCount += 1
    return true
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readSeriesDefinition(_ scanner: inout ByteScanner) -> Bool {
    guard let described = scanner.varint(), described <= UInt64(metadata.count), let count = scanner.varint(),
      count <= UInt64(scanner.bytes.byteCount - scanner.position)
    else { return false }
    var series = Series(labels: LabelSet(), metadata: described == 0 ? nil : metadata[Int(described) - 1])
    for _ in 0..<Int(count) {
      guard let pair = scanner.varint(), pair < UInt64(pairs.count) else { return false }
      let (name, value) = pairs[Int(pair)]
      let bytes = pairBytes.span.bytes
      series.labels.append(bytes.extracting(name), bytes.extracting(value))
    }
    defined.append(series)
    lastBits.append(0)
    exponents.append(0)
    seriesCount += 1
    return true
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readMetadata(_ scanner: inout ByteScanner) -> Bool {
    guard let type = scanner.next else { return false }
    scanner.position += 1
    guard let family = readText(&scanner), let help = readText(&scanner), let unit = readText(&scanner) else {
      return false
    }
    metadata.append(
      MetricMetadata(family: family, type: MetricType(remoteWriteNumber: type), help: help, unit: unit))
    return true
  }

  @_lifetime(scanner: copy scanner)
  private func readText(_ scanner: inout ByteScanner) -> String? {
    guard let length = scanner.varint(), let bytes = scanner.take(length) else { return nil }
    return String(utf8: bytes)
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readRedescription(_ scanner: inout ByteScanner) -> Bool {
    guard let slot = readSlot(&scanner), let described = scanner.varint(), described <= UInt64(metadata.count) else {
      return false
    }
    redescribed.append((slot, described == 0 ? nil : metadata[Int(described) - 1]))
    return true
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readStart(_ scanner: inout ByteScanner) -> Bool {
    guard let slot = readSlot(&scanner), let start = scanner.zigzag() else { return false }
    started.append((slot, start))
    return true
  }

  @_lifetime(scanner: copy scanner)
  private func readSlot(_ scanner: inout ByteScanner) -> UInt32? {
    guard let slot = scanner.varint(), slot < UInt64(lastBits.count) else { return nil }
    return UInt32(truncatingIfNeeded: slot)
  }

  // MARK: Samples

  @_lifetime(scanner: copy scanner)
  private func readSeries(
    _ scanner: inout ByteScanner, _ count: Int, _ record: inout LogRecord
  ) throws(LogDamage) {
    var expected: Int64 = 0
    while record.slots.count < count {
      guard let step = scanner.zigzag(), let run = scanner.varint(), run > 0,
        run <= UInt64(count - record.slots.count)
      else { throw LogDamage("a run of series is malformed") }
      let first = expected &+ step
      guard first >= 0, first <= Int64(lastBits.count), Int64(run) <= Int64(lastBits.count) - first else {
        throw LogDamage("a sample is of a series that was not defined")
      }
      for slot in UInt32(truncatingIfNeeded: first)..<UInt32(truncatingIfNeeded: first + Int64(run)) {
        record.slots.append(slot)
      }
      expected = first + Int64(run)
    }
  }

  @_lifetime(scanner: copy scanner)
  private func readTimestamps(
    _ scanner: inout ByteScanner, _ count: Int, _ time: Int64, _ record: inout LogRecord
  ) throws(LogDamage) {
    while record.timestamps.count < count {
      guard let step = scanner.zigzag(), let run = scanner.varint(), run > 0,
        run <= UInt64(count - record.timestamps.count)
      else { throw LogDamage("a run of timestamps is malformed") }
      for _ in 0..<Int(run) { record.timestamps.append(time &+ step) }
    }
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readValues(
    _ scanner: inout ByteScanner, _ count: Int, _ record: inout LogRecord
  ) throws(LogDamage) {
    while record.values.count < count {
      guard let tag = scanner.next else { throw LogDamage("a record ends within its values") }
      scanner.position += 1
      if tag < 0x40 {
        guard Int(tag) < count - record.values.count else { throw LogDamage("a run of values is too long") }
        for _ in 0...tag { record.values.append(lastBits[Int(record.slots[record.values.count])]) }
        continue
      }
      let slot = Int(record.slots[record.values.count])
      var state = ValueState(bits: lastBits[slot], exponent: exponents[slot])
      guard ValueCodec.read(tag, &state, from: &scanner) else { throw LogDamage("a value is cut off") }
      lastBits[slot] = state.bits
      exponents[slot] = state.exponent
      record.values.append(state.bits)
    }
  }

  @_lifetime(scanner: copy scanner)
  private func readAttachments(
    _ scanner: inout ByteScanner, _ count: Int, _ record: inout LogRecord
  ) throws(LogDamage) {
    guard let attachments = scanner.varint() else { throw LogDamage("a record ends before its attachments") }
    var sample: UInt64 = 0
    for _ in 0..<min(attachments, UInt64(scanner.bytes.byteCount)) {
      guard let step = scanner.varint(), let kind = scanner.next else { throw LogDamage("an attachment is cut off") }
      scanner.position += 1
      guard step < UInt64(count), sample + step < UInt64(count), let length = scanner.varint(),
        let bytes = scanner.take(length)
      else { throw LogDamage("an attachment is malformed") }
      sample += step
      switch kind {
      case LogFormat.AttachmentKind.histogram:
        record.attachments.append((Int(sample), .histogram(bytes.array)))
      case LogFormat.AttachmentKind.exemplar:
        guard let exemplar = ExemplarMessage.decode(bytes) else { throw LogDamage("an exemplar is malformed") }
        record.attachments.append((Int(sample), exemplar))
      default: throw LogDamage("an attachment is of an unknown kind")
      }
    }
  }
}
