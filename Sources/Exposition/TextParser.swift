import Bytes

/// Reads the Prometheus text format 0.0.4 with the verdicts of Prometheus 3's own parser.
///
/// https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md says what is meant; where
/// it is silent, Prometheus' lexer (model/textparse/promlex.l) decides: what it accepts is accepted here, and one bad
/// line refuses the whole text.
///
/// The parser allocates nothing and copies nothing; series are given as ranges of bytes. A series that the caller
/// knows, byte for byte, need not be read again:
///
///     while let entry = try parser.next() {
///       guard entry == .sample else { continue }
///       if !(isKnown(length) && parser.skipSeries(length: length)) { try parser.readSeries() }
///       try parser.readValue()
///     }
public struct TextParser: ExpositionParser, ~Escapable {
  public let bytes: RawSpan
  /// Where the next read starts, in bytes from the front.
  public internal(set) var position = 0
  /// What the last TYPE line said. It is in force until the next one, whatever the names of the samples are.
  public internal(set) var type = MetricType.untyped
  /// The metric name of the last HELP or TYPE line, without quotes; escapes stand as they were written.
  public private(set) var name = 0..<0
  /// The text of the last HELP line; escapes stand as they were written.
  public private(set) var text = 0..<0
  /// The last HELP or TYPE line, and which of them it is.
  private var comment = 0..<0
  private var commentKind = ExpositionEntry.help
  /// The last sample's series: `name{labels}`.
  public internal(set) var series = 0..<0
  /// The last sample's value; NaN always with the same bits, so never a staleness marker.
  public private(set) var value = 0.0
  /// The last sample's timestamp in milliseconds since the epoch, if it has one.
  public private(set) var timestamp: Int64?

  /// Where the last entry begins.
  public private(set) var entry = 0
  private var isEnded = false

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  /// A parser of some further lines of an exposition.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, after state: ParserState) {
    self.bytes = bytes
    type = state.type
    isEnded = state.isEnded
    if isEnded { position = bytes.byteCount }
  }

  /// Where it is, for the parser of the lines that follow.
  public var state: ParserState {
    var state = ParserState()
    (state.type, state.isEnded) = (type, isEnded)
    return state
  }

  /// Moves to the next entry; nil at the end of the text. Comments and empty lines are passed over.
  @_lifetime(self: copy self)
  public mutating func next() throws(ExpositionError) -> ExpositionEntry? {
    while position < bytes.byteCount {
      entry = position
      switch byte(at: position) {
      case .space, .tab, .newline: position += 1
      case UInt8(ascii: "#"):
        if let entry = try readComment() { return entry }
      case 0:
        // To Prometheus, NUL at the start of an entry is the end of the text.
        position = bytes.byteCount
        isEnded = true
      case UInt8(ascii: "{"): return .sample
      case let byte where byte.isNameStart: return .sample
      default: throw bytes.fault("expected a valid start token", got: position..<position, .invalid, from: position)
      }
    }
    return nil
  }

  /// Moves behind the series of the sample at `position` if it is `length` bytes long. For a caller that has found
  /// those bytes to be those of a series that was read before. False, without moving, when the series is longer.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skipSeries(length: Int) -> Bool {
    let end = position &+ length
    guard length > 0, end < bytes.byteCount else { return false }
    // What ends in a brace ends there. A bare name may go on, or labels may follow.
    if byte(at: end &- 1) != UInt8(ascii: "}") {
      var next = end
      while byte(at: next).isBlank { next += 1 }
      guard next > end, byte(at: next) != UInt8(ascii: "{") else { return false }
    }
    series = position..<end
    position = end
    return true
  }

  /// Reads the value, the timestamp and the end of the line of the sample whose series was read or skipped.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func readValue() throws(ExpositionError) {
    skipBlanks()
    let start = position
    while byte(at: position).isValuePart { position += 1 }
    guard position > start else {
      throw bytes.fault("expected value after metric", got: position..<position, .invalid, from: series.lowerBound)
    }
    value = try bytes.number(start..<position, of: series.lowerBound)
    skipBlanks()
    timestamp = nil
    if byte(at: position) != .newline { timestamp = try readTimestamp() }
    position += 1
  }

  // MARK: Parts of a line

  /// Reads a timestamp and moves to the end of the line.
  @_lifetime(self: copy self)
  private mutating func readTimestamp() throws(ExpositionError) -> Int64 {
    let start = position
    while byte(at: position).isDigit { position += 1 }
    let range = start..<position
    guard !range.isEmpty else {
      throw bytes.fault("expected timestamp or new record", got: range, .invalid, from: series.lowerBound)
    }
    guard let timestamp = Int64(decimal: bytes.extracting(range)) else {
      let text = ExpositionError.quote(bytes.extracting(range))
      let whole = ExpositionError.quote(bytes.extracting(series.lowerBound..<position))
      throw ExpositionError("strconv.ParseInt: parsing \(text): value out of range while parsing: \(whole)")
    }
    skipBlanks()
    guard byte(at: position) == .newline else {
      let start = position
      while byte(at: position).isDigit { position += 1 }
      throw bytes.fault(
        "expected next entry after timestamp", got: start..<position, position > start ? .timestamp : .invalid,
        from: series.lowerBound)
    }
    return timestamp
  }

  /// Reads the line that begins with the `#` at `position`: nil when it is a comment.
  @_lifetime(self: copy self)
  private mutating func readComment() throws(ExpositionError) -> ExpositionEntry? {
    let start = position
    position += 1
    let end = bytes.firstIndex(of: .newline, from: position) ?? bytes.byteCount
    skipBlanks()
    let line = bytes.extracting(position..<end)
    let isType = line.starts(with: "TYPE")
    guard position > start + 1, isType || line.starts(with: "HELP"), line.byteCount > 4, line[4].isBlank else {
      // A comment. NUL in one without a blank is as at the start of an entry.
      let nul = position == start + 1 ? line.firstIndex(of: 0) : nil
      position = nul == nil ? end + 1 : bytes.byteCount
      isEnded = nul != nil
      return nil
    }
    position += 4
    skipBlanks()
    let nameStart = position
    guard let name = readMetadataName() else {
      throw bytes.fault(
        "expected metric name after \(isType ? "TYPE" : "HELP")", got: nameStart..<nameStart, .invalid, from: start)
    }
    self.name = name
    // A quoted name may hold newlines.
    let lineEnd = bytes.firstIndex(of: .newline, from: position) ?? bytes.byteCount
    if byte(at: position) == 0 {
      throw bytes.fault("linebreak expected after metadata", got: position..<position, .invalid, from: start)
    }
    text = min(position + 1, lineEnd)..<lineEnd
    position = lineEnd + 1
    comment = start..<lineEnd
    commentKind = isType ? .type : .help
    guard isType else {
      guard bytes.extracting(text).isUTF8 else {
        let help = ExpositionError.quote(bytes.extracting(text))
        throw ExpositionError("help text \(help) is not a valid utf8 string")
      }
      return .help
    }
    guard let type = MetricType(textFormat: bytes.extracting(text)) else {
      throw ExpositionError("invalid metric type \(ExpositionError.quote(bytes.extracting(text)))")
    }
    self.type = type
    return .type
  }

  /// Moves behind a metric name or a quoted one, and gives it without quotes; nil when there is none.
  @_lifetime(self: copy self)
  private mutating func readMetadataName() -> Range<Int>? {
    let start = position
    if byte(at: start) == UInt8(ascii: "\"") {
      guard let end = endOfQuoted(at: start, allowingNUL: false) else { return nil }
      position = end
      return start + 1..<end - 1
    }
    guard byte(at: start).isNameStart else { return nil }
    var end = start + 1
    while byte(at: end).isNamePart { end += 1 }
    position = end
    return start..<end
  }

  // MARK: Bytes

  /// The byte at `offset`; behind the end a newline, which a text may leave out.
  @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    offset < bytes.byteCount ? bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) : .newline
  }

  @inline(__always)
  @_lifetime(self: copy self)
  mutating func skipBlanks() {
    while byte(at: position).isBlank { position += 1 }
  }

}

