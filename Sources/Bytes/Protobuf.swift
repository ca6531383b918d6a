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

  /// A signed number: 0, -1, 1, -2, … as 0, 1, 2, 3, …
  @inline(__always)
  public mutating func append(zigzag value: Int64) {
    append(varint: UInt64(bitPattern: value << 1 ^ value >> 63))
  }

  @inline(__always)
  public mutating func append(littleEndian value: UInt32) {
    var value = value.littleEndian
    Swift.withUnsafeBytes(of: &value) { append($0) }
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

extension ByteScanner {
  /// A number as a varint; nil, at the end or when it has more than 64 bits.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func varint() -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = next, shift < 64 {
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return shift == 63 && byte > 1 ? nil : value }
      shift += 7
    }
    return nil
  }

  /// A signed number that was written by `append(zigzag:)`.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func zigzag() -> Int64? {
    guard let value = varint() else { return nil }
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  /// The next `count` bytes; nil, without moving, when there are fewer.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func take(_ count: UInt64) -> RawSpan? {
    guard count <= UInt64(bytes.byteCount - position) else { return nil }
    let start = position
    position += Int(count)
    return bytes.extracting(start..<position)
  }
}
