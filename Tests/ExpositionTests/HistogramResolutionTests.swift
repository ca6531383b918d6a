import Bytes
import Testing

@testable import Exposition

/// A histogram of one side as remote write has it.
private func histogram(schema: Int64, spans: [(Int64, UInt64)], deltas: [Int64], sum: Double = 1) -> [UInt8] {
  var output = ByteWriter()
  output.append(field: 1, 9 as UInt64)
  output.append(field: 3, sum)
  if schema != 0 { output.append(field: 4, schema.zigzagged) }
  for (offset, length) in spans {
    var span = ByteWriter()
    if offset != 0 { span.append(field: 1, offset.zigzagged) }
    span.append(field: 2, length)
    output.append(field: 11, span)
  }
  var list = ByteWriter()
  for delta in deltas { list.append(zigzag: delta) }
  output.append(field: 12, list)
  output.append(field: 14, 3 as UInt64)
  return output.bytes.array
}

/// Buckets 1 (count 1), 2 (2), 3 (3), 4 (4), 7 (5).
private let fine = histogram(schema: 1, spans: [(1, 4), (2, 1)], deltas: [1, 1, 1, 1, 1])

@Test(
  arguments: [
    (0, 0.0, fine), (5, 1.3, fine), (4, 0, histogram(schema: 0, spans: [(1, 2), (1, 1)], deltas: [3, 4, -2])),
    (0, 2.0, histogram(schema: 0, spans: [(1, 2), (1, 1)], deltas: [3, 4, -2])),
    (2, 0, histogram(schema: -1, spans: [(1, 2)], deltas: [10, -5])),
    (1, 0, histogram(schema: -2, spans: [(1, 1)], deltas: [15])),
    (0, 3, histogram(schema: -1, spans: [(1, 2)], deltas: [10, -5])),
  ])
func histogramsLoseResolution(buckets: Int, factor: Double, expected: [UInt8]) {
  #expect(HistogramResolution(buckets: buckets, factor: factor).limit(fine) == expected)
}

@Test func histogramsThatCannotLoseEnough() {
  let far = histogram(schema: 8, spans: [(-30_000, 1), (60_000, 1)], deltas: [1, 1])
  #expect(HistogramResolution(buckets: 1, factor: 0).limit(far) == nil)
  let custom = histogram(schema: -53, spans: [(0, 2)], deltas: [1, 1])
  #expect(HistogramResolution(buckets: 1, factor: 0).limit(custom) == nil)
  #expect(HistogramResolution(buckets: 2, factor: 65536).limit(custom) == custom)
}
