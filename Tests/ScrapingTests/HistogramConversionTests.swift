import Bytes
import Discovery
import Exposition
import NIOCore
import TestSupport
import Testing

@testable import Scraping

/// A scraper of one target with `convert_classic_histograms_to_nhcb`.
private struct Converting {
  let sink = RecordingSink()
  var target = Target(
    jobName: "j", discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: "j")]), scrapeURL: "http://a",
    interval: .seconds(1), timeout: .seconds(1), honorLabels: false, honorTimestamps: true)
  var scraper: TargetScraper
  var time: Int64 = 0
  var format = ExpositionFormat.text
  /// Bytes of a part of the body; nil: it comes whole.
  var partSize: Int?

  init(keepsClassic: Bool = false) {
    target.convertsClassicHistograms = true
    target.alwaysScrapeClassicHistograms = keepsClassic
    scraper = TargetScraper(labels: target.labels, sink: sink, metrics: ScrapeMetrics())
  }

  /// What a scrape stored, but for the series about the scrape.
  @discardableResult
  mutating func scrape(_ text: String) -> [String: [Stored]] { scrape(bytes: Array(text.utf8)) }

  @discardableResult
  mutating func scrape(bytes body: [UInt8]) -> [String: [Stored]] {
    time += 1000
    _ = sink.takeAttachments()
    _ = sink.take()
    if let partSize {
      scraper.take(.head(contentType: nil, length: nil), of: target, fallback: format, at: time)
      for start in stride(from: 0, to: body.count, by: partSize) {
        let part = ByteBuffer(bytes: body[start..<min(start + partSize, body.count)])
        scraper.take(.bytes(part), of: target, fallback: format, at: time)
      }
    }
    let response = ScrapeResponse(status: 200, contentType: nil, body: ByteBuffer(bytes: partSize == nil ? body : []))
    _ = scraper.store(.success(response), of: target, fallback: format, at: time) { .zero }
    return sink.take().filter { !$0.key.contains("\"scrape_") && !$0.key.contains("\"up\"") }
  }
}

/// What `RecordingSink` says of the histogram with these buckets.
private func histogram(_ series: String, _ buckets: [(Double, Double)], sum: Double) -> String {
  let classic = ClassicHistogram()
  for (bound, count) in buckets { classic.add(count, as: .bucket(bound)) }
  classic.add(sum, as: .sum)
  return "\(series) histogram \(classic.encoded() ?? [])"
}

private func body(_ round: Int) -> String {
  """
  # TYPE h histogram
  h_bucket{path="/a",le="0.5"} \(round)
  h_bucket{path="/a",le="+Inf"} \(2 * round)
  h_sum{path="/a"} \(3 * round)
  h_count{path="/a"} \(2 * round)
  h_bucket{path="/b",le="1"} \(round)
  h_bucket{path="/b",le="+Inf"} \(round)
  h_sum{path="/b"} 7
  h_count{path="/b"} \(round)
  # TYPE g gauge
  g_count 1
  g 2

  """
}

private let seriesA = #"{__name__="h", job="j", path="/a"}"#
private let seriesB = #"{__name__="h", job="j", path="/b"}"#

@Test(arguments: [nil, 1, 40, 1000], [ExpositionFormat.text, .openMetrics])
func classicHistogramsAreStoredAsNative(_ partSize: Int?, _ format: ExpositionFormat) throws {
  var converting = Converting()
  converting.partSize = partSize
  converting.format = format
  for round in 1...4 {
    let stored = converting.scrape(body(round) + (format == .openMetrics ? "# EOF\n" : ""))
    #expect(stored.keys.sorted() == [#"{__name__="g", job="j"}"#, #"{__name__="g_count", job="j"}"#, seriesA, seriesB])
    let value = Double(round)
    #expect(
      converting.sink.takeAttachments() == [
        histogram(seriesA, [(0.5, value), (.infinity, 2 * value)], sum: 3 * value),
        histogram(seriesB, [(1, value), (.infinity, value)], sum: 7),
      ])
  }
  #expect(converting.scraper.cache.parses == 10 && converting.scraper.cache.lookups == 10)
  let about = converting.sink.state.withLock { $0.metadata[seriesA] }
  #expect(about == (partSize == 1 ? about : MetricMetadata(family: "h", type: .histogram)))
  // Half of it goes, and comes back in another place.
  let lines = body(5).split(separator: "\n").map(String.init)
  let end = format == .openMetrics ? "\n# EOF\n" : "\n"
  let rest = converting.scrape((lines[..<5] + lines[9...]).joined(separator: "\n") + end)
  #expect(rest[seriesB] == [Stored(.staleMarker, at: 5000)] && rest[seriesA]?.count == 1)
  #expect(converting.scraper.cache.conversion.parts.count == 4)
  let moved = converting.scrape(([lines[0]] + lines[5..<9] + lines[1..<5] + lines[9...]).joined(separator: "\n") + end)
  #expect(moved[seriesA]?.count == 1 && moved[seriesB]?.count == 1)
  #expect(converting.scraper.cache.conversion.parts.count == 8)
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}

