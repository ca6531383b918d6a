/// An independent reading of the wire: snappy blocks and `prometheus.WriteRequest`, from their specifications and
/// from nothing of the module under test.
struct DecodedSeries: Equatable {
  struct Point: Equatable {
    var timestamp: Int64
    var bits: UInt64
  }

  var labels: [[String]] = []
  var points: [Point] = []

  var name: String { labels.first { $0[0] == "__name__" }?[1] ?? "" }
}

struct Malformed: Error {}

/// https://github.com/google/snappy/blob/main/format_description.txt
func decodeSnappy(_ block: [UInt8]) throws -> [UInt8] {
  var reader = WireReader(bytes: block[...])
  let length = Int(try reader.varint())
  var output: [UInt8] = []
  while !reader.bytes.isEmpty {
    let tag = try Int(reader.byte())
    switch tag & 3 {
    case 0:
      var count = tag >> 2
      if count >= 60 { count = try reader.littleEndian(count - 59) }
      output += try reader.take(count + 1)
    case 1:
      let offset = try (tag >> 5) << 8 | Int(reader.byte())
      try copy(offset, (tag >> 2) & 7 + 4, &output)
    case 2: try copy(reader.littleEndian(2), tag >> 2 + 1, &output)
    default: try copy(reader.littleEndian(4), tag >> 2 + 1, &output)
    }
  }
  guard output.count == length else { throw Malformed() }
  return output
}

private func copy(_ offset: Int, _ count: Int, _ output: inout [UInt8]) throws {
  guard offset > 0, offset <= output.count else { throw Malformed() }
  for _ in 0..<count { output.append(output[output.count - offset]) }
}

func decodeWriteRequest(_ message: [UInt8]) throws -> [DecodedSeries] {
  var request = WireReader(bytes: message[...])
  var all: [DecodedSeries] = []
  while let field = try request.field() {
    guard field.number == 1 else { throw Malformed() }
    var series = DecodedSeries()
    var body = WireReader(bytes: field.bytes)
    while let part = try body.field() {
      var inner = WireReader(bytes: part.bytes)
      if part.number == 1 {
        var label: [String] = []
        while let text = try inner.field() {
          guard text.number == label.count + 1 else { throw Malformed() }
          label.append(String(decoding: text.bytes, as: UTF8.self))
        }
        series.labels.append(label)
      } else {
        guard part.number == 2, try inner.varint() == 0x09 else { throw Malformed() }
        var bits: UInt64 = 0
        for (index, byte) in try inner.take(8).enumerated() { bits |= UInt64(byte) << UInt64(8 * index) }
        guard try inner.varint() == 0x10 else { throw Malformed() }
        series.points.append(.init(timestamp: Int64(bitPattern: try inner.varint()), bits: bits))
        guard inner.bytes.isEmpty else { throw Malformed() }
      }
    }
    all.append(series)
  }
  return all
}

/// `io.prometheus.write.v2.Request`, as far as labels and samples go.
func decodeWriteRequest2(_ message: [UInt8]) throws -> [DecodedSeries] {
  var request = WireReader(bytes: message[...])
  var symbols: [String] = []
  var all: [DecodedSeries] = []
  while let field = try request.field() {
    if field.number == 4 {
      symbols.append(String(decoding: field.bytes, as: UTF8.self))
      continue
    }
    guard field.number == 5 else { throw Malformed() }
    var series = DecodedSeries()
    var body = WireReader(bytes: field.bytes)
    while let part = try body.field() {
      var inner = WireReader(bytes: part.bytes)
      switch part.number {
      case 1:
        while !inner.bytes.isEmpty {
          let (name, value) = (Int(try inner.varint()), Int(try inner.varint()))
          guard name < symbols.count, value < symbols.count else { throw Malformed() }
          series.labels.append([symbols[name], symbols[value]])
        }
      case 2:
        guard try inner.varint() == 0x09 else { throw Malformed() }
        var bits: UInt64 = 0
        for (index, byte) in try inner.take(8).enumerated() { bits |= UInt64(byte) << UInt64(8 * index) }
        guard try inner.varint() == 0x10 else { throw Malformed() }
        series.points.append(.init(timestamp: Int64(bitPattern: try inner.varint()), bits: bits))
      default: continue
      }
    }
    all.append(series)
  }
  guard symbols.first == "" else { throw Malformed() }
  return all
}

private struct WireReader {
  var bytes: ArraySlice<UInt8>

  mutating func byte() throws -> UInt8 {
    guard let byte = bytes.popFirst() else { throw Malformed() }
    return byte
  }

  mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count <= bytes.count else { throw Malformed() }
    defer { bytes = bytes.dropFirst(count) }
    return bytes.prefix(count)
  }

  mutating func littleEndian(_ count: Int) throws -> Int {
    try take(count).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      let next = try byte()
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return value }
    }
    throw Malformed()
  }

  /// The next length-delimited field; nil at the end.
  mutating func field() throws -> (number: Int, bytes: ArraySlice<UInt8>)? {
    guard !bytes.isEmpty else { return nil }
    let tag = Int(try varint())
    guard tag & 7 == 2 else { throw Malformed() }
    return (tag >> 3, try take(Int(try varint())))
  }
}
