/// A JSON text as a tree (RFC 8259); for small texts, off the hot paths.
public enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  /// The members in their order; a name may stand there twice.
  case object([Member])

  public struct Member: Equatable, Sendable {
    public let name: String
    public let value: JSONValue

    public init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// Why a text is no JSON, and at which byte.
  public struct Fault: Error, Equatable, CustomStringConvertible {
    public let reason: String
    public let offset: Int

    public init(reason: String, offset: Int) {
      self.reason = reason
      self.offset = offset
    }

    public var description: String { "not JSON: \(reason) at byte \(offset)" }
  }

  /// Reads a whole text.
  ///
  /// - Throws: when it is no JSON, or arrays and objects stand in each other more than 64 deep.
  public init(parsing text: RawSpan) throws(Fault) {
    var parser = JSONParser(text)
    self = try parser.whole()
  }

  /// The member of an object whose name is this, in any case, as Go's encoding/json finds it; the last of several.
  /// Nil when there is none.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name.lowercased() == name.lowercased() }?.value
  }
}

private struct JSONParser: ~Escapable {
  private static let maximumDepth = 64
  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
    UInt8(ascii: "/"): UInt8(ascii: "/"),
    UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
  ]

  private var scanner: ByteScanner

  @_lifetime(copy text)
  init(_ text: RawSpan) { scanner = ByteScanner(text) }

  @_lifetime(self: copy self)
  mutating func whole() throws(JSONValue.Fault) -> JSONValue {
    let value = try value(depth: 0)
    skipSpace()
    guard scanner.isAtEnd else { throw fault("something behind the value") }
    return value
  }

  @_lifetime(self: copy self)
  private mutating func value(depth: Int) throws(JSONValue.Fault) -> JSONValue {
    guard depth < Self.maximumDepth else { throw fault("too deep") }
    skipSpace()
    switch scanner.next {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  @_lifetime(self: copy self)
  private mutating func members(depth: Int) throws(JSONValue.Fault) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    scanner.position += 1
    if skips(UInt8(ascii: "}")) { return members }
    repeat {
      skipSpace()
      guard scanner.next == UInt8(ascii: "\"") else { throw fault("expected a name") }
      let name = try string()
      guard skips(UInt8(ascii: ":")) else { throw fault("expected a colon") }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth)))
    } while skips(UInt8(ascii: ","))
    guard skips(UInt8(ascii: "}")) else { throw fault("expected a comma or a brace") }
    return members
  }

  @_lifetime(self: copy self)
  private mutating func elements(depth: Int) throws(JSONValue.Fault) -> [JSONValue] {
    var elements: [JSONValue] = []
    scanner.position += 1
    if skips(UInt8(ascii: "]")) { return elements }
    repeat { elements.append(try value(depth: depth)) } while skips(UInt8(ascii: ","))
    guard skips(UInt8(ascii: "]")) else { throw fault("expected a comma or a bracket") }
    return elements
  }

  @_lifetime(self: copy self)
  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONValue.Fault) -> JSONValue {
    guard scanner.rest.starts(with: word) else { throw fault("expected a value") }
    scanner.position += word.utf8CodeUnitCount
    return value
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  @_lifetime(self: copy self)
  private mutating func number() throws(JSONValue.Fault) -> Double {
    let start = scanner.position
    _ = scanner.skip(UInt8(ascii: "-"))
    let isZero = scanner.skip(UInt8(ascii: "0"))
    if !isZero, !skipDigits() { throw fault("expected a value") }
    if scanner.skip(UInt8(ascii: ".")), !skipDigits() { throw fault("expected a digit") }
    if scanner.skip(UInt8(ascii: "e")) || scanner.skip(UInt8(ascii: "E")) {
      if !scanner.skip(UInt8(ascii: "-")) { _ = scanner.skip(UInt8(ascii: "+")) }
      if !skipDigits() { throw fault("expected a digit") }
    }
    guard let value = Double(goSyntax: scanner.bytes.extracting(start..<scanner.position)) else {
      throw fault("a number too large")
    }
    return value
  }

  @_lifetime(self: copy self)
  private mutating func string() throws(JSONValue.Fault) -> String {
    scanner.position += 1
    var text: [UInt8] = []
    while let byte = scanner.next {
      scanner.position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw fault("a control character in a string")
      default: text.append(byte)
      }
    }
    throw fault("a string without an end")
  }

  @_lifetime(self: copy self)
  private mutating func escape(into text: inout [UInt8]) throws(JSONValue.Fault) {
    guard let byte = scanner.next else { throw fault("a string without an end") }
    scanner.position += 1
    if byte == UInt8(ascii: "u") {
      var unit = try codeUnit()
      if unit & 0xfc00 == 0xd800, scanner.rest.starts(with: #"\u"#) {
        let place = scanner.position
        scanner.position += 2
        let low = try codeUnit()
        if low & 0xfc00 == 0xdc00 {
          unit = 0x10000 + (unit & 0x3ff) << 10 + low & 0x3ff
        } else {
          scanner.position = place
        }
      }
      text += Array(String(Unicode.Scalar(unit) ?? "\u{fffd}").utf8)
    } else {
      guard let meaning = Self.escapes[byte] else { throw fault("an unknown escape") }
      text.append(meaning)
    }
  }

  @_lifetime(self: copy self)
  private mutating func codeUnit() throws(JSONValue.Fault) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = scanner.next?.hexDigit else { throw fault("expected four hexadecimal digits") }
      unit = unit << 4 | UInt32(digit)
      scanner.position += 1
    }
    return unit
  }

  @_lifetime(self: copy self)
  private mutating func skipDigits() -> Bool {
    let start = scanner.position
    while let byte = scanner.next, byte.isDigit { scanner.position += 1 }
    return scanner.position > start
  }

  @_lifetime(self: copy self)
  private mutating func skipSpace() {
    while let byte = scanner.next, byte == .space || byte == .tab || byte == .newline || byte == 13 {
      scanner.position += 1
    }
  }

  /// Moves past `byte` if it comes next but for space.
  @_lifetime(self: copy self)
  private mutating func skips(_ byte: UInt8) -> Bool {
    skipSpace()
    return scanner.skip(byte)
  }

  private func fault(_ reason: String) -> JSONValue.Fault { JSONValue.Fault(reason: reason, offset: scanner.position) }
}
