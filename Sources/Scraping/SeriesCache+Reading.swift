import Bytes
import Exposition

/// Reading: one pass over what the target exposed, of whatever format.
///
/// What the target says of its families is known by a fingerprint of all that it says. Only when that is another one
/// than last time, the families are read in a second pass, and in a third the series of those that have changed are
/// registered again.
extension SeriesCache {
  /// Reads an exposition of the target. On an error `counts` say how far it came; the caller then calls `fail`, else
  /// `finish`.
  package mutating func read(
    _ bytes: RawSpan, as format: ExpositionFormat = .text, _ terms: Terms, counts: inout Counts
  ) throws(ScrapeError) {
    switch format {
    case .text:
      var parser = TextParser(bytes)
      try read(&parser, terms, &counts)
    case .openMetrics:
      var parser = OpenMetricsParser(bytes)
      try read(&parser, terms, &counts)
    case .protobuf:
      var parser = ProtobufParser(bytes, histograms: terms.histogramChoice)
      try read(&parser, terms, &counts)
    }
  }

  /// Reads what collectors of this process wrote, as their exposition would be read.
  package mutating func read(_ writers: [MetricWriter], _ terms: Terms, counts: inout Counts) throws(ScrapeError) {
    var parser = WriterParser(writers)
    try read(&parser, terms, &counts)
  }