@Test func classicSeriesStayBesideWhenWanted() throws {
  var converting = Converting(keepsClassic: true)
  for round in 1...3 {
    let stored = converting.scrape(body(round))
    #expect(stored.count == 12)
    #expect(stored[#"{__name__="h_sum", job="j", path="/a"}"#] == [Stored(Double(3 * round), at: converting.time)])
    #expect(stored[seriesA]?.count == 1 && stored[seriesB]?.count == 1)
  }
  // From now on without.
  converting.target.alwaysScrapeClassicHistograms = false
  converting.scraper.forgetLines()
  let stored = converting.scrape(body(4))
  #expect(stored[#"{__name__="h_sum", job="j", path="/a"}"#] == [Stored(.staleMarker, at: 4000)])
  #expect(converting.scrape(body(5)).count == 4)
  converting.target.convertsClassicHistograms = false
  converting.scraper.forgetLines()
  #expect(converting.scrape(body(6))[seriesA]?.map(\.description) == ["stale@6000"])
  #expect(converting.scrape(body(7)).count == 10)
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}

@Test(arguments: [
  // No histogram, or not the family that was announced.
  ("h_bucket{le=\"1\"} 1\n", ["h_bucket"]),
  ("# TYPE h untyped\nh_bucket{le=\"1\"} 1\n", ["h_bucket"]),
  ("# TYPE h histogram\ni_bucket{le=\"1\"} 1\n", ["i_bucket"]),
  // Series that are no parts.
  ("# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"x\"} 1\nh_created 1\nh 1\n", ["h", "h_bucket", "h_created"]),
  // Not all the parts, or nothing that can be stored: the parts are not stored, either.
  ("# TYPE h histogram\nh_sum 1\nx 1\n", ["x"]),
  ("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nx 1\n", ["x"]),
  ("# TYPE h histogram\nh_count 1\nx 1\n", ["h", "x"]),
  // Another series in between ends it, and the second half comes too late.
  ("# TYPE h histogram\nh_count 1\nh_created 1\nh_sum 1\nh_count 1\n", ["h", "h_created"]),
])
func whatIsNoHistogramStays(_ text: String, _ names: [String]) {
  var converting = Converting()
  for _ in 0..<3 {
    let stored = converting.scrape(text)
    let found = Set(stored.keys.compactMap { $0.split(separator: "\"").dropFirst().first.map(String.init) })
    #expect(found.sorted() == names)
  }
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}

@Test func exemplarsOfAllBucketsComeWithTheHistogram() {
  var converting = Converting()
  converting.format = .openMetrics
  let text = """
    # TYPE h histogram
    h_bucket{le="1.0"} 1 # {t="1"} 0.5 1.5
    h_bucket{le="+Inf"} 2 # {t="2"} 5
    h_count 2
    h_sum 1
    # EOF

    """
  converting.scrape(text)
  let first = converting.sink.takeAttachments()
  #expect(first.count == 2 && first[1] == #"{__name__="h", job="j"} exemplar {t="1"} 0.5 1500"#)
  converting.scrape(text)
  #expect(converting.sink.takeAttachments().count == 1)
}

@Test func aScrapeThatFailsLeavesNothingOfItsHistograms() {
  var converting = Converting()
  converting.scrape(body(1))
  let failed = converting.scrape(body(2) + "# TYPE n histogram\nn_count 1\nn_sum 1\nbad\n")
  #expect(failed[seriesA] == [Stored(.staleMarker, at: 2000)] && failed.count == 4)
  #expect(converting.scraper.cache.conversion.parts.count == 8)
  #expect(converting.scrape(body(3))[seriesA]?.count == 1)
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}

@Test func theBucketLimitRefusesWhatCannotBeMadeCoarser() {
  var converting = Converting()
  converting.target.histogramResolution = HistogramResolution(buckets: 2, factor: 0)
  #expect(converting.scrape(body(1))[seriesA]?.count == 1)
  converting.target.histogramResolution = HistogramResolution(buckets: 1, factor: 0)
  #expect(converting.scrape(body(2))[seriesA] == [Stored(.staleMarker, at: 2000)])
}

