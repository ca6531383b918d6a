import Bytes

/// Reads OpenMetrics text, versions 1.0.0 and 0.0.1, with the verdicts of Prometheus 3's own parser.
///
/// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md says what is meant. What
/// Prometheus' lexer (model/textparse/openmetricslex.l) accepts is accepted here: it wants exactly one blank between
/// the parts of a line and `# EOF` at the end, and does not look at how the samples of a family are named or ordered.
public struct OpenMetricsParser: ExpositionParser, ~Escapable {
  public let bytes: RawSpan
  /// Where the next read starts, in bytes from the front.
  public internal(set) var position = 0
  /// What the last TYPE line said. It is in force until the next one, whatever the names of the samples are.
  public private(set) var type = MetricType.untyped
  /// The last sample's series: `name{labels}`.
  public internal(set) var series = 0..<0
  public private(set) var value = 0.0
  public private(set) var timestamp: Int64?

  /// Where the last entry begins.
  public private(set) var entry = 0
  private var isEnded = false
  /// Whether there are further lines, and so no `# EOF` is missing.
  private var hasMore = false
  private var isBehindEnd = false
  /// The last HELP, TYPE or UNIT line, what it is, the family's name in it, and its text.
  private var comment = 0..<0
  private var commentKind = ExpositionEntry.help
  private var name = 0..<0
  private var text = 0..<0
  /// The last sample's exemplar: all of it, its labels in braces, its value, and its timestamp in milliseconds.
  private var exemplar = 0..<0
  private var exemplarLabels = 0..<0
  private var exemplarValue = 0.0
  private var exemplarTimestamp: Int64?

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  /// A parser of some further lines of an exposition.
  ///
  /// - Parameter hasMore: whether others follow.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, after state: ParserState, hasMore: Bool) {
    self.bytes = bytes
    self.hasMore = hasMore
    type = state.type
    isEnded = state.isEnded && bytes.byteCount == 0
    isBehindEnd = state.isEnded && bytes.byteCount > 0
  }

  /// Where it is, for the parser of the lines that follow.
  public var state: ParserState {
    var state = ParserState()
    (state.type, state.isEnded) = (type, isEnded)
    return state
  }

  @_lifetime(self: copy self)
  public mutating func rewind() {
    position = 0
    type = .untyped
    isEnded = false
  }

  /// Moves to the next entry; nil behind `# EOF`, which must be there.
  @_lifetime(self: copy self)
  public mutating func next() throws(ExpositionError) -> ExpositionEntry? {
    if isEnded { return nil }
    if isBehindEnd { throw Self.behindEnd }
    guard position < bytes.byteCount else {
      if hasMore { return nil }
      throw Self.unfinished
    }
    entry = position
    switch byte(at: position) {
    case UInt8(ascii: "#"): return try readComment()
    case UInt8(ascii: "{"): return .sample
    case let byte where byte.isNameStart: return .sample
    default: throw bytes.fault("expected a valid start token", got: position..<position, .invalid, from: position)
    }
  }

  static let unfinished = ExpositionError("data does not end with # EOF")
  private static let behindEnd = ExpositionError("unexpected data after # EOF")

  // MARK: Samples

  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skipSeries(length: Int, hash: SeriesHash, _ hasher: SeriesHasher) -> Bool {
    let end = position &+ length
    // Behind what ends in a brace must be a blank, and behind a bare name, which may go on, has to be one.
    guard length > 0, end < bytes.byteCount, byte(at: end) == .space,
      hasher.hash(bytes.extracting(unchecked: position..<end), salt: type.salt) == hash
    else { return false }
    series = position..<end
    position = end
    return true
  }

  /// Reads the value, the timestamp, the exemplar and the end of the line of the sample whose series was read or
  /// skipped.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func readValue() throws(ExpositionError) {
    let range = try word("expected value after metric")
    value = try bytes.number(range, of: series.lowerBound)
    timestamp = nil
    exemplar = 0..<0
    if byte(at: position) != .newline { try readRest() }
    position += 1
  }

  /// Reads what stands behind the value, up to the end of the line.
  @_lifetime(self: copy self)
  private mutating func readRest() throws(ExpositionError) {
    guard position < bytes.byteCount else { throw Self.unfinished }
    if !isAtExemplar {
      let range = try word("expected a valid start token")
      timestamp = try milliseconds(range, "timestamp")
      if byte(at: position) == .newline { return }
      guard isAtExemplar else { throw unexpected("expected next entry after timestamp") }
    }
    try readExemplar()
  }

  private var isAtExemplar: Bool {
    position + 4 <= bytes.byteCount && bytes.extracting(position..<position + 4).starts(with: " # {")
  }

  /// Reads ` # {labels} value timestamp`, of which the timestamp may be missing.
  @_lifetime(self: copy self)
  private mutating func readExemplar() throws(ExpositionError) {
    let start = position + 3
    position += 4
    try readExemplarLabels(from: series.lowerBound)
    exemplarLabels = start..<position
    exemplarValue = try bytes.number(try word("expected value after exemplar labels"), of: series.lowerBound)
    exemplarTimestamp = nil
    if byte(at: position) != .newline {
      guard position < bytes.byteCount else { throw Self.unfinished }
      exemplarTimestamp = try milliseconds(try word("expected timestamp or comment"), "exemplar timestamp")
      if byte(at: position) != .newline { throw unexpected("expected next entry after exemplar timestamp") }
    }
    exemplar = start..<position
  }

  /// Reads a blank and what follows it up to the next blank or the end of the line.
  @inline(__always)
  @_lifetime(self: copy self)
  private mutating func word(_ expected: @autoclosure () -> String) throws(ExpositionError) -> Range<Int> {
    let start = position &+ 1
    var end = start
    if byte(at: position) == .space { while byte(at: end).isWordPart { end &+= 1 } }
    guard end > start else {
      throw bytes.fault(expected(), got: position..<position, .invalid, from: series.lowerBound)
    }
    position = end
    return start..<end
  }

  /// What stands where the line should have ended.
  private func unexpected(_ expected: String) -> ExpositionError {
    var end = position + 1
    while byte(at: end).isWordPart { end += 1 }
    let token: LexerToken = position >= bytes.byteCount ? .end : end > position + 1 ? .timestamp : .invalid
    return bytes.fault(
      expected, got: position..<(token == .timestamp ? end : position), token, from: series.lowerBound)
  }

  /// A time in seconds, with a fraction or not.
  private func milliseconds(_ range: Range<Int>, _ what: String) throws(ExpositionError) -> Int64 {
    let seconds = try bytes.number(range, of: series.lowerBound)
    guard seconds.isFinite else {
      throw ExpositionError("invalid \(what) \(seconds.isNaN ? "NaN" : seconds > 0 ? "+Inf" : "-Inf")")
    }
    // What no number of milliseconds holds is older than all, as in Prometheus on amd64.
    let milliseconds = (seconds * 1000).rounded(.towardZero)
    return Int64(exactly: milliseconds) ?? .min
  }

  // MARK: Comments

  /// Reads the line that begins with the `#` at `position`: nil when it is `# EOF`.
  @_lifetime(self: copy self)
  private mutating func readComment() throws(ExpositionError) -> ExpositionEntry? {
    let start = position
    let line = bytes.extracting(start..<min(start + 7, bytes.byteCount))
    if line.starts(with: "# EOF") {
      position += byte(at: start + 5) == .newline ? 6 : 5
      guard position == bytes.byteCount else { throw Self.behindEnd }
      isEnded = true
      return nil
    }
    let (kind, word): (ExpositionEntry, String)
    switch line {
    case _ where line.equals("# HELP "): (kind, word) = (.help, "HELP")
    case _ where line.equals("# TYPE "): (kind, word) = (.type, "TYPE")
    case _ where line.equals("# UNIT "): (kind, word) = (.unit, "UNIT")
    default:
      let end = line.starts(with: "# ") ? start + 2 : start
      throw bytes.fault("expected a valid start token", got: start..<end, .invalid, from: start)
    }
    position += 7
    try readFamilyName("expected metric name after \(word)", from: start)
    guard byte(at: position) == .space, let end = bytes.firstIndex(of: .newline, from: position) else {
      throw ExpositionError("expected text in \(word)")
    }
    (commentKind, comment, text) = (kind, start..<end, position + 1..<end)
    position = end + 1
    try takeText()
    return kind
  }

  /// Sets `name` and moves behind it.
  @_lifetime(self: copy self)
  private mutating func readFamilyName(_ expected: @autoclosure () -> String, from start: Int) throws(ExpositionError) {
    let nameStart = position
    if let end = bytes.endOfQuoted(at: position, allowingNUL: false, allowingNewline: true) {
      position = end
      name = nameStart + 1..<end - 1
      return
    }
    guard byte(at: position).isNameStart else {
      throw bytes.fault(expected(), got: position..<position, .invalid, from: start)
    }
    while byte(at: position).isNamePart { position += 1 }
    name = nameStart..<position
  }

  @_lifetime(self: copy self)
  private mutating func takeText() throws(ExpositionError) {
    let text = bytes.extracting(text)
    switch commentKind {
    case .type:
      guard let type = MetricType(openMetrics: text) else {
        throw ExpositionError("invalid metric type \(ExpositionError.quote(text))")
      }
      self.type = type
    case .unit:
      let name = bytes.extracting(name)
      guard text.byteCount == 0 || name.hasUnit(text) else {
        let (unit, metric) = (ExpositionError.quote(text), ExpositionError.quote(name))
        throw ExpositionError("unit \(unit) not a suffix of metric \(metric)")
      }
    default:
      guard text.isUTF8 else {
        throw ExpositionError("help text \(ExpositionError.quote(text)) is not a valid utf8 string")
      }
    }
  }

  /// The byte at `offset`; behind the end NUL, which stands nowhere but in texts.
  @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    offset < bytes.byteCount ? bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) : 0
  }
}

