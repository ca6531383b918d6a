/// The wire format of protocol buffers, as far as remote write and the exposition need it
/// (https://protobuf.dev/programming-guides/encoding/).
public enum Protobuf {
  /// The tag of a length-delimited field (messages, strings).
  @inlinable public static func lengthDelimited(_ field: UInt8) -> UInt8 { field << 3 | 2 }
  /// The tag of a double.
  @inlinable public static func fixed64(_ field: UInt8) -> UInt8 { field << 3 | 1 }
  /// The tag of an integer.
  @inlinable public static func varint(_ field: UInt8) -> UInt8 { field << 3 }

  /// The length of a number as a varint, in bytes.
  @inlinable @inline(__always)
  public static func varintLength(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }
}

extension ByteWriter {
  @inline(__always)
  public mutating func append(varint value: UInt64) {
    var value = value
    while value >= 0x80 {
      append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    append(UInt8(truncatingIfNeeded: value))
  }

  @inline(__always)
  public mutating func append(littleEndian value: UInt64) {
    var value = value.littleEndian
    Swift.withUnsafeBytes(of: &value) { append($0) }
  }

  /// A field of bytes: a string or a message that was encoded before.
  @inline(__always)
  public mutating func append(field: UInt8, _ bytes: RawSpan) {
    append(Protobuf.lengthDelimited(field))
    append(varint: UInt64(bytes.byteCount))
    append(bytes)
  }

  /// A field of bytes that stand in another buffer.
  public mutating func append(field: UInt8, _ content: borrowing ByteWriter) { append(field: field, content.bytes) }

  /// A field of type double.
  @inline(__always)
  public mutating func append(field: UInt8, _ value: Double) {
    append(Protobuf.fixed64(field))
    append(littleEndian: value.bitPattern)
  }

  /// A field of an integer type.
  @inline(__always)
  public mutating func append(field: UInt8, _ value: UInt64) {
    append(Protobuf.varint(field))
    append(varint: value)
  }
}