/// Classic histograms of the protobuf format; of those that have native buckets, too, nothing is made.
@Test func protobufIsConverted() {
  func message(_ build: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    build(&writer)
    return writer.bytes.array
  }
  func family(_ name: String, isNative: Bool) -> [UInt8] {
    let histogram = message { writer in
      writer.append(field: 1, 3 as UInt64)
      writer.append(field: 2, 4.5)
      if isNative { writer.append(field: 7, 3 as UInt64) }
      for (bound, count) in [(0.5, 1), (1, 3)] as [(Double, UInt64)] {
        let bucket = message {
          $0.append(field: 1, count)
          $0.append(field: 2, bound)
        }
        writer.append(field: 3, bucket.span.bytes)
      }
      let start = message { $0.append(field: 1, 7 as UInt64) }
      writer.append(field: 15, start.span.bytes)
    }
    let metric = message { $0.append(field: 7, histogram.span.bytes) }
    let family = message {
      $0.append(field: 1, name.utf8.span.bytes)
      $0.append(field: 3, 4 as UInt64)
      $0.append(field: 4, metric.span.bytes)
    }
    return message { $0.append(varint: UInt64(family.count)) } + family
  }
  var converting = Converting(keepsClassic: true)
  converting.target.scrapeNativeHistograms = true
  converting.format = .protobuf
  let body = family("c", isNative: false) + family("n", isNative: true)
  for _ in 0..<3 {
    let stored = converting.scrape(bytes: body)
    // Each as itself, and with its classic series: the count, the sum and three buckets.
    #expect(stored.count == 12)
    let attachments = converting.sink.takeAttachments().filter { $0.contains("histogram") }
    let name = #"{__name__="c", job="j"}"#
    #expect(attachments.first == histogram(name, [(0.5, 1), (1, 3), (.infinity, 3)], sum: 4.5))
    #expect(attachments.count == 2)
  }
  converting.target.alwaysScrapeClassicHistograms = false
  converting.scraper.forgetLines()
  converting.scrape(bytes: body)
  #expect(converting.scrape(bytes: body).count == 2)
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}

/// Histograms that come, go and move between others: what is stored is what the answer says.
@Test(arguments: 0..<10)
func conversionAgreesWithTheModel(seed: UInt64) {
  var random = SeededGenerator(seed)
  var converting = Converting(keepsClassic: seed % 2 == 1)
  if seed % 3 == 0 { converting.partSize = 50 }
  var before: Set<String> = []
  for _ in 0..<40 {
    var names = Array(0..<8).shuffled(using: &random)
    names.removeLast(Int.random(in: 0...4, using: &random))
    var text = "# TYPE g gauge\ng 1\n# TYPE h histogram\n"
    var expected: [String: String] = [:]
    for name in names {
      let counts = (0..<Int.random(in: 1...4, using: &random)).reduce(into: [Double]()) { counts, _ in
        counts.append((counts.last ?? 0) + Double(Int.random(in: 0...3, using: &random)))
      }
      let bounds = counts.indices.map { $0 + 1 == counts.count ? Double.infinity : Double($0 + 1) }
      let lines =
        zip(bounds, counts).map { "h_bucket{n=\"\(name)\",le=\"\($0 == .infinity ? "+Inf" : "\($0)")\"} \($1)\n" }
        + ["h_sum{n=\"\(name)\"} \(name)\n"]
      text += (Bool.random(using: &random) ? lines : lines.reversed()).joined()
      let series = "{__name__=\"h\", job=\"j\", n=\"\(name)\"}"
      expected[series] = histogram(series, Array(zip(bounds, counts)), sum: Double(name))
    }
    if Int.random(in: 0..<6, using: &random) == 0 { text += "bad bad\n" }
    let isBad = text.hasSuffix("bad bad\n")
    let stored = converting.scrape(text)
    let present = isBad ? [] : Set(expected.keys)
    let histograms = converting.sink.takeAttachments()
    #expect(Set(histograms).isSuperset(of: present.compactMap { expected[$0] }))
    #expect(histograms.count == present.union(before).count)
    for series in before.subtracting(present) {
      #expect(stored[series]?.map(\.description) == ["stale@\(converting.time)"])
    }
    before = present
  }
  converting.scraper.end(interval: .seconds(1))
  #expect(converting.sink.balance == 0)
}
