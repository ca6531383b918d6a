/// Walks a span of bytes from front to back: fields, lines and numbers, without a copy and without a `String`.
///
/// The kernel's text files and the exposition formats are read with it. Every read is bounds-checked; a scanner
/// never goes past its end and never traps on what it reads.
public struct ByteScanner: ~Escapable {
  public let bytes: RawSpan
  /// Where the next read starts, in bytes from the front.
  public var position = 0

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  public var isAtEnd: Bool { position >= bytes.byteCount }

  /// The byte at the position; nil at the end.
  public var next: UInt8? {
    position < bytes.byteCount ? bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self) : nil
  }

  /// The bytes from the position to the end.
  public var rest: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(position..<bytes.byteCount) }
  }

  /// The line at the position, without its newline; moves past the newline. Nil at the end.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func line() -> RawSpan? {
    guard position < bytes.byteCount else { return nil }
    let start = position
    let end = bytes.firstIndex(of: .newline, from: start) ?? bytes.byteCount
    position = min(end + 1, bytes.byteCount)
    return bytes.extracting(start..<end)
  }

  /// The next run of bytes that are not blanks (space, tab); leading blanks are skipped. Nil when only blanks are left.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func field() -> RawSpan? {
    skipBlanks()
    let start = position
    while let byte = next, byte != .space, byte != .tab, byte != .newline { position += 1 }
    return start == position ? nil : bytes.extracting(start..<position)
  }

  /// The bytes before the next `separator`, and moves past it; nil, without moving, when there is none.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func field(upTo separator: UInt8) -> RawSpan? {
    guard let end = bytes.firstIndex(of: separator, from: position) else { return nil }
    let start = position
    position = end + 1
    return bytes.extracting(start..<end)
  }

  /// Moves past blanks (space, tab).
  @_lifetime(self: copy self)
  public mutating func skipBlanks() {
    while let byte = next, byte == .space || byte == .tab { position += 1 }
  }

  /// Moves past `byte` if it comes next; says whether it did.
  @_lifetime(self: copy self)
  public mutating func skip(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    position += 1
    return true
  }

  /// The next field as an unsigned decimal number; nil (the field is consumed) when it is none or does not fit.
  @_lifetime(self: copy self)
  public mutating func unsigned() -> UInt64? {
    guard let field = field() else { return nil }
    return UInt64(decimal: field)
  }

  /// The next field as a floating-point number; nil (the field is consumed) when it is none.
  @_lifetime(self: copy self)
  public mutating func double() -> Double? {
    guard let field = field() else { return nil }
    return Double(goSyntax: field)
  }
}

extension UInt8 {
  // Computed: other modules would read a stored one by a call, in their innermost loops.
  @inlinable public static var newline: UInt8 { UInt8(ascii: "\n") }
  @inlinable public static var space: UInt8 { UInt8(ascii: " ") }
  @inlinable public static var tab: UInt8 { UInt8(ascii: "\t") }

  /// Whether this is an ASCII digit.
  @inlinable public var isDigit: Bool { self &- 0x30 < 10 }

  /// Whether this is an ASCII letter.
  @inlinable public var isLetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }
}
