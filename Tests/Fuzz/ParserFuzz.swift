// Feeds a parser of expositions mutated ones. What must never happen: a crash, a parser that does not end, or a series
// that is another one when it is skipped by its fingerprint than when it is read.
//
//     swift run -c release Fuzz --parser openmetrics --seconds 60

import Bytes
import Exposition
import Kernel

struct ParserFuzz {
  struct Fault: Error, CustomStringConvertible { let description: String }

  private let format: ExpositionFormat
  private let seeds: [WorkingCopy.File]
  private let hasher: SeriesHasher
  private(set) var accepted = 0

  init(_ name: String) throws {
    switch name {
    case "text": format = .text
    case "openmetrics": format = .openMetrics
    case "protobuf": format = .protobuf
    default: throw Fault(description: "no such parser: \(name)")
    }
    seeds = Self.seeds(format).map { WorkingCopy.File(path: "", content: $0) }
    hasher = .process
  }

  /// Breaks expositions until `end`, by the monotonic clock; gives how many it tried.
  mutating func run(with mutator: inout Mutator, until end: UInt64) throws -> Int {
    var rounds = 0
    while MonotonicClock.now < end {
      let seed = seeds[mutator.next(below: seeds.count)]
      let text = mutator.mutate(seed.content, beside: seeds)
      switch format {
      case .text:
        var (reader, skipper) = (TextParser(text.span.bytes), TextParser(text.span.bytes))
        try check(&reader, &skipper)
      case .openMetrics:
        var (reader, skipper) = (OpenMetricsParser(text.span.bytes), OpenMetricsParser(text.span.bytes))
        try check(&reader, &skipper)
      case .protobuf:
        var reader = ProtobufParser(text.span.bytes)
        var skipper = ProtobufParser(text.span.bytes)
        try check(&reader, &skipper)
      }
      rounds += 1
    }
    return rounds
  }

  /// Reads all with the one, and skips with the other what the first has read.
  private mutating func check<Parser: ExpositionParser & ~Copyable & ~Escapable>(
    _ reader: inout Parser, _ skipper: inout Parser
  ) throws {
    do throws(ExpositionError) {
      while let entry = try reader.next() {
        guard try skipper.next() == entry else { throw ExpositionError("not the same entry") }
        guard entry == .sample else {
          var metadata = MetricMetadata(family: reader.familyName)
          reader.describe(&metadata)
          _ = reader.metadataHash(hasher, after: .none)
          continue
        }
        try reader.readSeries()
        let isSkipped = skipper.skipSeries(length: reader.seriesLength, hash: reader.seriesHash(hasher), hasher)
        if !isSkipped { try skipper.readSeries() }
        try reader.readValue()
        try skipper.readValue()
        var (read, skipped) = (LabelSet(), LabelSet())
        reader.appendLabels(to: &read)
        skipper.appendLabels(to: &skipped)
        for index in 0..<reader.exemplarCount { _ = try reader.exemplar(at: index) }
        _ = reader.histogram()
        let isSame = reader.value.bitPattern == skipper.value.bitPattern && reader.timestamp == skipper.timestamp
        guard isSame, read == skipped, !reader.value.isStaleMarker else { throw Difference.found(read, skipped) }
      }
      accepted += 1
    } catch {
      if error.description.contains(Difference.mark) { throw Fault(description: error.description) }
    }
  }

  private enum Difference {
    static let mark = "read and skipped differ"

    static func found(_ read: LabelSet, _ skipped: LabelSet) -> ExpositionError {
      ExpositionError("\(mark): \(read) \(skipped)")
    }
  }

  private static func seeds(_ format: ExpositionFormat) -> [[UInt8]] {
    let writer = MetricWriter()
    let labelled = MetricFamily.counter("requests_total", "Requests \\ by \"path\"\n.", ["code", "path"])
    for index in 0..<4 {
      writer.begin(labelled)
      writer.label(index)
      writer.label("a\"\\\né")
      writer.end(Double(index) * 1.1e7)
    }
    let histogram = MetricFamily("latency_seconds", .histogram, "h")
    for bound in ["0.5", "1", "+Inf"] {
      writer.orderedLine(histogram, suffix: "_bucket", labels: [(name: "le", value: bound)], 3)
    }
    writer.orderedLine(histogram, suffix: "_sum", labels: [], .nan)
    writer.orderedLine(histogram, suffix: "_count", labels: [], 3)
    var page = ByteWriter()
    TextExposition().render([writer], as: format, into: &page)
    return [page.bytes.array, special(format)]
  }

  /// What the exporter itself does not write.
  private static func special(_ format: ExpositionFormat) -> [UInt8] {
    switch format {
    case .text: Array("# HELP \"a b\" x\n{\"a b\",\"c d\"=\"e\",} -0x1 1500\n m { } Inf\n".utf8)
    case .openMetrics:
      Array("# UNIT m_s s\nm_s{a=\"b\"} 1 1.5 # {t=\"x\"} 2 3.5\n{\"a b\",\"c d\"=\"e\"} NaN # {} 1\n# EOF\n".utf8)
    case .protobuf:
      // A native histogram with a span, two deltas and an exemplar.
      [
        0x29, 0x0a, 1, 0x6e, 0x18, 4, 0x22, 0x22, 0x3a, 0x20, 0x08, 3, 0x28, 1, 0x38, 1, 0x62, 4, 0x08, 1, 0x10, 2,
        0x6a,
        2, 2, 1, 0x82, 1, 0x0d, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x1a, 2, 0x08, 7,
      ]
    }
  }
}