extension OpenMetricsParser {
  public var seriesLength: Int { series.count }

  public func seriesHash(_ hasher: SeriesHasher) -> SeriesHash {
    hasher.hash(bytes.extracting(series), salt: type.salt)
  }

  public func appendLabels(to labels: inout LabelSet) {
    TextParser.appendLabels(of: bytes.extracting(series), type: type, to: &labels)
  }

  @inline(__always) public var exemplarCount: Int { exemplar.isEmpty ? 0 : 1 }

  public func exemplarHash(at index: Int, _ hasher: SeriesHasher) -> UInt64 {
    hasher.hash(bytes.extracting(exemplar)).low
  }

  public func exemplar(at index: Int) -> Exemplar {
    var labels = LabelSet()
    TextParser.appendLabels(of: bytes.extracting(exemplarLabels), type: .untyped, to: &labels)
    labels.sort()
    return Exemplar(labels: labels, value: exemplarValue, timestamp: exemplarTimestamp)
  }

  public func metadataHash(_ hasher: SeriesHasher, after hash: SeriesHash) -> SeriesHash {
    hasher.hash(bytes.extracting(comment), after: hash)
  }

  public var familyName: String { String(utf8: bytes.extracting(name).unescaped().span.bytes) }

  public func describe(_ family: inout MetricMetadata) {
    let text = bytes.extracting(text)
    switch commentKind {
    case .type: family.type = type
    case .unit: family.unit = String(utf8: text)
    default: family.help = String(utf8: text.unescaped().span.bytes)
    }
  }
}

extension RawSpan {
  /// Whether a family's name ends in this unit, behind an underscore.
  func hasUnit(_ unit: RawSpan) -> Bool {
    let start = byteCount - unit.byteCount
    return start > 0 && self[start - 1] == UInt8(ascii: "_") && extracting(start..<byteCount).equals(unit)
  }
}

extension UInt8 {
  /// Whether a value or a timestamp may hold it.
  @inline(__always)
  fileprivate var isWordPart: Bool { self > .space || self != .space && self != .newline && self != 0 }
}
