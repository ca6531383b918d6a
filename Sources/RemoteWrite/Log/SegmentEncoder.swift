import Bytes
import Compression
import Exposition

/// Turns appended samples into records of the segment that is being written.
package struct SegmentEncoder: ~Copyable {
  /// The bytes that were not given to the file yet, and where in them new segments begin.
  package struct Pending: ~Copyable {
    package var bytes = ByteWriter(capacity: 16 << 10)
    package var segments: [(offset: Int, first: Ordinal)] = []

    package init() {}

    package mutating func removeAll() {
      bytes.removeAll()
      segments.removeAll(keepingCapacity: true)
    }
  }

  package private(set) var pending = Pending()
  /// Bytes of the segment so far; nil when none was begun.
  package private(set) var segmentBytes: Int?

  private var pairs: UInt32 = 0
  private var metadata: UInt32 = 0
  /// The last value of each series of the segment.
  private var lastBits: [UInt64] = []
  private var exponents: [UInt8] = []

  package init() {}

  /// Gives away the pending bytes for an empty buffer.
  package mutating func takePending(_ other: inout Pending) {
    other.removeAll()
    swap(&pending, &other)
  }

  /// The next append begins a new segment.
  package mutating func endSegment() { segmentBytes = nil }

  private mutating func beginSegment(_ first: Ordinal, _ now: Int64, _ table: inout LabelTable) {
    table.forgetLogNumbers()
    pairs = 0
    metadata = 0
    lastBits.removeAll(keepingCapacity: true)
    exponents.removeAll(keepingCapacity: true)
    pending.segments.append((pending.bytes.count, first))
    LogFormat.appendHeader(first: first, created: now, to: &pending.bytes)
    segmentBytes = LogFormat.headerLength
  }

  /// Appends one record.
  ///
  /// - Parameters:
  ///   - samples: at most `LogFormat.mostSamples`, of registered series.
  ///   - attachments: those of the samples; their indices count from `samples.startIndex`'s place `offset`.
  ///   - now: milliseconds since the epoch.
  package mutating func append(
    _ samples: ArraySlice<Sample>, _ attachments: ArraySlice<Attachment>, offset: Int, first: Ordinal, now: Int64,
    _ table: inout LabelTable
  ) {
    if segmentBytes == nil { beginSegment(first, now, &table) }
    let start = pending.bytes.count
    pending.bytes.append(littleEndian: UInt64(0))
    let time = samples.first?.timestamp ?? 0
    pending.bytes.append(varint: first)
    pending.bytes.append(zigzag: time)
    pending.bytes.append(varint: UInt64(samples.count))
    define(samples, &table)
    appendSeries(samples, table)
    appendTimestamps(samples, time)
    appendValues(samples, table)
    appendAttachments(attachments, offset)
    let payload = start + LogFormat.recordHeaderLength
    let sum = pending.bytes.withUnsafeBytes { Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[payload...])) }
    pending.bytes.overwrite(littleEndian: UInt32(truncatingIfNeeded: pending.bytes.count - payload), at: start)
    pending.bytes.overwrite(littleEndian: sum, at: start + 4)
    segmentBytes = (segmentBytes ?? 0) + pending.bytes.count - start
  }

  // MARK: Definitions

  private mutating func define(_ samples: ArraySlice<Sample>, _ table: inout LabelTable) {
    for sample in samples where table.logNumber(of: sample.series.rawValue) == 0 {
      defineSeries(sample.series.rawValue, &table)
    }
    if !table.redescribed.isEmpty {
      for series in table.redescribed where table.logNumber(of: series) > 0 {
        let metadata = defineMetadata(of: series, &table)
        pending.bytes.append(LogFormat.Definition.redescription)
        pending.bytes.append(varint: UInt64(table.logNumber(of: series) - 1))
        pending.bytes.append(varint: UInt64(metadata))
      }
      table.redescribed.removeAll(keepingCapacity: true)
    }
    if !table.restarted.isEmpty {
      for series in table.restarted { defineStart(of: series, table) }
      table.restarted.removeAll(keepingCapacity: true)
    }
    pending.bytes.append(LogFormat.Definition.end)
  }

  private mutating func defineSeries(_ series: UInt32, _ table: inout LabelTable) {
    for pair in table.pairNumbers(of: series) where table.logNumber(ofPair: pair) == 0 {
      table.appendPair(pair, to: &pending.bytes)
      pairs += 1
      table.setLogNumber(pairs, ofPair: pair)
    }
    let metadata = defineMetadata(of: series, &table)
    pending.bytes.append(LogFormat.Definition.series)
    pending.bytes.append(varint: UInt64(metadata))
    let list = table.pairNumbers(of: series)
    pending.bytes.append(varint: UInt64(list.count))
    for pair in list { pending.bytes.append(varint: UInt64(table.logNumber(ofPair: pair) - 1)) }
    lastBits.append(0)
    exponents.append(0)
    table.setLogNumber(UInt32(truncatingIfNeeded: lastBits.count), of: series)
    defineStart(of: series, table)
  }

  /// 1 + the number in the segment of what is known of the series' family; 0 for nothing.
  private mutating func defineMetadata(of series: UInt32, _ table: inout LabelTable) -> UInt32 {
    guard let entry = table.metadata(of: series) else { return 0 }
    let known = table.logNumber(ofMetadataOf: series)
    if known > 0 { return known }
    pending.bytes.append(LogFormat.Definition.metadata)
    pending.bytes.append(entry.type.remoteWriteNumber)
    for text in [entry.family, entry.help, entry.unit] {
      pending.bytes.append(varint: UInt64(text.utf8.count))
      pending.bytes.append(text)
    }
    metadata += 1
    table.setLogNumber(metadata, ofMetadataOf: series)
    return metadata
  }

  private mutating func defineStart(of series: UInt32, _ table: borrowing LabelTable) {
    guard let start = table.start(of: series), table.logNumber(of: series) > 0 else { return }
    pending.bytes.append(LogFormat.Definition.start)
    pending.bytes.append(varint: UInt64(table.logNumber(of: series) - 1))
    pending.bytes.append(zigzag: start)
  }

  // MARK: Samples

  /// Runs of series that follow one another: how far the first is from the one expected next, and how many there are.
  private mutating func appendSeries(_ samples: ArraySlice<Sample>, _ table: borrowing LabelTable) {
    var expected: UInt32 = 1
    var index = samples.startIndex
    while index < samples.endIndex {
      let first = table.logNumber(of: samples[index].series.rawValue)
      var end = index + 1
      while end < samples.endIndex,
        table.logNumber(of: samples[end].series.rawValue) == first &+ UInt32(truncatingIfNeeded: end - index)
      { end += 1 }
      pending.bytes.append(zigzag: Int64(first) - Int64(expected))
      pending.bytes.append(varint: UInt64(end - index))
      expected = first &+ UInt32(truncatingIfNeeded: end - index)
      index = end
    }
  }

  /// Runs of equal timestamps: how far they are from the record's time, and how many there are.
  private mutating func appendTimestamps(_ samples: ArraySlice<Sample>, _ time: Int64) {
    var index = samples.startIndex
    while index < samples.endIndex {
      let timestamp = samples[index].timestamp
      var end = index + 1
      while end < samples.endIndex, samples[end].timestamp == timestamp { end += 1 }
      pending.bytes.append(zigzag: timestamp &- time)
      pending.bytes.append(varint: UInt64(end - index))
      index = end
    }
  }

  private mutating func appendValues(_ samples: ArraySlice<Sample>, _ table: borrowing LabelTable) {
    var repeats = 0
    for sample in samples {
      let slot = Int(table.logNumber(of: sample.series.rawValue)) - 1
      let bits = sample.value.bitPattern
      if bits == lastBits[slot] {
        repeats += 1
        if repeats == ValueCodec.mostRepeats { endRepeats(&repeats) }
        continue
      }
      endRepeats(&repeats)
      var state = ValueState(bits: lastBits[slot], exponent: exponents[slot])
      ValueCodec.append(bits, &state, to: &pending.bytes)
      lastBits[slot] = state.bits
      exponents[slot] = state.exponent
    }
    endRepeats(&repeats)
  }

  private mutating func endRepeats(_ repeats: inout Int) {
    guard repeats > 0 else { return }
    pending.bytes.append(UInt8(truncatingIfNeeded: repeats - 1))
    repeats = 0
  }

  private mutating func appendAttachments(_ attachments: ArraySlice<Attachment>, _ offset: Int) {
    var stored = 0
    for attachment in attachments where attachment.content.isStored { stored += 1 }
    pending.bytes.append(varint: UInt64(stored))
    var next = offset
    for attachment in attachments {
      let kind: UInt8
      let bytes: [UInt8]
      switch attachment.content {
      case .exemplar(let labels, let value, let timestamp):
        kind = LogFormat.AttachmentKind.exemplar
        bytes = ExemplarMessage.encode(labels, value, timestamp)
      case .histogram(let message): (kind, bytes) = (LogFormat.AttachmentKind.histogram, message)
      case .start: continue
      }
      pending.bytes.append(varint: UInt64(attachment.sample - next))
      next = attachment.sample
      pending.bytes.append(kind)
      pending.bytes.append(varint: UInt64(bytes.count))
      pending.bytes.append(bytes)
    }
  }
}

extension Attachment.Content {
  /// Whether it follows the samples; a start is a definition.
  fileprivate var isStored: Bool {
    if case .start = self { return false }
    return true
  }
}
