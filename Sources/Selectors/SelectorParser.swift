import Bytes
import Exposition
import Patterns

/// Reads a selector by PromQL's grammar (promql/parser: lex.go, generated_parser.y), with the messages of Prometheus.
struct SelectorParser {
  private enum Token: Equatable {
    case end, identifier, string, comma, close
    case equal, notEqual, matches, doesNotMatch
    /// Anything that may stand in PromQL, and not in a selector.
    case other
  }

  /// Words that cannot name a metric.
  private static let reserved: Set<String> = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"]
  private static let numbers: Set<String> = ["inf", "nan"]

  private let bytes: [UInt8]
  private var position = 0
  /// Where the last token stands, and what it says if it is a string.
  private var token = 0..<0
  private var content: [UInt8] = []

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func matchers() throws(SelectorError) -> [Selector.Matcher] {
    var matchers: [Selector.Matcher] = []
    skipBlanks()
    guard position < bytes.count else {
      throw SelectorError(description: "unknown position: parse error: unexpected end of input")
    }
    if bytes[position] != UInt8(ascii: "{") {
      matchers.append(Selector.Matcher(name: Array("__name__".utf8), value: try metricName(), condition: .equal))
      skipBlanks()
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: "{") {
      position += 1
      try readMatchers(&matchers)
      skipBlanks()
    }
    if position < bytes.count { throw unexpectedOutside() }
    return matchers
  }

  // MARK: Grammar

  private mutating func metricName() throws(SelectorError) -> [UInt8] {
    let start = position
    while position < bytes.count, bytes[position].isNamePart { position += 1 }
    let name = bytes[start..<position]
    let word = String(decoding: name, as: UTF8.self).lowercased()
    guard let first = name.first, !first.isDigit, !Self.reserved.contains(word), !Self.numbers.contains(word) else {
      position = start
      throw unexpectedOutside()
    }
    return Array(name)
  }

  /// Reads what stands behind the opening brace, and the closing one.
  private mutating func readMatchers(_ matchers: inout [Selector.Matcher]) throws(SelectorError) {
    let place = "in label matching"
    var next = try nextToken()
    while next != .close {
      guard next == .identifier || next == .string else {
        throw unexpected(next, "\(place), expected identifier or \"}\"")
      }
      let start = token.lowerBound
      let isString = next == .string
      let name = content
      next = try nextToken()
      if isString, next == .comma || next == .close {
        // A text alone is the metric's name.
        matchers.append(Selector.Matcher(name: Array("__name__".utf8), value: name, condition: .equal))
      } else {
        let operation = next
        guard [.equal, .notEqual, .matches, .doesNotMatch].contains(operation) else {
          throw unexpected(next, "\(place), expected label matching operator")
        }
        next = try nextToken()
        guard next == .string else { throw unexpected(next, "\(place), expected string") }
        let condition = try condition(operation, start)
        matchers.append(Selector.Matcher(name: name, value: content, condition: condition))
        next = try nextToken()
      }
      guard next == .comma || next == .close else { throw unexpected(next, "\(place), expected \",\" or \"}\"") }
      if next == .comma { next = try nextToken() }
    }
  }

  private func condition(_ operation: Token, _ start: Int) throws(SelectorError) -> Selector.Matcher.Condition {
    if operation == .equal { return .equal }
    if operation == .notEqual { return .notEqual }
    let text = String(decoding: content, as: UTF8.self)
    do throws(PatternError) {
      // By itself first: the message shows what was written.
      _ = try Pattern(text)
      let pattern = try Pattern("^(?s:\(text))$")
      return operation == .matches ? .matches(pattern) : .doesNotMatch(pattern)
    } catch { throw fault(start, "\(error)") }
  }

  // MARK: Tokens

  /// Blanks and comments.
  private mutating func skipBlanks() {
    while position < bytes.count {
      switch bytes[position] {
      case .space, .tab, .newline, UInt8(ascii: "\r"): position += 1
      case UInt8(ascii: "#"): while position < bytes.count, bytes[position] != .newline { position += 1 }
      default: return
      }
    }
  }

  /// The next token between the braces.
  private mutating func nextToken() throws(SelectorError) -> Token {
    skipBlanks()
    let start = position
    guard start < bytes.count else {
      throw fault(bytes.count, "unexpected end of input inside braces")
    }
    let byte = bytes[start]
    let follower = start + 1 < bytes.count ? bytes[start + 1] : 0
    defer { token = start..<position }
    position += 1
    switch byte {
    case UInt8(ascii: ","): return .comma
    case UInt8(ascii: "}"): return .close
    case UInt8(ascii: "="):
      guard follower == UInt8(ascii: "~") else { return .equal }
      position += 1
      return .matches
    case UInt8(ascii: "!") where follower == UInt8(ascii: "~") || follower == UInt8(ascii: "="):
      position += 1
      return follower == UInt8(ascii: "=") ? .notEqual : .doesNotMatch
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      try readString(byte)
      return .string
    case UInt8(ascii: "`"):
      guard let end = bytes[position...].firstIndex(of: byte) else { throw fault(start, "unterminated raw string") }
      content = Array(bytes[position..<end])
      position = end + 1
      return .string
    case _ where byte.isNamePart && !byte.isDigit && byte != UInt8(ascii: ":"):
      while position < bytes.count, bytes[position].isNamePart, bytes[position] != UInt8(ascii: ":") { position += 1 }
      content = Array(bytes[start..<position])
      return .identifier
    case UInt8(ascii: "!"):
      throw fault(start, "unexpected character after '!' inside braces: \(character(at: start + 1))")
    default:
      throw fault(start, "unexpected character inside braces: \(character(at: start))")
    }
  }

