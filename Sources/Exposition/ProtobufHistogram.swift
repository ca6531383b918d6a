import Bytes

/// The numbers of a message `io.prometheus.client.Histogram`, or of a `Summary`, that are no lists.
struct HistogramScalars {
  var count: UInt64 = 0
  var floatCount = 0.0
  var sum = 0.0
  var schema: Int64 = 0
  var zeroThreshold = 0.0
  var zeroCount: UInt64 = 0
  var floatZeroCount = 0.0
  /// Whether there are classic buckets.
  var hasBuckets = false
  /// Where the time stands since which it counts.
  var created: Range<Int>?
  private var hasSpans = false

  init() {}

  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ExpositionError) {
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      switch fields.field {
      case 1: count = try fields.integer()
      case 2: sum = try fields.double()
      case 3: hasBuckets = true
      case 4: floatCount = try fields.double()
      case 5: schema = try fields.integer().unzigzagged
      case 6: zeroThreshold = try fields.double()
      case 7: zeroCount = try fields.integer()
      case 8: floatZeroCount = try fields.double()
      case 9, 12: hasSpans = true
      case 15: created = try fields.message()
      default: break
      }
    }
  }

  init(summary bytes: RawSpan, _ range: Range<Int>) throws(ExpositionError) {
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      if fields.field == 1 { count = try fields.integer() }
      if fields.field == 2 { sum = try fields.double() }
      if fields.field == 4 { created = try fields.message() }
    }
  }

  var total: Double { floatCount == 0 ? Double(count) : floatCount }

  /// Whether the counts are doubles.
  var isFloat: Bool { floatCount > 0 || floatZeroCount > 0 }

  /// A native histogram without observations says by an empty span that it is one.
  var isNative: Bool { hasSpans || zeroThreshold > 0 || zeroCount > 0 }
}

/// One bucket of a classic histogram, or one quantile of a summary.
struct HistogramStep {
  var bound = 0.0
  var value = 0.0
  var exemplar: Range<Int>?

  init(_ bytes: RawSpan, _ range: Range<Int>, isQuantile: Bool) throws(ExpositionError) {
    var count: UInt64 = 0
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      switch (fields.field, isQuantile) {
      case (1, true): bound = try fields.double()
      case (2, true): value = try fields.double()
      case (1, false): count = try fields.integer()
      case (2, false): bound = try fields.double()
      case (3, false): exemplar = try fields.message()
      case (4, false): value = try fields.double()
      default: break
      }
    }
    if !isQuantile, value == 0 { value = Double(count) }
  }
}

/// A native histogram as an exposition has it, written as remote write wants it: the fields of `prometheus.Histogram`
/// (https://github.com/prometheus/prometheus/blob/main/prompb/types.proto), which remote write 2.0 numbers alike.
enum NativeHistogram {
  /// One of the two sides: which fields hold it in the exposition, and which are to hold it.
  private struct Side {
    var name: String
    var spans: (from: Int, to: UInt8)
    var deltas: (from: Int, to: UInt8)
    var counts: (from: Int, to: UInt8)
  }

  private static let sides = [
    Side(name: "negative", spans: (9, 8), deltas: (10, 9), counts: (11, 10)),
    Side(name: "positive", spans: (12, 11), deltas: (13, 12), counts: (14, 13)),
  ]

  /// The hint that a histogram is a gauge, and so no sum of two is wanted.
  private static let gaugeHint: UInt64 = 3

  static func encode(
    _ bytes: RawSpan, _ range: Range<Int>, _ scalars: HistogramScalars, isGauge: Bool
  ) throws(ExpositionError) -> [UInt8] {
    var output = ByteWriter(capacity: max(range.count, 64))
    if scalars.isFloat { output.append(field: 2, scalars.floatCount) } else { output.append(field: 1, scalars.count) }
    output.append(field: 3, scalars.sum)
    if scalars.schema != 0 { output.append(field: 4, scalars.schema.zigzagged) }
    if scalars.zeroThreshold != 0 { output.append(field: 5, scalars.zeroThreshold) }
    if scalars.isFloat {
      output.append(field: 7, scalars.floatZeroCount)
    } else {
      output.append(field: 6, scalars.zeroCount)
    }
    for side in sides { try append(side, bytes, range, isFloat: scalars.isFloat, to: &output) }
    if isGauge { output.append(field: 14, gaugeHint) }
    return output.bytes.array
  }

