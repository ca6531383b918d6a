import Bytes

/// Walks the fields of one message in the wire format of protocol buffers
/// (https://protobuf.dev/programming-guides/encoding/). Every length is checked before it is used.
struct ProtobufFields: ~Escapable {
  let bytes: RawSpan
  private(set) var position: Int
  private let end: Int

  /// The number of the last field, and how it is encoded.
  private(set) var field = 0
  private(set) var wireType = 0
  /// What the last field holds, if it is a number: a varint, or the bits of a fixed one.
  private(set) var number: UInt64 = 0
  /// Where it stands, if it is a text, a message, or a packed list.
  private(set) var content = 0..<0

  static let truncated = ExpositionError("unexpected EOF")

  /// The fields of the message at `range` of `bytes`.
  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, _ range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  /// Moves to the next field; false at the end.
  @_lifetime(self: copy self)
  mutating func next() throws(ExpositionError) -> Bool {
    guard position < end else { return false }
    let tag = try varint()
    wireType = Int(truncatingIfNeeded: tag & 7)
    guard let field = Int(exactly: tag >> 3), field > 0 else {
      throw ExpositionError("proto: illegal tag \(tag >> 3) (wire type \(wireType))")
    }
    self.field = field
    switch wireType {
    case 0: number = try varint()
    case 1: number = try fixed(8)
    case 2:
      let length = try varint()
      guard length <= UInt64(end - position) else { throw Self.truncated }
      content = position..<position + Int(truncatingIfNeeded: length)
      position = content.upperBound
    case 5: number = try fixed(4)
    default: throw ExpositionError("proto: illegal wireType \(wireType)")
    }
    return true
  }

  /// The last field as a text or a message.
  func message() throws(ExpositionError) -> Range<Int> {
    guard wireType == 2 else { throw wrongType }
    return content
  }

  /// The last field as a whole number.
  func integer() throws(ExpositionError) -> UInt64 {
    guard wireType == 0 else { throw wrongType }
    return number
  }

  /// The last field as a double.
  func double() throws(ExpositionError) -> Double {
    guard wireType == 1 else { throw wrongType }
    return Double(bitPattern: number)
  }

  private var wrongType: ExpositionError { ExpositionError("proto: wrong wireType = \(wireType) for field \(field)") }

  /// The varint at `position`, behind which it moves.
  @_lifetime(self: copy self)
  mutating func varint() throws(ExpositionError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end, shift < 64 {
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw shift < 64 ? Self.truncated : ExpositionError("proto: integer overflow")
  }

  @_lifetime(self: copy self)
  private mutating func fixed(_ length: Int) throws(ExpositionError) -> UInt64 {
    guard end - position >= length else { throw Self.truncated }
    var value: UInt64 = 0
    for offset in 0..<length { value |= UInt64(bytes[position + offset]) << UInt64(8 * offset) }
    position += length
    return value
  }
}

extension UInt64 {
  /// The signed number that an `sint32` or `sint64` stands for.
  var unzigzagged: Int64 { Int64(bitPattern: self >> 1) ^ -Int64(bitPattern: self & 1) }
}

extension Int64 {
  /// As `sint32` and `sint64` write it.
  var zigzagged: UInt64 { UInt64(bitPattern: self << 1 ^ self >> 63) }
}
