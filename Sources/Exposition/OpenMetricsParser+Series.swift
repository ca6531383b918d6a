import Bytes

/// The series of a sample: `name{label="value",…}` or, with names of any UTF-8, `{"name","label"="value",…}`; and the
/// labels of an exemplar. There are no blanks.
extension OpenMetricsParser {
  /// Reads and checks the series of the sample at `position`.
  @_lifetime(self: copy self)
  public mutating func readSeries() throws(ExpositionError) {
    let start = position
    while byte(at: position).isNamePart { position += 1 }
    var hasName = position > start
    if byte(at: position) == UInt8(ascii: "{") {
      position += 1
      try readLabels(from: start, hasName: &hasName)
    }
    guard hasName else {
      let line = ExpositionError.quote(bytes.extracting(start..<position))
      throw ExpositionError("metric name not set while parsing: \(line)")
    }
    series = start..<position
  }

  /// Reads the labels of the exemplar behind the opening brace, and the brace that closes them.
  @_lifetime(self: copy self)
  mutating func readExemplarLabels(from start: Int) throws(ExpositionError) {
    var hasName = true
    try readLabels(from: start, isExemplar: true, hasName: &hasName)
  }

  @_lifetime(self: copy self)
  private mutating func readLabels(
    from start: Int, isExemplar: Bool = false, hasName: inout Bool
  ) throws(ExpositionError) {
    var (token, range) = labelToken(isExemplar: isExemplar)
    while token != .close {
      guard token == .labelName || token == .quoted else {
        throw bytes.fault("expected label name", got: range, token, from: start)
      }
      let isQuoted = token == .quoted
      (token, range) = labelToken(isExemplar: isExemplar)
      if isQuoted, token == .comma || token == .close {
        // A quoted text alone is the metric's name.
        if isExemplar { throw bytes.fault("expected label name", got: range, token, from: start) }
        guard !hasName else {
          let line = ExpositionError.quote(bytes.extracting(start..<position))
          throw ExpositionError("metric name already set while parsing: \(line)")
        }
        hasName = true
      } else {
        guard token == .equal else { throw bytes.fault("expected equal", got: range, token, from: start) }
        try readLabelValue(isExemplar: isExemplar, from: start)
        (token, range) = labelToken(isExemplar: isExemplar)
        guard token == .comma || token == .close else {
          throw bytes.fault("expected comma or brace close", got: range, token, from: start)
        }
      }
      if token == .comma { (token, range) = labelToken(isExemplar: isExemplar) }
    }
  }

  @_lifetime(self: copy self)
  private mutating func readLabelValue(isExemplar: Bool, from start: Int) throws(ExpositionError) {
    guard let end = bytes.endOfQuoted(at: position, allowingNUL: !isExemplar, allowingNewline: false) else {
      throw bytes.fault("expected label value", got: position..<position, .invalid, from: start)
    }
    let value = bytes.extracting(position..<end)
    guard value.isUTF8 else { throw ExpositionError("invalid UTF-8 label value: \(ExpositionError.quote(value))") }
    position = end
  }

  /// The next token between the braces, and its range; moves behind it.
  @_lifetime(self: copy self)
  private mutating func labelToken(isExemplar: Bool) -> (LexerToken, Range<Int>) {
    let start = position
    let token: LexerToken
    switch byte(at: start) {
    case UInt8(ascii: "}"): token = .close
    case UInt8(ascii: "="): token = .equal
    case UInt8(ascii: ","): token = .comma
    case UInt8(ascii: "\""):
      guard let end = bytes.endOfQuoted(at: start, allowingNUL: false, allowingNewline: !isExemplar) else {
        return (.invalid, start..<start)
      }
      position = end
      return (.quoted, start..<end)
    case let byte where byte.isLabelStart:
      while self.byte(at: position).isLabelStart || self.byte(at: position).isDigit { position += 1 }
      return (.labelName, start..<position)
    default: return (.invalid, start..<start)
    }
    position += 1
    return (token, start..<position)
  }
}
