import Bytes
import Discovery
import Exposition
import NIOCore
import TestSupport
import Testing

@testable import Scraping

/// A scraper of one target that is handed answers at 1000, 2000, … milliseconds.
private struct Scrapes {
  let sink = RecordingSink()
  var target = Target(
    jobName: "j", discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: "j")]), scrapeURL: "http://a",
    interval: .seconds(1), timeout: .seconds(1), honorLabels: false, honorTimestamps: true)
  var scraper: TargetScraper
  var time: Int64 = 0

  init() {
    target.scrapeNativeHistograms = true
    scraper = TargetScraper(labels: target.labels, sink: sink, metrics: ScrapeMetrics())
  }

  @discardableResult
  mutating func scrape(_ bytes: [UInt8], _ format: ExpositionFormat = .openMetrics) -> ScrapeError? {
    time += 1000
    let answer = ScrapeResponse(status: 200, contentType: nil, body: ByteBuffer(bytes: bytes))
    return scraper.store(.success(answer), of: target, fallback: format, at: time) { .zero }
  }

  @discardableResult
  mutating func scrape(_ text: String, _ format: ExpositionFormat = .openMetrics) -> ScrapeError? {
    scrape(Array((format == .openMetrics ? text + "# EOF\n" : text).utf8), format)
  }

  /// What the sink was told last of the series of that name.
  func metadata(_ name: String) -> MetricMetadata? {
    sink.state.withLock { state in
      state.metadata.first { $0.key.hasPrefix("{__name__=\"\(name)\"") }.flatMap(\.value)
    }
  }
}

private let exemplarSeries = #"{__name__="c_total", job="j"} exemplar"#

@Test func exemplarsAreAppendedOnce() {
  var scrapes = Scrapes()
  let text = "c_total 1 # {t=\"1\"} 0.5\nd_total 1\n"
  scrapes.scrape(text)
  #expect(scrapes.sink.takeAttachments() == [exemplarSeries + #" {t="1"} 0.5 1000"#])
  scrapes.scrape(text)
  #expect(scrapes.sink.takeAttachments().isEmpty)
  scrapes.scrape("c_total 1 # {t=\"1\"} 0.5 1.5\n")
  #expect(scrapes.sink.takeAttachments() == [exemplarSeries + #" {t="1"} 0.5 1500"#])
  // What a failed scrape shows is not appended, and not known.
  scrapes.scrape("c_total 1 # {t=\"2\"} 0.5\nbad\n")
  #expect(scrapes.sink.takeAttachments().isEmpty)
  scrapes.scrape("c_total 1 # {t=\"2\"} 0.5\nc_total 2 # {t=\"3\"} 0.5\n")
  #expect(scrapes.sink.takeAttachments() == [exemplarSeries + #" {t="2"} 0.5 5000"#])
  let long = String(repeating: "x", count: 200)
  #expect(scrapes.scrape("c_total 1 # {t=\"\(long)\"} 0.5\n") == nil)
  #expect(scrapes.sink.takeAttachments().isEmpty)
}

@Test func metadataComesWithTheFirstScrape() {
  var scrapes = Scrapes()
  scrapes.scrape(
    """
    c_s_total 1
    # TYPE c_s counter
    # UNIT c_s s
    # HELP c_s Some \\"help\\".
    # TYPE h histogram
    h_bucket{le="1"} 1
    h_sum 1
    h_count 1
    h_created 1
    h_total 1
    # TYPE i info
    i_info{a="b"} 1
    # TYPE g_sum gauge
    g_sum 1
    nothing 1

    """)
  let counter = MetricMetadata(family: "c_s", type: .counter, help: "Some \"help\".", unit: "s")
  #expect(scrapes.metadata("c_s_total") == counter)
  for name in ["h_bucket", "h_sum", "h_count", "h_created"] {
    #expect(scrapes.metadata(name) == MetricMetadata(family: "h", type: .histogram))
  }
  #expect(scrapes.metadata("i_info")?.type == .info && scrapes.metadata("g_sum")?.type == .gauge)
  #expect(scrapes.metadata("h_total") == nil && scrapes.metadata("nothing") == nil && scrapes.metadata("up") == nil)
  #expect(
    scrapes.scraper.metadata.families.map { "\($0.family) \($0.type) \($0.help) \($0.unit)" } == [
      "c_s counter Some \"help\". s", "h histogram  ", "i info  ", "g_sum gauge  ",
    ])
}

