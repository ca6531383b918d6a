import Bytes
import TestSupport
import Testing

@testable import Exposition

/// The fields of an encoded histogram that are not lists as they stand, lists as spans (offset, length) and numbers.
private func text(_ bytes: [UInt8]?) throws -> String {
  guard let bytes else { return "none" }
  let span = bytes.span.bytes
  var parts: [String] = []
  var fields = ProtobufFields(span, 0..<span.byteCount)
  while try fields.next() {
    switch fields.field {
    case 1, 6: parts.append("\(fields.field)=\(try fields.integer())")
    case 4: parts.append("schema=\(try fields.integer().unzigzagged)")
    case 2, 3, 7: parts.append("\(fields.field)=\(try fields.double())")
    case 11:
      let (offset, length) = try NativeHistogram.span(span, try fields.message())
      parts.append("span=\(offset)+\(length)")
    case 12:
      var numbers = ProtobufFields(span, try fields.message())
      var deltas: [Int64] = []
      while numbers.position < fields.content.upperBound { deltas.append(try numbers.varint().unzigzagged) }
      parts.append("deltas=\(deltas)")
    default:
      let doubles = stride(from: try fields.message().lowerBound, to: fields.content.upperBound, by: 8).map {
        span.unsafeLoadUnaligned(fromUncheckedByteOffset: $0, as: Double.self)
      }
      parts.append("\(fields.field)=\(doubles)")
    }
  }
  return parts.joined(separator: " ")
}

private let inf = Double.infinity

@Test(
  arguments: [
    // Bounds and cumulative counts, count, what is made of them.
    (
      [(0.1, 1), (1, 3), (inf, 4)], 4, "1=4 3=2.5 schema=-53 6=0 span=0+3 deltas=[1, 1, -1] 16=[0.1, 1.0]"
    ),
    // Out of order, twice, without +Inf.
    (
      [(1, 3), (0.1, 1), (1, 9)], 4, "1=4 3=2.5 schema=-53 6=0 span=0+3 deltas=[1, 1, -1] 16=[0.1, 1.0]"
    ),
    ([(0.1, 1), (1, 3)], nil, "1=3 3=2.5 schema=-53 6=0 span=0+2 deltas=[1, 1] 16=[0.1, 1.0]"),
    ([(inf, 2)], 2, "1=2 3=2.5 schema=-53 6=0 span=0+1 deltas=[2]"),
    ([], 2, "1=2 3=2.5 schema=-53 6=0 span=0+1 deltas=[2]"),
    ([(1, 0), (inf, 0)], 0, "1=0 3=2.5 schema=-53 6=0 16=[1.0]"),
    // Up to two empty buckets stay in a span; empty ones at the ends do not.
    (
      [(1, 0), (2, 1), (3, 1), (4, 1), (5, 3), (6, 3), (7, 3), (8, 3), (9, 4), (inf, 4)], 4,
      "1=4 3=2.5 schema=-53 6=0 span=1+4 span=3+1 deltas=[1, -1, 0, 2, -1] 16=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]"
    ),
    // What is not whole makes all of it doubles, and every empty bucket ends a span.
    (
      [(1, 0.5), (2, 0.5), (inf, 2)], 2, "2=2.0 3=2.5 schema=-53 7=0.0 span=0+1 span=1+1 13=[0.5, 1.5] 16=[1.0, 2.0]"
    ),
    ([(1, 1e300)], 1e300, "2=1e+300 3=2.5 schema=-53 7=0.0 span=0+1 13=[1e+300] 16=[1.0]"),
    // Contradictions.
    ([(1, 3), (2, 1)], 3, "none"), ([(2, 1), (1, 3)], 3, "none"), ([(1, 3), (inf, 3)], 4, "none"), ([], nil, "none"),
    ([(1, -1)], 1, "none"), ([(1, 1)], -1, "none"), ([(1, .nan)], 1, "none"), ([(1, inf)], 1, "none"),
    ([(-inf, 1)], 1, "none"),
  ] as [([(Double, Double)], Double?, String)])
func classicHistogramsBecomeNative(_ buckets: [(Double, Double)], _ count: Double?, _ expected: String) throws {
  let histogram = ClassicHistogram()
  for _ in 0..<2 {
    histogram.removeAll()
    histogram.add(2.5, as: .sum)
    for (bound, value) in buckets { histogram.add(value, as: .bucket(bound)) }
    if let count { histogram.add(count, as: .count) }
    #expect(try text(histogram.encoded()) == expected)
  }
}

@Test func theBucketsOfAnEncodedHistogramAreThoseOfTheClassicOne() throws {
  var random = SeededGenerator(53)
  for _ in 0..<500 {
    let histogram = ClassicHistogram()
    let isFloat = Bool.random(using: &random)
    let inside = (0..<Int.random(in: 1...20, using: &random)).map { _ in
      Double(max(0, Int.random(in: -3...5, using: &random))) + (isFloat ? 0.25 : 0)
    }
    var total = 0.0
    for (bound, count) in inside.enumerated() {
      total += count
      histogram.add(total, as: .bucket(bound + 1 == inside.count ? .infinity : Double(bound)))
    }
    let encoded = try #require(histogram.encoded())
    let bytes = encoded.span.bytes
    var (place, number) = (0, 0)
    var places: [Int] = []
    var counts: [Double] = []
    var (running, previous): (Int64, Int64) = (0, 0)
    var fields = ProtobufFields(bytes, 0..<bytes.byteCount)
    while try fields.next() {
      switch fields.field {
      case 11:
        let (offset, length) = try NativeHistogram.span(bytes, try fields.message())
        place += Int(offset)
        for _ in 0..<length {
          places.append(place)
          place += 1
        }
      case 12:
        var numbers = ProtobufFields(bytes, try fields.message())
        while numbers.position < fields.content.upperBound {
          previous = running
          running = previous + (try numbers.varint().unzigzagged)
          counts.append(Double(running))
        }
      case 13:
        for start in stride(from: try fields.message().lowerBound, to: fields.content.upperBound, by: 8) {
          counts.append(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: Double.self))
        }
      default: number += 1
      }
    }
    try #require(places.count == counts.count && number >= 4)
    var found = [Double](repeating: 0, count: inside.count)
    for (place, count) in zip(places, counts) { found[place] = count }
    #expect(found == inside)
  }
}
