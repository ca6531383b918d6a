import Bytes
import Exposition

/// Classic histograms that are stored as native ones with custom buckets, as Prometheus does it for
/// `convert_classic_histograms_to_nhcb` (model/textparse/nhcbparse.go): the samples `_bucket`, `_count` and `_sum` of a
/// family of type histogram that stand together and have the same labels, but for `le`, become one.
///
/// In the steady state a part is known by its line, so no labels are read and nothing is looked up.
package struct HistogramConversion {
  package enum Wish: Sendable {
    case none
    /// The classic series are not stored.
    case instead
    case besideClassic
  }

  /// A series that is a part of a classic histogram.
  struct Part {
    var meaning: ClassicHistogram.Part
    /// The record of the native histogram.
    var histogram: Int32
    /// The record of the classic series; -1 when that is not stored.
    var series: Int32
  }

  /// The native histogram, while its parts come.
  struct Converted: ExposedSample {
    /// Made when it is first needed.
    var classic: ClassicHistogram?
    var timestamp: Int64?
    var start: Int64?
    var encoded: [UInt8] = []
    /// Exemplars by their fingerprints; those that the series had before are not read.
    var exemplars: [(hash: UInt64, exemplar: Exemplar?)] = []

    var value: Double { 0 }
    var isHistogram: Bool { true }
    func histogram() -> [UInt8] { encoded }
    var exemplarCount: Int { exemplars.count }
    func exemplarHash(at index: Int, _ hasher: SeriesHasher) -> UInt64 { exemplars[index].hash }
    func exemplar(at index: Int) throws(ExpositionError) -> Exemplar {
      guard let exemplar = exemplars[index].exemplar else { throw ExpositionError("the exemplar was not read") }
      return exemplar
    }

    mutating func begin() {
      if classic == nil { classic = ClassicHistogram() }
      classic?.removeAll()
      exemplars.removeAll(keepingCapacity: true)
    }
  }

  private(set) var parts: [Part] = []

  // Of the scrape that runs.
  /// The record of the histogram that is collected.
  fileprivate(set) var current: Int32?
  fileprivate var converted = Converted()
  /// The labels that the last new part gave its histogram, as exposed, and the record.
  fileprivate var labels = LabelSet()
  fileprivate var record: Int32?
  /// The last histogram that the scrape before did not have.
  fileprivate var newHistogram: Int32?
  private var knownParts = 0

  mutating func begin() {
    knownParts = parts.count
    (current, record, newHistogram) = (nil, nil, nil)
  }

  /// The scrape has failed: its new parts are not known.
  mutating func forgetNew() {
    parts.removeLast(parts.count - knownParts)
    current = nil
  }

  /// The record of a line that is this part.
  fileprivate mutating func add(_ part: Part) -> Int32 {
    parts.append(part)
    return ~Int32(truncatingIfNeeded: parts.count - 1)
  }

  /// Keeps no parts but those of these lines.
  mutating func keepParts(of lines: inout [SeriesCache.Line]) {
    if parts.isEmpty { return }
    var kept: [Part] = []
    for index in lines.indices where lines[index].record < 0 {
      kept.append(parts[Int(~lines[index].record)])
      lines[index].record = ~Int32(truncatingIfNeeded: kept.count - 1)
    }
    parts = kept
  }
}

extension SeriesCache {
  private static let suffixes: [(suffix: StaticString, meaning: ClassicHistogram.Part)] = [
    ("_bucket", .bucket(.nan)), ("_count", .count), ("_sum", .sum),
  ]

