import Bytes

/// A classic histogram, collected sample by sample, and the native histogram with custom buckets that it becomes: what
/// Prometheus' `convert_classic_histograms_to_nhcb` makes of it
/// (https://prometheus.io/docs/specs/native_histograms/#native-histograms-with-custom-bucket-boundaries).
public final class ClassicHistogram {
  /// What one of its samples says.
  public enum Part: Sendable, Equatable {
    /// How many observations are not above this bound, the label `le`.
    case bucket(Double)
    case count
    case sum
  }

  private static let schema: Int64 = -53
  /// The field `custom_values`.
  private static let customValues: UInt64 = 16
  /// So many empty buckets in a row stand in a span, where counts are whole.
  private static let emptyBuckets = 2

  /// By ascending bound; counts are those of all buckets up to it.
  private var buckets: [(bound: Double, count: Double)] = []
  private var count: Double?
  private var sum = 0.0
  private var isBroken = false
  // Memory that is used again.
  private var output = ByteWriter(capacity: 256)
  private var list = ByteWriter(capacity: 256)
  private var span = ByteWriter(capacity: 32)

  public init() {}

  /// Begins another histogram, in the same memory.
  public func removeAll() {
    buckets.removeAll(keepingCapacity: true)
    (count, sum, isBroken) = (nil, 0, false)
  }

  public func add(_ value: Double, as part: Part) {
    let isCount = value >= 0 && value.isFinite
    switch part {
    case .sum: sum = value
    case _ where !isCount: isBroken = true
    case .bucket(let bound): add(value, below: bound)
    case .count: count = value
    }
  }

  private func add(_ count: Double, below bound: Double) {
    // They come in order, mostly.
    var place = buckets.count
    while place > 0, buckets[place - 1].bound >= bound { place -= 1 }
    // The first of equal bounds counts.
    if place < buckets.count, buckets[place].bound == bound { return }
    if place > 0, buckets[place - 1].count > count { isBroken = true }
    if place < buckets.count, buckets[place].count < count { isBroken = true }
    buckets.insert((bound, count), at: place)
  }

  /// The native histogram, as `Attachment.Content.histogram` has it; nil when the samples contradict each other.
  public func encoded() -> [UInt8]? {
    guard !isBroken, let total = count ?? buckets.last?.count else { return nil }
    if buckets.last?.bound != .infinity { buckets.append((.infinity, total)) }
    guard buckets[0].bound > -.infinity, buckets[buckets.count - 1].count == total else { return nil }
    let isFloat = buckets.contains { !$0.count.isWhole }
    output.removeAll()
    if isFloat { output.append(field: 2, total) } else { output.append(field: 1, UInt64(total)) }
    output.append(field: 3, sum)
    output.append(field: 4, Self.schema.zigzagged)
    if isFloat { output.append(field: 7, 0.0) } else { output.append(field: 6, 0 as UInt64) }
    list.removeAll()
    appendSpans(isFloat: isFloat)
    if list.count > 0 { output.append(field: isFloat ? 13 : 12, list) }
    list.removeAll()
    for bucket in buckets.dropLast() { list.append(littleEndian: bucket.bound.bitPattern) }
    if list.count > 0 {
      // The number of the field takes two bytes.
      output.append(varint: Self.customValues << 3 | 2)
      output.append(varint: UInt64(list.count))
      output.append(list)
    }
    return output.withBytes { $0.array }
  }

  /// Appends the spans of buckets that are not empty to `output`, and what is in those buckets to `list`.
  private func appendSpans(isFloat: Bool) {
    let bridged = isFloat ? 0 : Self.emptyBuckets
    // Of the span: where it begins, and behind its last full bucket; and behind the span before it.
    var (start, end, before) = (0, 0, 0)
    var (below, previous) = (0.0, 0.0)
    for (place, bucket) in buckets.enumerated() {
      let inside = bucket.count - below
      below = bucket.count
      if inside == 0 { continue }
      if end == start || place - end > bridged {
        append(span: start..<end, behind: before)
        if end > start { before = end }
        start = place
      } else {
        while end < place {
          append(0, after: &previous, isFloat: isFloat)
          end += 1
        }
      }
      append(inside, after: &previous, isFloat: isFloat)
      end = place + 1
    }
    append(span: start..<end, behind: before)
  }

  private func append(_ count: Double, after previous: inout Double, isFloat: Bool) {
    if isFloat {
      list.append(littleEndian: count.bitPattern)
    } else {
      list.append(zigzag: Int64(count) &- Int64(previous))
    }
    previous = count
  }

  private func append(span places: Range<Int>, behind before: Int) {
    if places.isEmpty { return }
    span.removeAll()
    if places.lowerBound > before { span.append(field: 1, Int64(places.lowerBound - before).zigzagged) }
    span.append(field: 2, UInt64(places.count))
    output.append(field: 11, span)
  }
}

extension Double {
  /// Whether an integer of 64 bits holds it.
  fileprivate var isWhole: Bool { Int64(exactly: self) != nil }
}
