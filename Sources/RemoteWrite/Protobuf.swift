import Bytes

/// The wire format of protocol buffers, as far as remote write needs it
/// (https://protobuf.dev/programming-guides/encoding/).
enum Protobuf {
  /// The tag of a length-delimited field (messages, strings).
  static func lengthDelimited(_ field: UInt8) -> UInt8 { field << 3 | 2 }
  /// The tag of a double.
  static func fixed64(_ field: UInt8) -> UInt8 { field << 3 | 1 }
  /// The tag of an integer.
  static func varint(_ field: UInt8) -> UInt8 { field << 3 }

  /// The length of a number as a varint, in bytes.
  @inline(__always)
  static func varintLength(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }
}

extension ByteWriter {
  @inline(__always)
  mutating func append(varint value: UInt64) {
    var value = value
    while value >= 0x80 {
      append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    append(UInt8(truncatingIfNeeded: value))
  }

  @inline(__always)
  mutating func append(littleEndian value: UInt64) {
    var value = value.littleEndian
    Swift.withUnsafeBytes(of: &value) { append($0) }
  }
}
