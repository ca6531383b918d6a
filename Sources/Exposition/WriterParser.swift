import Bytes

/// Reads what collectors of this process wrote, without a text in between: the lines of the writers are walked as they
/// stand, and a series has the bytes that it would have in the text.
///
/// The writers must not change meanwhile.
public struct WriterParser: ExpositionParser {
  private let writers: [MetricWriter]
  // The line that is read, the run that it is in, and the writer of both.
  private var writer = 0
  private var run = -1
  private var line = 0
  /// The line of the last sample.
  private var current = 0
  public private(set) var type = MetricType.untyped
  public private(set) var value = 0.0
  public private(set) var seriesLength = 0

  public init(_ writers: [MetricWriter]) { self.writers = writers }

  public var timestamp: Int64? { nil }

  public mutating func rewind() { self = WriterParser(writers) }

  public mutating func next() throws(ExpositionError) -> ExpositionEntry? {
    while writer < writers.count {
      let runs = writers[writer].runs
      if run >= 0, run < runs.count, line < runs[run].lines.upperBound { return .sample }
      run += 1
      if run < runs.count {
        line = runs[run].lines.lowerBound
        type = runs[run].family.type
        return .type
      }
      writer += 1
      run = -1
    }
    return nil
  }

  @inline(__always)
  public mutating func skipSeries(length: Int, hash: SeriesHash, _ hasher: SeriesHasher) -> Bool {
    let place = writers[writer].lines[line]
    let salt = type.salt
    guard Int(place.value - place.start) == length + 1,
      withSeries(at: line, { hasher.hash($0, salt: salt) }) == hash
    else { return false }
    seriesLength = length
    current = line
    return true
  }

  public mutating func readSeries() throws(ExpositionError) {
    let place = writers[writer].lines[line]
    seriesLength = Int(place.value - place.start) - 1
    current = line
  }

  @inline(__always)
  public mutating func readValue() throws(ExpositionError) {
    let place = writers[writer].lines[line]
    // The newline ends the line.
    value = writers[writer].withText(place.value..<place.end - 1) { number in
      Double(goSyntax: RawSpan(_unsafeBytes: number)) ?? .nan
    }
    line += 1
  }

  /// Hands the series of the line at `line` to `body`.
  @inline(__always)
  private func withSeries<R>(at line: Int, _ body: (RawSpan) -> R) -> R {
    let place = writers[writer].lines[line]
    return writers[writer].withText(place.start..<place.value - 1) { body(RawSpan(_unsafeBytes: $0)) }
  }

  public func seriesHash(_ hasher: SeriesHasher) -> SeriesHash {
    withSeries(at: current) { hasher.hash($0, salt: type.salt) }
  }

  public func appendLabels(to labels: inout LabelSet) {
    withSeries(at: current) { TextParser.appendLabels(of: $0, type: type, to: &labels) }
  }

  private var family: MetricFamily { writers[writer].runs[run].family }

  public func metadataHash(_ hasher: SeriesHasher, after hash: SeriesHash) -> SeriesHash {
    let head = family.head
    return hasher.hash(head.span.bytes, after: hash)
  }

  public var familyName: String { family.name }

  public func describe(_ metadata: inout MetricMetadata) {
    metadata.type = family.type
    metadata.help = family.help
  }
}
