import Bytes

/// What a parser has found next.
public enum ExpositionEntry: Sendable {
  /// A sample: its series is to be read or skipped, then its value.
  case sample
  /// What the target says of a family: its help text, its type, its unit, or all of them.
  case help, type, unit
}

/// Where a parser of one of the text formats is between two parts of an exposition.
public struct ParserState: Sendable {
  /// What the last TYPE line said.
  var type = MetricType.untyped
  /// Whether the exposition has said that it ends.
  public internal(set) var isEnded = false

  public init() {}
}

/// A sample with all that it carries.
public protocol ExposedSample: ~Copyable, ~Escapable {
  /// NaN always with the same bits, so never a staleness marker.
  var value: Double { get }
  /// Milliseconds since the epoch, if it has one.
  var timestamp: Int64? { get }
  /// Since when its series counts: milliseconds since the epoch, if the target says so with it.
  var start: Int64? { get }

  /// How many exemplars it has.
  var exemplarCount: Int { get }
  /// A fingerprint of the exemplar at `index`, by which it is known again.
  func exemplarHash(at index: Int, _ hasher: SeriesHasher) -> UInt64
  func exemplar(at index: Int) throws(ExpositionError) -> Exemplar

  /// Whether it is a native histogram, and its `value` means nothing.
  var isHistogram: Bool { get }
  /// The native histogram as `Attachment.Content.histogram` wants it.
  func histogram() -> [UInt8]
}

/// Reads one exposition from front to back, whatever its format, with the verdicts of Prometheus 3's own parser: one
/// fault refuses the whole.
///
/// A parser allocates nothing and copies nothing in the steady state, where the caller knows each series by its
/// fingerprint and the labels need not be read again:
///
///     while let entry = try parser.next() {
///       guard entry == .sample else { continue }
///       if !(isKnown && parser.skipSeries(length: length, hash: hash, hasher)) { try parser.readSeries() }
///       try parser.readValue()
///     }
///
/// The same series in another format has the same fingerprint, if it is written alike.
///
/// As an `ExposedSample` it is the sample that it has read last.
public protocol ExpositionParser: ExposedSample, ~Copyable, ~Escapable {
  /// The type of the family whose samples come now.
  var type: MetricType { get }

  /// Moves to the next entry; nil at the end.
  @_lifetime(self: copy self)
  mutating func next() throws(ExpositionError) -> ExpositionEntry?

  /// Back to the front.
  @_lifetime(self: copy self)
  mutating func rewind()

  // MARK: A sample

  /// Moves behind the series of the sample if it is the one with this fingerprint and length in bytes; otherwise
  /// gives false and does not move.
  @_lifetime(self: copy self)
  mutating func skipSeries(length: Int, hash: SeriesHash, _ hasher: SeriesHasher) -> Bool

  /// Reads and checks the series of the sample.
  @_lifetime(self: copy self)
  mutating func readSeries() throws(ExpositionError)

  /// Reads what follows the series that was read or skipped: value, timestamp, exemplar.
  @_lifetime(self: copy self)
  mutating func readValue() throws(ExpositionError)

  /// Bytes of the series that was read.
  var seriesLength: Int { get }

  /// The fingerprint of the series that was read; the type counts where it changes how labels are written.
  func seriesHash(_ hasher: SeriesHasher) -> SeriesHash

  /// Appends the name, as `__name__`, and the labels of the series that was read, in no certain order. A histogram's
  /// `le` and a summary's `quantile` have the one form that Prometheus 3 gives them ("1" becomes "1.0").
  func appendLabels(to labels: inout LabelSet)

  /// Whether the last sample belongs to a classic histogram that was shown as a native one just before.
  var isBesideNative: Bool { get }

  // MARK: Metadata

  /// A fingerprint of the last HELP, TYPE or UNIT entry and of all before, of which `hash` is the fingerprint.
  func metadataHash(_ hasher: SeriesHasher, after hash: SeriesHash) -> SeriesHash

  /// The name of the family that the last HELP, TYPE or UNIT entry is about; empty before the first.
  var familyName: String { get }

  /// Takes over what the last HELP, TYPE or UNIT entry says.
  func describe(_ family: inout MetricMetadata)
}

/// A trace or the like that a sample stands for.
public struct Exemplar: Sendable, Equatable {
  /// The characters of all names and values together that an exemplar may have.
  static let lengthLimit = 128

  /// Ordered by name.
  public var labels: LabelSet
  public var value: Double
  /// Milliseconds since the epoch, if it has one.
  public var timestamp: Int64?

  /// Whether its labels are no longer than OpenMetrics allows.
  public var isShortEnough: Bool {
    var length = 0
    for index in 0..<labels.count { length += labels.name(at: index).characters + labels.value(at: index).characters }
    return length <= Self.lengthLimit
  }
}

/// Most formats know numbers only.
extension ExpositionParser where Self: ~Copyable, Self: ~Escapable {
  @inlinable public var exemplarCount: Int { 0 }
  public func exemplarHash(at index: Int, _ hasher: SeriesHasher) -> UInt64 { 0 }
  public func exemplar(at index: Int) throws(ExpositionError) -> Exemplar {
    throw ExpositionError("the format has no exemplars")
  }
  @inlinable public var isHistogram: Bool { false }
  @inlinable public var isBesideNative: Bool { false }
  @inlinable public var start: Int64? { nil }
  public func histogram() -> [UInt8] { [] }
}

extension RawSpan {
  /// Code points, if this is UTF-8.
  fileprivate var characters: Int {
    var count = 0
    for offset in 0..<byteCount where self[offset] & 0xc0 != 0x80 { count += 1 }
    return count
  }
}

extension MetricType {
  /// The type decides how `le` and `quantile` are written, so equal texts under different types are different series.
  var salt: UInt64 {
    switch self {
    case .histogram: 1
    case .summary: 2
    default: 0
    }
  }
}