  /// Sets `labels` to those of the histogram that the series is a part of, as the target exposed them; gives nil, and
  /// leaves anything there, when it is no part of one.
  mutating func readPart<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser
  ) -> ClassicHistogram.Part? {
    guard parser.type == .histogram, !parser.isHistogram, !parser.isBesideNative else { return nil }
    labels.removeAll()
    parser.appendLabels(to: &labels)
    guard let name = labels.index(of: "__name__"),
      let (suffix, part) = Self.suffixes.first(where: { labels.value(at: name).ends(with: $0.suffix) })
    else { return nil }
    let family = Array(labels.value(at: name).array.dropLast(suffix.utf8CodeUnitCount))
    var announced = parser.familyName
    if announced.isEmpty { announced = parts?.family ?? "" }
    guard family.span.bytes.equals(announced.utf8.span.bytes) else { return nil }
    var meaning = part
    let limit = labels.index(of: "le")
    if case .bucket = part {
      guard let limit, let bound = Double(goSyntax: labels.value(at: limit)), !bound.isNaN else { return nil }
      meaning = .bucket(bound)
    }
    labels.set("__name__".utf8.span.bytes, to: family.span.bytes)
    if let limit { labels.remove(at: limit) }
    return meaning
  }

  /// The record of a series that is not known yet and is a part of the histogram with `labels`; nil beyond the limit of
  /// samples.
  mutating func newPart<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ meaning: ClassicHistogram.Part, _ parser: borrowing Parser, _ hash: SeriesHash, _ terms: Terms,
    isNew: inout Bool, _ counts: inout Counts
  ) throws(ExpositionError) -> Int32? {
    guard let histogram = try recordOfHistogram(hash, terms, &counts) else { return nil }
    var series: Int32 = -1
    if terms.conversion == .besideClassic {
      if let about = try readLabels(parser, terms) {
        guard let record = newRecord(about.metadata, hash, terms, isNew: &isNew, &counts) else { return nil }
        series = record
      } else {
        series = droppedRecord()
      }
    }
    return conversion.add(HistogramConversion.Part(meaning: meaning, histogram: histogram, series: series))
  }

  private mutating func recordOfHistogram(
    _ hash: SeriesHash, _ terms: Terms, _ counts: inout Counts
  ) throws(ExpositionError) -> Int32? {
    if let record = conversion.record, conversion.labels == labels { return record }
    conversion.labels = labels
    conversion.record = nil
    if let about = try completeLabels(terms) {
      var isNew = false
      let known = createdCount
      conversion.record = newRecord(about.metadata, hash, terms, isNew: &isNew, &counts)
      if createdCount > known { conversion.newHistogram = conversion.record }
    } else {
      conversion.record = droppedRecord()
    }
    return conversion.record
  }

  /// Takes the sample that `parser` has read into its histogram; the one before is stored, if this is another.
  ///
  /// - Parameter record: of the sample's line.
  mutating func collect<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ parser: borrowing Parser, _ record: Int32, _ terms: Terms, isNew: Bool, _ counts: inout Counts
  ) throws(ExpositionError) {
    let part = conversion.parts[Int(~record)]
    if conversion.current != part.histogram {
      try storeConverted(terms, &counts)
      conversion.current = part.histogram
      conversion.converted.begin()
      conversion.converted.start = parser.start
    }
    conversion.converted.timestamp = parser.timestamp
    conversion.converted.classic?.add(parser.value, as: part.meaning)
    for index in 0..<parser.exemplarCount { try collectExemplar(index, of: parser, part.histogram) }
    guard part.series >= 0 else { return }
    counts.scraped += 1
    try store(parser, in: part.series, terms, isNew: isNew, &counts)
  }

  /// Without a timestamp of its own, an exemplar is none of a native histogram's.
  private mutating func collectExemplar<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ index: Int, of parser: borrowing Parser, _ histogram: Int32
  ) throws(ExpositionError) {
    let hash = parser.exemplarHash(at: index, hasher)
    if exemplars[histogram]?.contains(hash) == true {
      conversion.converted.exemplars.append((hash, nil))
    } else {
      let exemplar = try parser.exemplar(at: index)
      if exemplar.timestamp != nil { conversion.converted.exemplars.append((hash, exemplar)) }
    }
  }

  /// Stores the histogram whose parts have come, if there is one. One whose parts contradict each other is left out.
  mutating func storeConverted(_ terms: Terms, _ counts: inout Counts) throws(ExpositionError) {
    guard let record = conversion.current else { return }
    conversion.current = nil
    guard let encoded = conversion.converted.classic?.encoded() else { return keep(record) }
    conversion.converted.encoded = encoded
    counts.scraped += 1
    let sample = conversion.converted
    try store(sample, in: record, terms, isNew: conversion.newHistogram == record, &counts)
    conversion.newHistogram = nil
  }
}
