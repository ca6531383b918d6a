import Bytes

/// The series of a sample: `name{label="value",…}` or, with names of any UTF-8, `{"name","label"="value",…}`.
extension TextParser {
  /// Reads and checks the series of the sample at `position`.
  @_lifetime(self: copy self)
  public mutating func readSeries() throws(ExpositionError) {
    let start = position
    while byte(at: position).isNamePart { position += 1 }
    var hasName = position > start
    var end = position
    skipBlanks()
    if byte(at: position) == UInt8(ascii: "{") {
      position += 1
      try readLabels(from: start, hasName: &hasName)
      end = position
    }
    guard hasName else {
      let line = bytes.extracting(start..<min(position + 2, bytes.byteCount))
      throw ExpositionError("metric name not set while parsing: \(ExpositionError.quote(line))")
    }
    series = start..<end
    position = end
  }

  /// Appends the name and the labels of a series that a parser of this module has read.
  static func appendLabels(of series: RawSpan, type: MetricType, to labels: inout LabelSet) {
    var parser = TextParser(series)
    parser.type = type
    parser.labels(of: 0..<series.byteCount, into: &labels)
  }

  /// Appends the name and the labels of `series`, which `readSeries` has checked, to `labels`: unescaped, as they are
  /// written and in that order, the name as `__name__`. A histogram's `le` and a summary's `quantile` get the one
  /// form that Prometheus 3 gives them ("1" becomes "1.0").
  public func labels(of series: Range<Int>, into labels: inout LabelSet) {
    var parser = TextParser(bytes.extracting(0..<series.upperBound))
    parser.position = series.lowerBound
    let metricName: StaticString = "__name__"
    while parser.byte(at: parser.position).isNamePart { parser.position += 1 }
    if parser.position > series.lowerBound {
      labels.append(metricName.bytes, bytes.extracting(series.lowerBound..<parser.position))
    }
    parser.skipBlanks()
    parser.position += 1
    var (token, item) = parser.labelToken()
    while token == .labelName || token == .quoted {
      let isQuoted = token == .quoted
      let name = bytes.extracting(isQuoted ? item.lowerBound + 1..<item.upperBound - 1 : item).unescaped()
      (token, _) = parser.labelToken()
      if token == .equal {
        parser.skipBlanks()
        guard let end = parser.endOfQuoted(at: parser.position, allowingNUL: true) else { return }
        let value = bytes.extracting(parser.position + 1..<end - 1).unescaped()
        labels.append(name.span.bytes, canonical(value, of: name).span.bytes)
        parser.position = end
        (token, item) = parser.labelToken()
      } else {
        labels.append(metricName.bytes, name.span.bytes)
      }
      if token == .comma { (token, item) = parser.labelToken() }
    }
  }

  /// Reads the labels behind the opening brace, and the brace that closes them.
  @_lifetime(self: copy self)
  private mutating func readLabels(from start: Int, hasName: inout Bool) throws(ExpositionError) {
    var (token, range) = labelToken()
    while token != .close {
      guard token == .labelName || token == .quoted else {
        throw bytes.fault("expected label name", got: range, token, from: start)
      }
      let isQuoted = token == .quoted
      (token, range) = labelToken()
      if isQuoted, token == .comma || token == .close {
        // A quoted text alone is the metric's name.
        guard !hasName else {
          let line = ExpositionError.quote(bytes.extracting(start..<position))
          throw ExpositionError("metric name already set while parsing: \(line)")
        }
        hasName = true
      } else {
        guard token == .equal else { throw bytes.fault("expected equal", got: range, token, from: start) }
        try readLabelValue(from: start)
        (token, range) = labelToken()
      }
      // Prometheus wants no comma between labels, and allows one behind the last.
      if token == .comma { (token, range) = labelToken() }
    }
  }

  @_lifetime(self: copy self)
  private mutating func readLabelValue(from start: Int) throws(ExpositionError) {
    skipBlanks()
    guard let end = endOfQuoted(at: position, allowingNUL: true) else {
      let isOpen = byte(at: position) == UInt8(ascii: "\"")
      let got = position..<(isOpen ? bytes.byteCount : position)
      throw bytes.fault("expected label value", got: got, .invalid, from: start)
    }
    let value = bytes.extracting(position..<end)
    guard value.isUTF8 else { throw ExpositionError("invalid UTF-8 label value: \(ExpositionError.quote(value))") }
    position = end
  }

  /// The next token between the braces, blanks skipped, and its range; moves behind it.
  @_lifetime(self: copy self)
  private mutating func labelToken() -> (LexerToken, Range<Int>) {
    skipBlanks()
    let start = position
    switch byte(at: start) {
    case UInt8(ascii: "}"): position += 1
    case UInt8(ascii: "="): position += 1
    case UInt8(ascii: ","): position += 1
    case UInt8(ascii: "\""):
      guard let end = endOfQuoted(at: start, allowingNUL: false) else { return (.invalid, start..<start) }
      position = end
      return (.quoted, start..<end)
    case let byte where byte.isLabelStart:
      while self.byte(at: position).isLabelStart || self.byte(at: position).isDigit { position += 1 }
      return (.labelName, start..<position)
    default: return (.invalid, start..<start)
    }
    switch byte(at: start) {
    case UInt8(ascii: "}"): return (.close, start..<position)
    case UInt8(ascii: "="): return (.equal, start..<position)
    default: return (.comma, start..<position)
    }
  }

  /// Where the text in double quotes that begins at `start` ends, behind the closing quote; nil when it does not
  /// begin or not end.
  func endOfQuoted(at start: Int, allowingNUL: Bool) -> Int? {
    bytes.endOfQuoted(at: start, allowingNUL: allowingNUL, allowingNewline: true)
  }

  /// The value of `le` or `quantile` as OpenMetrics writes numbers; any other value as it is.
  private func canonical(_ value: [UInt8], of name: [UInt8]) -> [UInt8] {
    switch type {
    case .histogram where name.span.bytes.equals("le"): break
    case .summary where name.span.bytes.equals("quantile"): break
    default: return value
    }
    guard let number = Double(goSyntax: value.span.bytes) else { return value }
    var writer = ByteWriter(capacity: 64)
    writer.append(openMetricsFloat: number)
    return writer.bytes.array
  }
}

extension StaticString {
  fileprivate var bytes: RawSpan {
    @_lifetime(immortal) get {
      // A static string's bytes stay where they are for the life of the process.
      let buffer = UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
      return _overrideLifetime(RawSpan(_unsafeBytes: buffer), copying: ())
    }
  }
}
