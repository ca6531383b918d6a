import Bytes

/// Names of the tokens of Prometheus' lexers, for messages.
enum LexerToken: String {
  case invalid = "INVALID"
  case end = "EOF"
  case timestamp = "TIMESTAMP"
  case labelName = "LNAME"
  case quoted = "QSTRING"
  case close = "BCLOSE"
  case equal = "EQUAL"
  case comma = "COMMA"
}

/// What the text formats have in common.
extension RawSpan {
  /// Where the text in double quotes that begins at `start` ends, behind the closing quote; nil when it does not
  /// begin or not end. It never holds an escaped newline.
  func endOfQuoted(at start: Int, allowingNUL: Bool, allowingNewline: Bool) -> Int? {
    guard start < byteCount, self[start] == UInt8(ascii: "\"") else { return nil }
    var offset = start + 1
    while offset < byteCount {
      switch unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) {
      case UInt8(ascii: "\""): return offset + 1
      case UInt8(ascii: "\\"):
        offset += 1
        if allowingNUL { while offset < byteCount, self[offset] == 0 { offset += 1 } }
        if offset >= byteCount || self[offset] == .newline || self[offset] == 0 { return nil }
      case 0 where !allowingNUL: return nil
      case .newline where !allowingNewline: return nil
      default: break
      }
      offset += 1
    }
    return nil
  }

  /// Whether double quotes that are opened from `start` on are not closed: the text may go on in another line.
  public func endsWithinQuotes(from start: Int) -> Bool {
    var isOpen = false
    var offset = start
    while offset < byteCount {
      let byte = self[offset]
      if byte == UInt8(ascii: "\"") { isOpen.toggle() }
      offset += byte == UInt8(ascii: "\\") ? 2 : 1
    }
    return isOpen
  }

  /// The bytes with `\\`, `\n` and, if wanted, `\"` replaced; other escapes stay.
  func unescaped(quotes: Bool = true) -> [UInt8] {
    guard firstIndex(of: UInt8(ascii: "\\")) != nil else { return array }
    var result: [UInt8] = []
    var offset = 0
    while offset < byteCount {
      let byte = self[offset]
      offset += 1
      guard byte == UInt8(ascii: "\\"), offset < byteCount else {
        result.append(byte)
        continue
      }
      switch self[offset] {
      case UInt8(ascii: "n"): result.append(.newline)
      case UInt8(ascii: "\\"): result.append(byte)
      case UInt8(ascii: "\"") where quotes: result.append(self[offset])
      default: result += [byte, self[offset]]
      }
      offset += 1
    }
    return result
  }

  /// The number in `range` of the entry that begins at `start`. Prometheus keeps to what Go's ParseFloat took before
  /// underscores and binary exponents.
  @inline(__always)
  func number(_ range: Range<Int>, of start: Int) throws(ExpositionError) -> Double {
    if let value = Double(goSyntax: extracting(range)), !hasBinaryExponent(range) { return value }
    throw numberFault(range, of: start)
  }

  private func hasBinaryExponent(_ range: Range<Int>) -> Bool {
    // Only what begins as a hexadecimal number can have one.
    guard range.count > 3 else { return false }
    for offset in range.prefix(3) where self[offset] | 0x20 == UInt8(ascii: "x") { return true }
    return false
  }

  private func numberFault(_ range: Range<Int>, of start: Int) -> ExpositionError {
    let text = extracting(range)
    let whole = extracting(start..<range.upperBound)
    let cause: String
    if "pP_".utf8.contains(where: { text.firstIndex(of: $0) != nil }) {
      cause = "unsupported character in float"
    } else {
      var isOutOfRange = false
      do throws(NumberFault) { _ = try Double(checkedGoSyntax: text) } catch { isOutOfRange = error == .range }
      let why = isOutOfRange ? "value out of range" : "invalid syntax"
      cause = "strconv.ParseFloat: parsing \(ExpositionError.quote(text)): \(why)"
    }
    return ExpositionError("\(cause) while parsing: \(ExpositionError.quote(whole))")
  }

  /// What was expected, and what stands there with the byte that follows.
  func fault(_ expected: String, got range: Range<Int>, _ token: LexerToken, from start: Int) -> ExpositionError {
    let end = min(range.upperBound + 1, byteCount)
    let isAtEnd = range.lowerBound >= byteCount
    let got = isAtEnd ? #""\n""# : ExpositionError.quote(extracting(range.lowerBound..<end))
    let whole = ExpositionError.quote(extracting(min(start, end)..<end))
    return ExpositionError("\(expected), got \(got) (\"\(token.rawValue)\") while parsing: \(whole)")
  }
}

extension MetricType {
  /// The type that a TYPE line of the text format 0.0.4 names.
  init?(textFormat text: RawSpan) {
    switch text {
    case _ where text.equals("counter"): self = .counter
    case _ where text.equals("gauge"): self = .gauge
    case _ where text.equals("histogram"): self = .histogram
    case _ where text.equals("summary"): self = .summary
    case _ where text.equals("untyped"): self = .untyped
    default: return nil
    }
  }

  /// The type that a TYPE line of OpenMetrics names.
  init?(openMetrics text: RawSpan) {
    switch text {
    case _ where text.equals("unknown"): self = .untyped
    case _ where text.equals("gaugehistogram"): self = .gaugeHistogram
    case _ where text.equals("info"): self = .info
    case _ where text.equals("stateset"): self = .stateset
    case _ where text.equals("untyped"): return nil
    default: self.init(textFormat: text)
    }
  }
}

extension ByteWriter {
  /// A number as OpenMetrics writes it in labels: never without a point or an exponent.
  mutating func append(openMetricsFloat value: Double) {
    let start = count
    append(goFloat: value == 0 ? 0 : value)
    guard value.isFinite else { return }
    let hasPoint = withBytes { bytes in
      let number = bytes.extracting(start..<bytes.byteCount)
      return number.firstIndex(of: UInt8(ascii: ".")) != nil || number.firstIndex(of: UInt8(ascii: "e")) != nil
    }
    if !hasPoint { append(".0") }
  }
}