  private mutating func read<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: inout Parser, _ terms: Terms, _ counts: inout Counts
  ) throws(ScrapeError) {
    // All series are going to be new: what is said of them must be known before.
    if lines.isEmpty {
      _ = metadata.read(&parser, hasher)
      parser.rewind()
    }
    do throws(ExpositionError) {
      var said = SeriesHash.none
      try walk(&parser, terms, &counts, &said)
      try storeConverted(terms, &counts)
      try checkLimits()
      guard said != metadata.hash else { return }
      parser.rewind()
      let changed = metadata.read(&parser, hasher)
      guard !changed.isEmpty else { return }
      parser.rewind()
      try registerAgain(changed, &parser, terms)
    } catch { throw ScrapeError(error.description) }
  }

  /// Stores all samples; `said` becomes the fingerprint of what the target has said of its families so far.
  mutating func walk<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: inout Parser, _ terms: Terms, _ counts: inout Counts, _ said: inout SeriesHash
  ) throws(ExpositionError) {
    let isDescribing = parts?.known != nil
    while let entry = try parser.next() {
      guard entry == .sample else {
        if conversion.current != nil { try storeConverted(terms, &counts) }
        said = parser.metadataHash(hasher, after: said)
        if parts?.readsMetadata == true { metadata.take(parser) }
        continue
      }
      let isInPlace =
        cursor < lines.count
        && parser.skipSeries(length: Int(lines[cursor].length), hash: lines[cursor].hash, hasher)
      if !isInPlace { try parser.readSeries() }
      try parser.readValue()
      var isNew = false
      let record: Int32
      if isInPlace {
        record = lines[cursor].record
        if hasDiverged { nextLines.append(lines[cursor]) }
        cursor += 1
      } else {
        guard let found = try find(parser, terms, isNew: &isNew, &counts) else {
          counts.scraped += 1
          continue
        }
        record = found
      }
      if record < 0 {
        try collect(parser, record, terms, isNew: isNew, &counts)
      } else {
        if conversion.current != nil { try storeConverted(terms, &counts) }
        counts.scraped += 1
        try store(parser, in: record, terms, isNew: isNew, &counts)
      }
      if isDescribing, !isNew { try describe(parser, record, terms) }
    }
  }

  /// - Throws: when a limit was exceeded with which a scrape is read to its end.
  func checkLimits() throws(ExpositionError) {
    if exceeded.contains(.samples) { throw ExpositionError("sample limit exceeded") }
    if exceeded.contains(.histogramBuckets) { throw ExpositionError("histogram bucket limit exceeded") }
  }

  /// The record of a series that does not stand where it stood, which may be new; nil beyond the limit of samples,
  /// where no new ones are taken.
  private mutating func find<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, _ terms: Terms, isNew: inout Bool, _ counts: inout Counts
  ) throws(ExpositionError) -> Int32? {
    if !hasDiverged {
      hasDiverged = true
      nextLines.append(contentsOf: lines[..<cursor])
      for (position, line) in lines.enumerated() { lineByHash[line.hash] = Int32(truncatingIfNeeded: position) }
    }
    let hash = parser.seriesHash(hasher)
    lookups += 1
    var line = Line(hash: hash, record: 0, length: UInt32(truncatingIfNeeded: parser.seriesLength))
    if let position = lineByHash[hash] {
      let known = position >= 0 ? lines[Int(position)] : nextLines[-1 - Int(position)]
      line.record = known.record
      if position >= 0 { cursor = Int(position) + 1 }
    } else {
      parses += 1
      guard let record = try newRecord(parser, hash, terms, isNew: &isNew, &counts) else { return nil }
      line.record = record
      // Below zero: a line of this scrape.
      lineByHash[hash] = Int32(truncatingIfNeeded: -1 - nextLines.count)
    }
    nextLines.append(line)
    return line.record
  }

  /// The record of a series that is not known yet.
  private mutating func newRecord<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, _ hash: SeriesHash, _ terms: Terms, isNew: inout Bool, _ counts: inout Counts
  ) throws(ExpositionError) -> Int32? {
    if terms.conversion != .none, let meaning = readPart(parser) {
      return try newPart(meaning, parser, hash, terms, isNew: &isNew, &counts)
    }
    guard let about = try readLabels(parser, terms) else { return droppedRecord() }
    return newRecord(about.metadata, hash, terms, isNew: &isNew, &counts)
  }

  /// The record of a series with `labels`, whose line has this fingerprint; nil beyond the limit of samples.
  mutating func newRecord(
    _ metadata: MetricMetadata?, _ hash: SeriesHash, _ terms: Terms, isNew: inout Bool, _ counts: inout Counts
  ) -> Int32? {
    guard counts.limited < terms.sampleLimit else {
      exceeded.insert(.samples)
      counts.kept += 1
      return nil
    }
    isNew = true
    let record = register(labels, metadata)
    if record == quota?.record { quota?.countRefusal(labels, hash) }
    return record
  }

  /// Sets `labels` to those under which the series is stored; gives what the target says of its family, if it says
  /// anything. Nil when rules drop the series.
  mutating func readLabels<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, _ terms: Terms
  ) throws(ExpositionError) -> (metadata: MetricMetadata?, Void)? {
    labels.removeAll()
    parser.appendLabels(to: &labels)
    return try completeLabels(terms)
  }

  /// Makes of `labels`, which are those that the target exposed, those under which the series is stored.
  mutating func completeLabels(_ terms: Terms) throws(ExpositionError) -> (metadata: MetricMetadata?, Void)? {
    // By the exposed name: rules may give the series another one.
    let about = labels.index(of: "__name__").flatMap { metadata.ofSeries(named: String(utf8: labels.value(at: $0))) }
    do throws(ScrapeError) {
      try labels.add(target: terms.labels, honorLabels: terms.honorLabels)
      if !terms.rules.isEmpty {
        guard terms.rules.apply(to: &labels) else { return nil }
        try labels.arrange()
      }
      guard labels.isValid(in: terms.names) else { throw labels.invalidNames }
    } catch { throw ExpositionError(error.description) }
    do throws(ScrapeError) { try labels.check(terms.limits) } catch {
      exceeded.insert(.labels)
      throw ExpositionError(error.description)
    }
    return (about, ())
  }

  /// Tells the sink what is now said of the series of the families whose names are in `changed`. The exposition was
  /// walked before, so its lines are known.
  private mutating func registerAgain<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ changed: Set<String>, _ parser: inout Parser, _ terms: Terms
  ) throws(ExpositionError) {
    var place = 0
    while let entry = try parser.next() {
      guard entry == .sample else { continue }
      try parser.readSeries()
      try parser.readValue()
      let line = hasDiverged ? nextLines[place] : lines[place]
      place += 1
      try registerAgain(line.record, parser, terms) { changed.contains($0.family) }
    }
  }

  /// Tells the sink what is now said of the series, if that is something else.
  mutating func registerAgain<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ record: Int32, _ parser: borrowing Parser, _ terms: Terms, if hasChanged: (MetricMetadata) -> Bool
  ) throws(ExpositionError) {
    let part = record < 0 ? conversion.parts[Int(~record)] : nil
    let record = part?.series ?? record
    if record >= 0, !records[Int(record)].isRefused, let about = try readLabels(parser, terms)?.metadata,
      hasChanged(about), let series = sink.register(labels, about)
    {
      // The sink counts registrations; one is enough.
      released.append(series)
    }
    if let part, !records[Int(part.histogram)].isRefused, readPart(parser) != nil,
      let about = try completeLabels(terms)?.metadata, hasChanged(about), let series = sink.register(labels, about)
    {
      released.append(series)
    }
  }
}
