import Bytes

/// The series that a segment defines, by their fingerprints: what its records say before their samples.
struct SegmentSeries {
  private var pairs: [UInt64] = []

  /// Adds what a record of samples before `end` defines; false when it is one of others, or malformed.
  mutating func read(_ payload: RawSpan, before end: Ordinal, into filter: inout SeriesFilter) -> Bool {
    var scanner = ByteScanner(payload)
    guard let first = scanner.varint(), first < end, scanner.varint() != nil, scanner.varint() != nil else {
      return false
    }
    while let kind = scanner.next {
      let start = scanner.position
      scanner.position += 1
      switch kind {
      case LogFormat.Definition.end: return true
      case LogFormat.Definition.pair:
        guard let length = scanner.varint(), scanner.take(length) != nil else { return false }
        pairs.append(SeriesFingerprint.hash(ofPair: payload.extracting(start..<scanner.position)))
      case LogFormat.Definition.series:
        guard scanner.varint() != nil, let count = scanner.varint() else { return false }
        var fingerprint = SeriesFingerprint()
        for _ in 0..<min(count, UInt64(payload.byteCount)) {
          guard let pair = scanner.varint(), pair < UInt64(pairs.count) else { return false }
          fingerprint.combine(pairs[Int(pair)])
        }
        filter.insert(fingerprint)
      case LogFormat.Definition.metadata:
        scanner.position += 1
        for _ in 0..<3 {
          guard let length = scanner.varint(), scanner.take(length) != nil else { return false }
        }
      case LogFormat.Definition.redescription, LogFormat.Definition.start:
        guard scanner.varint() != nil, scanner.varint() != nil else { return false }
      default: return false
      }
    }
    return false
  }
}

extension LogFolder {
  /// The series of the samples of a range; those of earlier samples in the same segment may be among them. All that a
  /// reader would find is in it: behind damage neither looks.
  ///
  /// Nil when a segment cannot be read.
  func series(of range: Range<Ordinal>) -> SeriesFilter? {
    var filter = SeriesFilter()
    var next = segment(holding: range.lowerBound)
    while let first = next, first < range.upperBound {
      var series = SegmentSeries()
      do throws(LogError) {
        let file = try SegmentFile(path: path(of: first))
        while file.nextUnchecked({ series.read($0, before: range.upperBound, into: &filter) }) {}
      } catch {
        guard error.isDamage else { return nil }
      }
      next = segment(after: first)
    }
    return filter
  }
}