@Test func metadataFollowsChanges() {
  var scrapes = Scrapes()
  func text(_ help: String, _ value: Int) -> String {
    "# HELP m \(help)\n# TYPE m gauge\nm \(value)\n# TYPE n gauge\nn 1\n"
  }
  scrapes.scrape(text("old", 1), .text)
  let parses = scrapes.scraper.cache.parses
  scrapes.scrape(text("new \\n", 2), .text)
  #expect(scrapes.metadata("m")?.help == "new \n")
  #expect(scrapes.scraper.cache.parses == parses)
  // A family without samples, a series of it, and another type.
  scrapes.scrape(text("new \\n", 3) + "# TYPE o counter\n", .text)
  scrapes.scrape(text("new \\n", 4) + "# TYPE o counter\no 1\n", .text)
  #expect(scrapes.metadata("o")?.type == .counter)
  scrapes.scrape("o 1\n# TYPE o gauge\nm 5\n", .text)
  #expect(scrapes.metadata("o")?.type == .gauge)
  // A scrape that fails says nothing.
  #expect(scrapes.scrape("# TYPE o counter\no 1\nbad\n", .text) != nil)
  #expect(scrapes.scraper.metadata.families.map(\.type) == ["gauge"])
  #expect(scrapes.sink.balance == 7)
  scrapes.scraper.end(interval: .seconds(1))
  #expect(scrapes.sink.balance == 0)
}

/// The field `field` of type double or message.
private func message(_ build: (inout ByteWriter) -> Void) -> [UInt8] {
  var writer = ByteWriter()
  build(&writer)
  return writer.bytes.array
}

/// A family with one native histogram of `count` observations, all zero, with an exemplar of that second.
private func nativeHistogram(count: UInt64) -> [UInt8] {
  let exemplar = message {
    $0.append(field: 2, 1.0)
    $0.append(field: 3, message { $0.append(field: 1, count) }.span.bytes)
  }
  let histogram = message {
    $0.append(field: 1, count)
    $0.append(field: 7, count)
    // The field 16 has a tag of two bytes.
    $0.append(varint: 16 << 3 | 2)
    $0.append(varint: UInt64(exemplar.count))
    $0.append(exemplar)
  }
  let metric = message { $0.append(field: 7, histogram.span.bytes) }
  let family = message {
    $0.append(field: 1, "n".utf8.span.bytes)
    $0.append(field: 3, 4 as UInt64)
    $0.append(field: 4, metric.span.bytes)
  }
  return message { $0.append(varint: UInt64(family.count)) } + family
}

@Test func nativeHistogramsAreAttachedAndEnd() {
  var scrapes = Scrapes()
  let series = #"{__name__="n", job="j"}"#
  func histogram(_ count: UInt64, sum: Double) -> String {
    let bytes = message {
      $0.append(field: 1, count)
      $0.append(field: 3, sum)
      $0.append(field: 6, count)
    }
    return "\(series) histogram \(bytes)"
  }
  for count in 1...2 as ClosedRange<UInt64> {
    #expect(scrapes.scrape(nativeHistogram(count: count), .protobuf) == nil)
    #expect(scrapes.sink.take()[series] == [Stored(0, at: Int64(count) * 1000)])
    #expect(
      scrapes.sink.takeAttachments() == [histogram(count, sum: 0), "\(series) exemplar {} 1.0 \(count * 1000)"])
  }
  scrapes.scrape("", .text)
  #expect(scrapes.sink.take()[series] == [Stored(.staleMarker, at: 3000)])
  #expect(scrapes.sink.takeAttachments() == [histogram(0, sum: .staleMarker)])
  scrapes.scrape(nativeHistogram(count: 3), .protobuf)
  scrapes.scrape("n 1\n", .text)
  scrapes.scrape("bad", .text)
  #expect(scrapes.sink.takeAttachments() == [histogram(3, sum: 0), "\(series) exemplar {} 1.0 3000"])
  scrapes.scrape(nativeHistogram(count: 4), .protobuf)
  scrapes.scraper.end(interval: .seconds(1))
  #expect(scrapes.sink.takeAttachments().last == histogram(0, sum: .staleMarker))
  #expect(scrapes.sink.balance == 0)
}

