import Bytes
import Glibc

/// Makes native histograms coarser, as Prometheus does for `native_histogram_bucket_limit` and
/// `native_histogram_min_bucket_factor`: each step down in the schema makes one bucket of two
/// (https://prometheus.io/docs/specs/native_histograms/#schema).
public struct HistogramResolution: Sendable, Equatable {
  private static let finestSchema: Int64 = 8
  private static let coarsestSchema: Int64 = -4

  /// No histogram may have a finer schema.
  private let schema: Int64
  /// The most buckets, of both sides together.
  private let buckets: Int

  /// - Parameters:
  ///   - buckets: the most buckets; 0 is no limit.
  ///   - factor: the smallest factor from bucket to bucket; 0 is no limit.
  public init(buckets: Int, factor: Double) {
    self.buckets = buckets > 0 ? buckets : .max
    guard factor > 1 else {
      schema = Self.finestSchema
      return
    }
    let wanted = (-log2(log2(factor))).rounded(.down)
    schema = Int64(min(max(wanted, Double(Self.coarsestSchema)), Double(Self.finestSchema)))
  }

  /// Whether every histogram is well as it is.
  public var isUnlimited: Bool { buckets == .max && schema == Self.finestSchema }

  /// A histogram as `Attachment.Content.histogram` has it, no finer than allowed; nil when none with so few buckets can
  /// be made of it.
  public func limit(_ histogram: [UInt8]) -> [UInt8]? {
    if isUnlimited { return histogram }
    guard var decoded = try? Decoded(histogram.span.bytes) else { return histogram }
    let isExponential = Self.coarsestSchema...Self.finestSchema ~= decoded.schema
    if isExponential, decoded.schema > schema { decoded.reduce(to: schema) }
    if !isExponential { return decoded.count > buckets ? nil : histogram }
    while decoded.count > buckets {
      guard decoded.schema > Self.coarsestSchema else { return nil }
      decoded.reduce(to: decoded.schema - 1)
    }
    return decoded.encoded(histogram.span.bytes)
  }
}

/// The buckets of a native histogram; what else it has is copied.
private struct Decoded {
  /// A side's buckets by ascending index, each with its count: whole, or the bits of a double.
  struct Side {
    var spans: UInt8
    var deltas: UInt8
    var counts: UInt8
    var buckets: [(index: Int64, count: UInt64)] = []
  }

  private(set) var schema: Int64 = 0
  private var isFloat = false
  private var sides = [Side(spans: 8, deltas: 9, counts: 10), Side(spans: 11, deltas: 12, counts: 13)]

  var count: Int { sides.reduce(0) { $0 + $1.buckets.count } }

  init(_ bytes: RawSpan) throws(ExpositionError) {
    var fields = ProtobufFields(bytes, 0..<bytes.byteCount)
    while try fields.next() {
      if fields.field == 2 { isFloat = true }
      if fields.field == 4 { schema = try fields.integer().unzigzagged }
    }
    for place in sides.indices { try readSide(place, bytes) }
  }

  private mutating func readSide(_ place: Int, _ bytes: RawSpan) throws(ExpositionError) {
    let side = sides[place]
    var indices: [Int64] = []
    var counts: [UInt64] = []
    var next: Int64 = 0
    var fields = ProtobufFields(bytes, 0..<bytes.byteCount)
    while try fields.next() {
      switch fields.field {
      case Int(side.spans):
        let span = try NativeHistogram.span(bytes, try fields.message())
        next &+= span.offset
        // No more buckets than bytes can have counts.
        guard span.length <= UInt64(bytes.byteCount) else { throw ProtobufFields.truncated }
        for _ in 0..<span.length {
          indices.append(next)
          next &+= 1
        }
      case Int(side.deltas):
        var numbers = ProtobufFields(bytes, try fields.message())
        var count: Int64 = 0
        while numbers.position < fields.content.upperBound {
          count &+= try numbers.varint().unzigzagged
          counts.append(UInt64(bitPattern: count))
        }
      case Int(side.counts):
        for start in stride(from: try fields.message().lowerBound, to: fields.content.upperBound, by: 8) {
          counts.append(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: UInt64.self))
        }
      default: break
      }
    }
    guard indices.count == counts.count else { throw ProtobufFields.truncated }
    sides[place].buckets = zip(indices, counts).map { (index: $0, count: $1) }
  }

  mutating func reduce(to schema: Int64) {
    let steps = self.schema - schema
    self.schema = schema
    for place in sides.indices {
      var merged: [(index: Int64, count: UInt64)] = []
      for bucket in sides[place].buckets {
        let index = ((bucket.index &- 1) >> steps) &+ 1
        if merged.last?.index == index {
          merged[merged.count - 1].count = sum(merged[merged.count - 1].count, bucket.count)
        } else {
          merged.append((index, bucket.count))
        }
      }
      sides[place].buckets = merged
    }
  }

  private func sum(_ one: UInt64, _ other: UInt64) -> UInt64 {
    isFloat ? (Double(bitPattern: one) + Double(bitPattern: other)).bitPattern : one &+ other
  }

  /// - Parameter bytes: the histogram as it was.
  func encoded(_ bytes: RawSpan) -> [UInt8] {
    var output = ByteWriter(capacity: max(bytes.byteCount, 64))
    var fields = ProtobufFields(bytes, 0..<bytes.byteCount)
    var start = 0
    while (try? fields.next()) == true {
      if fields.field < 8, fields.field != 4 { output.append(bytes.extracting(start..<fields.position)) }
      start = fields.position
    }
    if schema != 0 { output.append(field: 4, schema.zigzagged) }
    for side in sides { append(side, to: &output) }
    fields = ProtobufFields(bytes, 0..<bytes.byteCount)
    start = 0
    while (try? fields.next()) == true {
      if fields.field > 13 { output.append(bytes.extracting(start..<fields.position)) }
      start = fields.position
    }
    return output.bytes.array
  }

  private func append(_ side: Side, to output: inout ByteWriter) {
    guard !side.buckets.isEmpty else { return }
    var counts = ByteWriter(capacity: 256)
    var last: Int64 = 0
    var (end, start): (Int64, Int) = (0, 0)
    for (place, bucket) in side.buckets.enumerated() {
      if isFloat {
        counts.append(littleEndian: bucket.count)
      } else {
        counts.append(zigzag: Int64(bitPattern: bucket.count) &- last)
        last = Int64(bitPattern: bucket.count)
      }
      let isEnd = place + 1 == side.buckets.count || side.buckets[place + 1].index != bucket.index &+ 1
      guard isEnd else { continue }
      var span = ByteWriter(capacity: 64)
      let offset = side.buckets[start].index &- end
      if offset != 0 { span.append(field: 1, offset.zigzagged) }
      span.append(field: 2, UInt64(place + 1 - start))
      output.append(field: side.spans, span)
      (end, start) = (bucket.index &+ 1, place + 1)
    }
    output.append(field: isFloat ? side.counts : side.deltas, counts)
  }
}