  private static func append(
    _ side: Side, _ bytes: RawSpan, _ range: Range<Int>, isFloat: Bool, to output: inout ByteWriter
  ) throws(ExpositionError) {
    var list = ByteWriter(capacity: 256)
    let listed = isFloat ? side.counts : side.deltas
    var (buckets, wanted): (UInt64, UInt64) = (0, 0)
    var gap: Int64 = 0
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      if fields.field == side.spans.from {
        let span = try span(bytes, try fields.message())
        (gap, _) = gap.addingReportingOverflow(span.offset)
        // A span of no buckets only widens the gap before the next one.
        guard span.length > 0 else { continue }
        guard wanted == 0 || gap >= 0 else {
          throw ExpositionError("\(side.name) side: histogram has a span whose offset is negative")
        }
        var message = ByteWriter(capacity: 64)
        if gap != 0 { message.append(field: 1, gap.zigzagged) }
        message.append(field: 2, span.length)
        output.append(field: side.spans.to, message)
        (gap, wanted) = (0, wanted &+ span.length)
      } else if fields.field == listed.from {
        buckets += try append(fields, isFloat: isFloat, to: &list)
      }
    }
    guard buckets == wanted else {
      throw ExpositionError(
        "\(side.name) side: spans need \(wanted) buckets, have \(buckets) buckets: histogram spans specify different "
          + "number of buckets than provided")
    }
    if buckets > 0 { output.append(field: listed.to, list) }
  }

  static func span(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ExpositionError) -> (offset: Int64, length: UInt64) {
    var (offset, length): (Int64, UInt64) = (0, 0)
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      if fields.field == 1 { offset = try fields.integer().unzigzagged }
      if fields.field == 2 { length = try fields.integer() }
    }
    guard Int32(exactly: offset) != nil, UInt32(exactly: length) != nil else {
      throw ExpositionError("proto: integer overflow")
    }
    return (offset, length)
  }

  /// Appends the one number of the last field, or its packed list of numbers, and gives how many they are.
  private static func append(
    _ fields: borrowing ProtobufFields, isFloat: Bool, to list: inout ByteWriter
  ) throws(ExpositionError) -> UInt64 {
    switch (fields.wireType, isFloat) {
    case (0, false): list.append(varint: fields.number)
    case (1, true): list.append(littleEndian: fields.number)
    case (2, true):
      guard fields.content.count % 8 == 0 else { throw ProtobufFields.truncated }
      list.append(fields.bytes.extracting(fields.content))
      return UInt64(fields.content.count / 8)
    case (2, false):
      var numbers = ProtobufFields(fields.bytes, fields.content)
      var count: UInt64 = 0
      while numbers.position < fields.content.upperBound {
        list.append(varint: try numbers.varint())
        count += 1
      }
      return count
    default: throw ExpositionError("proto: wrong wireType = \(fields.wireType) for field \(fields.field)")
    }
    return 1
  }

  /// The exemplars of a native histogram: its own, or those of its classic buckets; without a timestamp none counts.
  static func exemplars(_ bytes: RawSpan, _ range: Range<Int>) throws(ExpositionError) -> [Range<Int>] {
    var (own, ofBuckets): ([Range<Int>], [Range<Int>]) = ([], [])
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      if fields.field == 16 {
        own.append(try fields.message())
      } else if fields.field == 3,
        let exemplar = try HistogramStep(bytes, try fields.message(), isQuantile: false).exemplar
      {
        ofBuckets.append(exemplar)
      }
    }
    var timed: [Range<Int>] = []
    for exemplar in own.isEmpty ? ofBuckets : own where try Exemplar(bytes, exemplar).timestamp != nil {
      timed.append(exemplar)
    }
    return timed
  }
}

extension Exemplar {
  /// A message `io.prometheus.client.Exemplar`.
  init(_ bytes: RawSpan, _ range: Range<Int>) throws(ExpositionError) {
    self.init(labels: LabelSet(), value: 0, timestamp: nil)
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      switch fields.field {
      case 1:
        let (name, value) = try Self.label(bytes, try fields.message())
        guard bytes.extracting(name).isUTF8, bytes.extracting(value).isUTF8 else {
          throw ExpositionError("invalid UTF-8 in the labels of an exemplar")
        }
        labels.append(bytes.extracting(name), bytes.extracting(value))
      case 2: value = try fields.double()
      case 3: timestamp = try bytes.milliseconds(try fields.message())
      default: break
      }
    }
    labels.sort()
  }

  private static func label(
    _ bytes: RawSpan, _ range: Range<Int>
  ) throws(ExpositionError) -> (name: Range<Int>, value: Range<Int>) {
    var (name, value) = (0..<0, 0..<0)
    var fields = ProtobufFields(bytes, range)
    while try fields.next() {
      if fields.field == 1 { name = try fields.message() }
      if fields.field == 2 { value = try fields.message() }
    }
    return (name, value)
  }
}

extension RawSpan {
  /// A message `google.protobuf.Timestamp`: milliseconds since the epoch.
  fileprivate func milliseconds(_ range: Range<Int>) throws(ExpositionError) -> Int64 {
    var (seconds, nanoseconds): (Int64, Int64) = (0, 0)
    var fields = ProtobufFields(self, range)
    while try fields.next() {
      if fields.field == 1 { seconds = Int64(bitPattern: try fields.integer()) }
      if fields.field == 2 { nanoseconds = Int64(bitPattern: try fields.integer()) }
    }
    return seconds &* 1000 &+ nanoseconds / 1_000_000
  }

  /// The same, where none and the epoch itself say nothing.
  func time(_ range: Range<Int>?) throws(ExpositionError) -> Int64? {
    guard let range else { return nil }
    let time = try milliseconds(range)
    return time == 0 ? nil : time
  }
}