/// Collecting in process stores what scraping the rendered text stores, and what is written again is known again.
@Test func writersAreReadAsTheirText() {
  let writers = [MetricWriter(), MetricWriter()]
  let family = MetricFamily.counter("node_a_total", "Help with \"quotes\".", ["device", "mode"])
  var (direct, rendered) = (Scrapes(), Scrapes())
  for round in 1...3 {
    for (index, writer) in writers.enumerated() {
      writer.removeAll()
      for device in 0..<(round == 2 ? 3 : 5) {
        writer.begin(family)
        writer.label(index * 10 + device)
        writer.label("a\\b\"c\n\(round == 3 ? "é" : "")")
        writer.end(Double(device) * 1.1)
      }
      writer.sample(.gauge("node_\(index)", "h"), .nan)
      let histogram = MetricFamily("h\(index)", .histogram, "hist")
      writer.orderedLine(histogram, suffix: "_bucket", labels: [(name: "le", value: "1")], 3)
      writer.orderedLine(histogram, suffix: "_sum", labels: [], 3)
    }
    var page = ByteWriter()
    TextExposition().render(writers, into: &page)
    rendered.scrape(page.bytes.array, .text)
    direct.time += 1000
    #expect(direct.scraper.store(writers: writers, of: direct.target, at: direct.time) { .zero } == nil)
    #expect(direct.sink.take() == rendered.sink.take())
    #expect(direct.metadata("h1_sum") == MetricMetadata(family: "h1", type: .histogram, help: "hist"))
    #expect(direct.metadata("node_a_total") == rendered.metadata("node_a_total"))
    #expect(direct.scraper.cache.parses == rendered.scraper.cache.parses)
    #expect(direct.sink.balance == rendered.sink.balance)
  }
  direct.time += 1000
  #expect(direct.scraper.store(writers: [], of: direct.target, at: direct.time) { .zero } == nil)
  #expect(direct.sink.balance == 5)
}

/// Any order of answers in any format, with any help texts: what is stored is what the last answer says, and the sink
/// knows what is said of each series.
@Test(arguments: 0..<30)
func agreesWithTheModelInAllFormats(seed: UInt64) {
  var random = SeededGenerator(seed)
  var scrapes = Scrapes()
  let types: [MetricType] = [.gauge, .counter]
  var families = (0..<6).map { index in
    (name: "m\(index)_total", type: types[index % 2], help: "", values: Array(0..<index))
  }
  for round in 1...60 {
    for _ in 0..<Int.random(in: 0..<4, using: &random) {
      let place = Int.random(in: families.indices, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: families[place].help = "help \(Int.random(in: 0..<3, using: &random))\n"
      case 1: families[place].type = types.randomElement(using: &random)!
      case 2: families[place].values = (0..<5).filter { _ in Bool.random(using: &random) }.shuffled(using: &random)
      default: families.swapAt(place, Int.random(in: families.indices, using: &random))
      }
    }
    let writer = MetricWriter()
    for family in families {
      let declared = MetricFamily(family.name, family.type, family.help, labels: ["x"])
      for value in family.values {
        writer.begin(declared)
        writer.label(value)
        writer.end(Double(value * round))
      }
    }
    let format = ExpositionFormat.allCases.randomElement(using: &random)
    if let format {
      var page = ByteWriter()
      TextExposition().render([writer], as: format, into: &page)
      #expect(scrapes.scrape(page.bytes.array, format) == nil)
    }
    let stored = scrapes.sink.take().filter { $0.key.contains("x=") }
    let live = stored.filter { !Double(bitPattern: $0.value[0].bits).isStaleMarker }
    #expect(live.count == families.reduce(0) { $0 + $1.values.count })
    for family in families {
      for value in family.values {
        let series = "{__name__=\"\(family.name)\", job=\"j\", x=\"\(value)\"}"
        #expect(live[series] == [Stored(Double(value * round), at: scrapes.time)])
        let about = scrapes.sink.state.withLock { $0.metadata[series] }
        #expect(about??.help == family.help && about??.type == family.type)
      }
    }
    #expect(scrapes.sink.balance == live.count + 5)
  }
}
