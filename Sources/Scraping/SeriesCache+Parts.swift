import Bytes
import Exposition

/// Reading an exposition that comes in parts, one pass over each; what is not read yet is the caller's to keep.
///
/// No part can be looked at again. So when the target says something else of its families than before, that is read in
/// the next scrape; and in a first one, what it says of a family behind the family's samples is not known for them.
extension SeriesCache {
  /// What is known between two parts.
  struct Parts {
    var parser = ParserState()
    /// The fingerprint of what the target has said of its families so far.
    var said = SeriesHash.none
    /// The family that it spoke of last, if classic histograms are converted.
    var family = ""
    /// Whether what it says is read.
    var readsMetadata = false
    /// What it said of its families when their series were registered, if it may be something else now.
    var known: [String: FamilyMetadata]?
    /// What is known of the families should this scrape fail.
    var before = TargetMetadata()

    mutating func end<Parser: ExpositionParser & ~Copyable & ~Escapable>(
      _ parser: borrowing Parser, _ terms: Terms
    ) {
      if terms.conversion == .none { return }
      let family = parser.familyName
      if !family.isEmpty { self.family = family }
    }
  }

  /// To be called behind `begin`.
  package mutating func beginParts() {
    keepLastSamples()
    var parts = Parts()
    parts.readsMetadata = lines.isEmpty || isMetadataOld
    if parts.readsMetadata {
      parts.before = metadata
      if !lines.isEmpty {
        parts.known = Dictionary(metadata.families.map { ($0.family, $0) }) { first, _ in first }
      }
      metadata.begin()
    }
    self.parts = parts
  }

  /// Reads what is whole of a part, and gives how many bytes those are. The next part begins with the others.
  ///
  /// - Parameter isLast: whether nothing follows; then all is read.
  package mutating func read(
    part bytes: RawSpan, isLast: Bool, as format: ExpositionFormat, _ terms: Terms, counts: inout Counts
  ) throws(ScrapeError) -> Int {
    guard var parts else { return 0 }
    let end = isLast ? bytes.byteCount : bytes.endOfWholeEntries(format)
    if end == 0, !isLast { return 0 }
    let entries = bytes.extracting(0..<end)
    var read = end
    do throws(ExpositionError) {
      switch format {
      case .text:
        var parser = TextParser(entries, after: parts.parser)
        do throws(ExpositionError) { try walk(&parser, terms, &counts, &parts.said) } catch {
          guard !isLast, entries.endsWithinQuotes(from: parser.entry) else { throw error }
          read = parser.entry
        }
        parts.parser = parser.state
        parts.end(parser, terms)
      case .openMetrics:
        var parser = OpenMetricsParser(entries, after: parts.parser, hasMore: !isLast)
        do throws(ExpositionError) { try walk(&parser, terms, &counts, &parts.said) } catch {
          guard !isLast, entries.endsWithinQuotes(from: parser.entry) else { throw error }
          read = parser.entry
        }
        parts.parser = parser.state
        parts.end(parser, terms)
      case .protobuf:
        var parser = ProtobufParser(entries, histograms: terms.histogramChoice)
        try walk(&parser, terms, &counts, &parts.said)
      }
      if isLast {
        try storeConverted(terms, &counts)
        try checkLimits()
      }
    } catch { throw ScrapeError(error.description) }
    self.parts = parts
    if isLast { endMetadata(parts) }
    return read
  }

  private mutating func endMetadata(_ parts: Parts) {
    if parts.readsMetadata { metadata.end(parts.said) }
    isMetadataOld = parts.said != metadata.hash
  }

  /// Tells the sink what the target says of the family of a series, if that is something else than before.
  mutating func describe<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, _ record: Int32, _ terms: Terms
  ) throws(ExpositionError) {
    guard let known = parts?.known else { return }
    try registerAgain(record, parser, terms) { known[$0.family]?.metadata != $0 }
  }
}

extension RawSpan {
  /// Where the last whole line ends, or the last whole message.
  func endOfWholeEntries(_ format: ExpositionFormat) -> Int {
    guard format == .protobuf else { return (lastIndex(of: .newline) ?? -1) + 1 }
    var end = 0
    while let next = endOfMessage(at: end), next <= byteCount { end = next }
    return end
  }

  /// Where the message ends that begins at `start`, behind its length, which may be beyond these bytes; nil when its
  /// length is not whole, or there is none.
  func endOfMessage(at start: Int) -> Int? {
    var scanner = ByteScanner(extracting(start..<byteCount))
    guard let length = scanner.varint() else {
      // What is no length is for the parser to refuse.
      return byteCount - start >= 10 ? byteCount : nil
    }
    let (end, overflow) = (start + scanner.position).addingReportingOverflow(Int(clamping: length))
    return overflow ? .max : end
  }
}