  /// Reads a text behind its opening quote, with Go's escapes.
  private mutating func readString(_ quote: UInt8) throws(SelectorError) {
    let start = position - 1
    content = []
    while true {
      guard position < bytes.count, bytes[position] != .newline else {
        throw fault(start, "unterminated quoted string")
      }
      let byte = bytes[position]
      position += 1
      if byte == quote { return }
      if byte == UInt8(ascii: "\\") { try readEscape(quote, of: start) } else { content.append(byte) }
    }
  }

  private mutating func readEscape(_ quote: UInt8, of start: Int) throws(SelectorError) {
    guard position < bytes.count else { throw fault(start, "escape sequence not terminated") }
    let byte = bytes[position]
    let simple: [UInt8: UInt8] = [
      UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
      UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11, UInt8(ascii: "\\"): byte, quote: quote,
    ]
    if let plain = simple[byte] {
      content.append(plain)
      position += 1
      return
    }
    let (digits, radix): (Int, Int)
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "7"): (digits, radix) = (3, 8)
    case UInt8(ascii: "x"): (digits, radix) = (2, 16)
    case UInt8(ascii: "u"): (digits, radix) = (4, 16)
    case UInt8(ascii: "U"): (digits, radix) = (8, 16)
    default:
      let scalar = scalar(at: position)
      let hex = String(scalar.value, radix: 16, uppercase: true)
      throw fault(
        start,
        "unknown escape sequence U+\(String(repeating: "0", count: max(4 - hex.utf8.count, 0)))\(hex) '\(scalar)'")
    }
    if radix == 16 { position += 1 }
    var value = 0
    for _ in 0..<digits {
      guard position < bytes.count, let digit = bytes[position].digit(below: radix) else {
        throw fault(start, "illegal character in escape sequence: \(character(at: position))")
      }
      value = value * radix + digit
      position += 1
    }
    if digits < 4 {
      guard let byte = UInt8(exactly: value) else {
        throw fault(start, "escape sequence is an invalid Unicode code point")
      }
      content.append(byte)
    } else {
      guard let scalar = UnicodeScalar(UInt32(value)) else {
        throw fault(start, "escape sequence is an invalid Unicode code point")
      }
      content += Array(String(scalar).utf8)
    }
  }

  // MARK: Messages

  private func fault(_ offset: Int, _ reason: String) -> SelectorError {
    let line = bytes[..<offset].count { $0 == .newline } + 1
    let column = offset - (bytes[..<offset].lastIndex(of: .newline) ?? -1)
    return SelectorError(description: "\(line):\(column): parse error: \(reason)")
  }

  private func unexpected(_ found: Token, _ where: String) -> SelectorError {
    let text = String(decoding: bytes[token], as: UTF8.self)
    let kind = found == .identifier ? "identifier " : found == .string ? "string " : ""
    return fault(token.lowerBound, "unexpected \(kind)\(ExpositionError.quote(text.utf8.span.bytes)) \(`where`)")
  }

  /// What stands where a selector should begin, or should have ended.
  private func unexpectedOutside() -> SelectorError {
    let start = position
    var end = start
    while end < bytes.count, bytes[end].isNamePart { end += 1 }
    guard end > start else {
      let isPromQL = "([]+-*/%^<>=!@,\"'`".utf8.contains(bytes[start])
      let text = character(at: start)
      return fault(
        start, isPromQL ? "unexpected \"\(scalar(at: start))\"" : "unexpected character: \(text)")
    }
    let text = String(decoding: bytes[start..<end], as: UTF8.self)
    let word = text.lowercased()
    let isNumber = bytes[start].isDigit || Self.numbers.contains(word)
    if Self.reserved.contains(word) { return fault(start, "unexpected <\(word)>") }
    return fault(start, "unexpected \(isNumber ? "number" : "identifier") \"\(text)\"")
  }

  private func character(at offset: Int) -> String { offset < bytes.count ? "'\(scalar(at: offset))'" : "end of input" }

  private func scalar(at offset: Int) -> UnicodeScalar {
    String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self).unicodeScalars.first ?? "\u{fffd}"
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }

  /// Whether it may stand in a metric's name.
  fileprivate var isNamePart: Bool {
    isDigit || UInt8(ascii: "a")...UInt8(ascii: "z") ~= self | 0x20 || self == UInt8(ascii: "_")
      || self == UInt8(ascii: ":")
  }

  fileprivate func digit(below radix: Int) -> Int? {
    let value: Int
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = Int(self) - 0x30
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): value = Int(self | 0x20) - 0x57
    default: return nil
    }
    return value < radix ? value : nil
  }
}
