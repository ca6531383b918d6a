import Bytes

/// What a parser gives of the series, the exemplars and the family that it has found.
extension ProtobufParser {
  /// The series was read before it was known to be there.
  @_lifetime(self: copy self)
  public mutating func skipSeries(length: Int, hash: SeriesHash, _ hasher: SeriesHasher) -> Bool {
    length == series.count && seriesHash(hasher) == hash
  }

  @_lifetime(self: copy self)
  public mutating func readSeries() throws(ExpositionError) {}

  @_lifetime(self: copy self)
  public mutating func readValue() throws(ExpositionError) {}

  public var seriesLength: Int { series.count }

  public func seriesHash(_ hasher: SeriesHasher) -> SeriesHash { hasher.hash(series.bytes, salt: type.salt) }

  public func appendLabels(to labels: inout LabelSet) {
    TextParser.appendLabels(of: series.bytes, type: type, to: &labels)
  }

  public var isHistogram: Bool {
    if case .native = part { true } else { false }
  }

  public func histogram() -> [UInt8] { native }

  public var isBesideNative: Bool { histograms == .both && isNative && !isHistogram }

  public var exemplarCount: Int { exemplars.count }

  public func exemplarHash(at index: Int, _ hasher: SeriesHasher) -> UInt64 {
    hasher.hash(bytes.extracting(exemplars[index])).low
  }

  public func exemplar(at index: Int) throws(ExpositionError) -> Exemplar { try Exemplar(bytes, exemplars[index]) }

  public func metadataHash(_ hasher: SeriesHasher, after hash: SeriesHash) -> SeriesHash {
    var hash = hasher.hash(bytes.extracting(name), after: hash)
    hash = hasher.hash(bytes.extracting(help), after: hash)
    // Nothing has the type as a text.
    return hasher.hash(
      bytes.extracting(unit), salt: UInt64(type.contentField) << 1 | (type == .histogram ? 1 : 0), after: hash)
  }

  public var familyName: String { String(utf8: bytes.extracting(name)) }

  public func describe(_ family: inout MetricMetadata) {
    family.type = type
    family.help = String(utf8: bytes.extracting(help))
    family.unit = String(utf8: bytes.extracting(unit))
  }
}
