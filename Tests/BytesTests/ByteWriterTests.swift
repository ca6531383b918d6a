import Testing

@testable import Bytes

@Test func appendingGrowsAndKeepsTheOrder() {
  var writer = ByteWriter(capacity: 0)
  var expected: [UInt8] = []
  for round in 0..<300 {
    writer.append(UInt8(truncatingIfNeeded: round))
    writer.append("static")
    writer.append(String(repeating: "ü", count: round % 7))
    writer.append([UInt8](repeating: 1, count: round % 5))
    expected.append(UInt8(truncatingIfNeeded: round))
    expected += Array("static".utf8) + Array(String(repeating: "ü", count: round % 7).utf8)
    expected += [UInt8](repeating: 1, count: round % 5)
  }
  #expect(writer.count == expected.count)
  #expect(writer.bytes.array == expected)
  writer.truncate(to: 10)
  #expect(writer.bytes.array == Array(expected.prefix(10)))
  writer.truncate(to: 1000)
  #expect(writer.count == 10)
  writer.truncate(to: -1)
  #expect(writer.count == 0)
}

@Test func roomIsFilledInPlace() {
  var writer = ByteWriter(capacity: 1)
  for round in 0..<100 {
    writer.append(capacity: 1000) { room in
      room[0] = UInt8(round)
      return round % 2
    }
  }
  #expect(writer.bytes.array == stride(from: 1, to: 100, by: 2).map { (round: Int) in UInt8(round) })
}

@Test(arguments: [0, 1, 9, 10, 99, 100, 12345, UInt64(Int64.max), .max, .max - 1, 10_000_000_000_000_000_000])
func unsignedDecimals(value: UInt64) {
  var writer = ByteWriter()
  writer.append(decimal: value)
  #expect(String(utf8: writer.bytes) == "\(value)")
}

@Test(arguments: [0, 1, -1, 10, -10, Int64.min, .max])
func signedDecimals(value: Int64) {
  var writer = ByteWriter()
  writer.append(decimal: value)
  #expect(String(utf8: writer.bytes) == "\(value)")
}