extension TextParser {
  @_lifetime(self: copy self)
  public mutating func rewind() {
    position = 0
    type = .untyped
    isEnded = false
  }

  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skipSeries(length: Int, hash: SeriesHash, _ hasher: SeriesHasher) -> Bool {
    let end = position &+ length
    guard end <= bytes.byteCount,
      hasher.hash(bytes.extracting(unchecked: position..<end), salt: type.salt) == hash
    else { return false }
    return skipSeries(length: length)
  }

  public var seriesLength: Int { series.count }

  public func seriesHash(_ hasher: SeriesHasher) -> SeriesHash {
    hasher.hash(bytes.extracting(series), salt: type.salt)
  }

  public func appendLabels(to labels: inout LabelSet) { self.labels(of: series, into: &labels) }

  public func metadataHash(_ hasher: SeriesHasher, after hash: SeriesHash) -> SeriesHash {
    hasher.hash(bytes.extracting(comment), after: hash)
  }

  public var familyName: String { String(utf8: bytes.extracting(name).unescaped().span.bytes) }

  public func describe(_ family: inout MetricMetadata) {
    switch commentKind {
    case .type: family.type = type
    default: family.help = String(utf8: bytes.extracting(text).unescaped(quotes: false).span.bytes)
    }
  }
}

extension UInt8 {
  /// Space or tab.
  @inline(__always)
  var isBlank: Bool { self == .space || self == .tab }

  /// A letter or `_`.
  @inline(__always)
  var isLabelStart: Bool { isLetter || self == UInt8(ascii: "_") }

  /// A letter, `_` or `:`.
  @inline(__always)
  var isNameStart: Bool { isLabelStart || self == UInt8(ascii: ":") }

  /// A letter, a digit, `_` or `:`. Looked up: names are walked byte by byte.
  @inline(__always)
  var isNamePart: Bool {
    // Bit n: byte n is 0–9 or `:`; and byte 64 + n is A–Z, `_` or a–z.
    let low: UInt64 = 0x07ff_0000_0000_0000
    let high: UInt64 = 0x07ff_fffe_87ff_fffe
    return (self < 64 ? low : self < 128 ? high : 0) &>> UInt64(self & 63) & 1 == 1
  }

  /// Whether a sample's value may hold it.
  @inline(__always)
  var isValuePart: Bool { self > .space ? self != UInt8(ascii: "{") : !isBlank && self != .newline && self != 0 }
}
