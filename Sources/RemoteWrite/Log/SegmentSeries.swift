import Bytes

/// The series that a segment defines, by their fingerprints: what its records say before their samples.
struct SegmentSeries {
  private var pairs: [UInt64] = []

  /// Adds what a record defines; gives the ordinal behind its last sample. Nil when it is malformed.
  mutating func read(_ payload: RawSpan, into filter: inout SeriesFilter) -> Ordinal? {
    var scanner = ByteScanner(payload)
    guard let first = scanner.varint(), scanner.varint() != nil, let count = scanner.varint() else { return nil }
    while let kind = scanner.next {
      let start = scanner.position
      scanner.position += 1
      switch kind {
      case LogFormat.Definition.end: return first &+ count
      case LogFormat.Definition.pair:
        guard let length = scanner.varint(), scanner.take(length) != nil else { return nil }
        pairs.append(SeriesFingerprint.hash(ofPair: payload.extracting(start..<scanner.position)))
      case LogFormat.Definition.series:
        guard scanner.varint() != nil, let count = scanner.varint() else { return nil }
        var fingerprint = SeriesFingerprint()
        for _ in 0..<min(count, UInt64(payload.byteCount)) {
          guard let pair = scanner.varint(), pair < UInt64(pairs.count) else { return nil }
          fingerprint.combine(pairs[Int(pair)])
        }
        filter.insert(fingerprint)
      case LogFormat.Definition.metadata:
        scanner.position += 1
        for _ in 0..<3 {
          guard let length = scanner.varint(), scanner.take(length) != nil else { return nil }
        }
      case LogFormat.Definition.redescription, LogFormat.Definition.start:
        guard scanner.varint() != nil, scanner.varint() != nil else { return nil }
      default: return nil
      }
    }
    return nil
  }
}

extension LogFolder {
  /// The series of the samples from `position` on; those of other samples of the same segments may be among them. All
  /// that a reader would find is in it: behind damage neither looks.
  ///
  /// Nil when a segment cannot be read.
  func series(from position: Ordinal) -> SeriesFilter? {
    var filter = SeriesFilter()
    var next = segment(holding: position)
    while let first = next {
      var series = SegmentSeries()
      do throws(LogError) {
        let file = try SegmentFile(path: path(of: first))
        while file.nextUnchecked({ series.read($0, into: &filter) }) != nil {}
      } catch {
        guard error.isDamage else { return nil }
      }
      next = segment(after: first)
    }
    return filter
  }
}
