/// Reads a JSON text (RFC 8259) from front to back, value by value, without a tree: whoever reads asks for what it
/// knows and skips the rest.
///
///     guard try json.beginObject() else { return }
///     while try json.nextMember() {
///       if json.isMember("name") { name = try json.string() } else { try json.skip() }
///     }
///
/// What is skipped is not checked but for its strings and its brackets. Names are compared as they stand in the text,
/// escapes included. `null` reads as an empty object, array or text, and as no number.
public struct JSONReader: ~Escapable {
  private var scanner: ByteScanner
  private let pool: StringPool?
  /// Where the name of the member at work stands.
  private var name = 1..<1
  /// Whether an object or an array has begun just now, so that no comma is expected.
  private var isFirst = false

  /// - Parameter pool: for texts that come again and again.
  @_lifetime(copy text)
  public init(_ text: RawSpan, pool: StringPool? = nil) {
    scanner = ByteScanner(text)
    self.pool = pool
  }

  /// Where the next value begins, in bytes from the front.
  public var position: Int { scanner.position }

  // MARK: Objects and arrays

  /// Enters an object; false for `null`, which is left behind.
  @_lifetime(self: copy self)
  public mutating func beginObject() throws(JSONValue.Fault) -> Bool { try begin(UInt8(ascii: "{"), "an object") }

  /// Enters an array; false for `null`, which is left behind.
  @_lifetime(self: copy self)
  public mutating func beginArray() throws(JSONValue.Fault) -> Bool { try begin(UInt8(ascii: "["), "an array") }

  /// Moves to the value of the next member of the object; false behind the last, with the object left behind.
  @_lifetime(self: copy self)
  public mutating func nextMember() throws(JSONValue.Fault) -> Bool {
    guard try next(before: UInt8(ascii: "}")) else { return false }
    guard scanner.next == UInt8(ascii: "\"") else { throw fault("expected a name") }
    let start = scanner.position + 1
    try skipString()
    name = start..<(scanner.position - 1)
    skipSpace()
    guard scanner.skip(UInt8(ascii: ":")) else { throw fault("expected a colon") }
    skipSpace()
    return true
  }

  /// Moves to the next element of the array; false behind the last, with the array left behind.
  @_lifetime(self: copy self)
  public mutating func nextElement() throws(JSONValue.Fault) -> Bool { try next(before: UInt8(ascii: "]")) }

  /// Whether the member at work is called this.
  public func isMember(_ text: StaticString) -> Bool { scanner.bytes.extracting(name).equals(text) }

  /// The name of the member at work.
  public func memberName() throws(JSONValue.Fault) -> String {
    var reader = JSONReader(scanner.bytes.extracting(name.lowerBound - 1..<name.upperBound + 1), pool: pool)
    return try reader.string()
  }

  @_lifetime(self: copy self)
  private mutating func begin(_ bracket: UInt8, _ expected: String) throws(JSONValue.Fault) -> Bool {
    skipSpace()
    if scanner.skip(bracket) {
      isFirst = true
      return true
    }
    guard skipNull() else { throw fault("expected \(expected)") }
    return false
  }

  @_lifetime(self: copy self)
  private mutating func next(before end: UInt8) throws(JSONValue.Fault) -> Bool {
    skipSpace()
    if scanner.skip(end) {
      isFirst = false
      return false
    }
    if !isFirst, !scanner.skip(UInt8(ascii: ",")) { throw fault("expected a comma or an end") }
    isFirst = false
    skipSpace()
    return true
  }

  // MARK: Values

  @_lifetime(self: copy self)
  public mutating func string() throws(JSONValue.Fault) -> String {
    skipSpace()
    guard scanner.next == UInt8(ascii: "\"") else {
      guard skipNull() else { throw fault("expected a text") }
      return ""
    }
    let start = scanner.position
    let isPlain = try skipString()
    let text = scanner.bytes.extracting(start..<scanner.position)
    if isPlain {
      let content = text.extracting(1..<text.byteCount - 1)
      return pool?.string(content) ?? String(utf8: content)
    }
    guard case .string(let whole) = try JSONValue(parsing: text) else { throw fault("expected a text") }
    return pool?.string(whole.utf8.span.bytes) ?? whole
  }

  /// A whole number; nil for `null`.
  @_lifetime(self: copy self)
  public mutating func integer() throws(JSONValue.Fault) -> Int64? {
    skipSpace()
    let start = scanner.position
    while let byte = scanner.next, byte.isDigit || byte == UInt8(ascii: "-") { scanner.position += 1 }
    if let number = Int64(decimal: scanner.bytes.extracting(start..<scanner.position)) { return number }
    guard start == scanner.position, skipNull() else { throw fault("expected a whole number") }
    return nil
  }

  /// Nil for `null`.
  @_lifetime(self: copy self)
  public mutating func bool() throws(JSONValue.Fault) -> Bool? {
    skipSpace()
    for (word, value) in [("true" as StaticString, true), ("false", false)] where scanner.rest.starts(with: word) {
      scanner.position += word.utf8CodeUnitCount
      return value
    }
    guard skipNull() else { throw fault("expected true or false") }
    return nil
  }

  /// Leaves the value behind, whatever it is.
  @_lifetime(self: copy self)
  public mutating func skip() throws(JSONValue.Fault) {
    skipSpace()
    let start = scanner.position
    var depth = 0
    repeat {
      switch scanner.next {
      case UInt8(ascii: "\""): try skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        scanner.position += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        scanner.position += 1
      case nil: throw fault("the text ends within a value")
      default: if depth > 0 { scanner.position += 1 } else { skipWord() }
      }
    } while depth > 0
    guard depth == 0, scanner.position > start else { throw fault("expected a value") }
  }

  /// Leaves a `null` behind; says whether there was one.
  @_lifetime(self: copy self)
  public mutating func skipNull() -> Bool {
    skipSpace()
    guard scanner.rest.starts(with: "null") else { return false }
    scanner.position += 4
    return true
  }

  // MARK: Bytes

  /// Leaves a string behind; says whether it is free of escapes.
  @_lifetime(self: copy self)
  @discardableResult
  private mutating func skipString() throws(JSONValue.Fault) -> Bool {
    scanner.position += 1
    var isPlain = true
    while let byte = scanner.next {
      scanner.position += 1
      if byte == UInt8(ascii: "\"") { return isPlain }
      if byte == UInt8(ascii: "\\") {
        isPlain = false
        scanner.position += 1
      }
    }
    scanner.position = scanner.bytes.byteCount
    throw fault("a string without an end")
  }

  /// Leaves a number, `true`, `false` or `null` behind.
  @_lifetime(self: copy self)
  private mutating func skipWord() {
    while let byte = scanner.next, byte.isLetter || byte.isDigit || "+-.".utf8.contains(byte) { scanner.position += 1 }
  }

  @_lifetime(self: copy self)
  private mutating func skipSpace() {
    while let byte = scanner.next, byte == .space || byte == .tab || byte == .newline || byte == 13 {
      scanner.position += 1
    }
  }

  private func fault(_ reason: String) -> JSONValue.Fault { JSONValue.Fault(reason: reason, offset: scanner.position) }
}
