import Bytes
import Discovery
import Exposition
import NIOCore
import TestSupport
import Testing

@testable import Scraping

private let target = Target(
  jobName: "j", discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: "j")]), scrapeURL: "",
  interval: .seconds(1), timeout: .seconds(1), honorLabels: false, honorTimestamps: true)

extension ExpositionFormat {
  fileprivate var contentType: String {
    switch self {
    case .text: "text/plain"
    case .openMetrics: "application/openmetrics-text"
    case .protobuf: "application/vnd.google.protobuf"
    }
  }
}

/// A target whose answers come whole, or in parts.
private struct Subject {
  let sink = RecordingSink()
  var scraper: TargetScraper
  var time: Int64 = 0

  init() { scraper = TargetScraper(labels: target.labels, sink: sink, metrics: ScrapeMetrics()) }

  /// What became of a scrape, in words.
  mutating func scrape(
    _ body: [UInt8], _ format: ExpositionFormat, cuts: [Int]? = nil, then answer: ScrapeError? = nil
  ) -> String {
    time += 1000
    var response = ScrapeResponse(status: 200, contentType: format.contentType, body: ByteBuffer(bytes: body))
    if let cuts {
      scraper.take(
        .head(contentType: format.contentType, length: cuts.isEmpty ? body.count : nil), of: target, at: time)
      var start = 0
      for end in cuts.sorted() + [body.count] {
        scraper.take(.bytes(ByteBuffer(bytes: body[start..<end])), of: target, at: time)
        start = end
      }
      response.body = ByteBuffer()
    }
    let result: Result<ScrapeResponse, ScrapeError> = answer.map { .failure($0) } ?? .success(response)
    let fault = scraper.store(result, of: target, at: time) { .zero }
    let stored = sink.take().sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return ([fault?.description ?? "good", "\(sink.balance ?? -1)"] + stored + sink.takeAttachments())
      .joined(separator: "\n")
  }
}

private func page(_ format: ExpositionFormat) -> [UInt8] {
  switch format {
  case .text:
    return Array(
      """
      # HELP a \\\\ "x
      # TYPE a counter
      a{l="x\\"y\nz"} 1
      a{l="{} ,"} 2 500
      # TYPE h histogram
      h_bucket{le="1"} 3
      h_bucket{le="+Inf"} 4
      # a comment with "quotes
      {"q\nuoted","la bel"="v\\\\"} 5
      # TYPE "q2\n" gauge
      {"q2\n"} 6
      last 7
      """.utf8)
  case .openMetrics:
    return Array(
      """
      # TYPE a counter
      # HELP a x "y
      a_total{l="x\\"y"} 1 0.5 # {trace="t\\""} 1 0.5
      # TYPE u_s gauge
      # UNIT u_s s
      u_s 2
      {"q\nuoted","la bel"="v\\\\"} 5
      # EOF

      """.utf8)
  case .protobuf:
    let writer = MetricWriter()
    for number in 0..<6 {
      writer.begin(MetricFamily.counter("c\(number)_total", "H", ["l"]))
      writer.label(String(repeating: "x", count: number * 40))
      writer.end(Double(number))
      let histogram = MetricFamily("h\(number)", .histogram, "h")
      writer.orderedLine(histogram, suffix: "_bucket", labels: [(name: "le", value: "+Inf")], 3)
      writer.orderedLine(histogram, suffix: "_sum", labels: [], 1)
      writer.orderedLine(histogram, suffix: "_count", labels: [], 3)
    }
    var output = ByteWriter()
    TextExposition().render([writer], as: .protobuf, into: &output)
    return output.bytes.array
  }
}

@Test(arguments: [ExpositionFormat.text, .openMetrics, .protobuf])
func everyCutGivesTheSame(format: ExpositionFormat) {
  let body = page(format)
  for cut in 0...body.count {
    var (whole, parted) = (Subject(), Subject())
    for _ in 0..<2 {
      let expected = whole.scrape(body, format)
      #expect(parted.scrape(body, format, cuts: [cut]) == expected)
      #expect(expected.hasPrefix("good\n"))
    }
  }
}

/// Damaged expositions, cut anywhere, one after the other.
@Test(arguments: [ExpositionFormat.text, .openMetrics, .protobuf])
func partsOfAnythingGiveTheSameAsTheWhole(format: ExpositionFormat) {
  var generator = SeededGenerator(7)
  let seed = page(format)
  for _ in 0..<fuzzRounds {
    var (whole, parted) = (Subject(), Subject())
    var history: [[UInt8]] = []
    for _ in 0..<6 {
      let body = Int.random(in: 0..<3, using: &generator) == 0 ? mutated(seed, with: &generator) : seed
      history.append(body)
      let cuts = (0..<Int.random(in: 0..<9, using: &generator)).map { _ in
        Int.random(in: 0...body.count, using: &generator)
      }
      let breaksOff = Int.random(in: 0..<6, using: &generator) == 0 ? ScrapeError("broken off") : nil
      let expected = whole.scrape(breaksOff == nil ? body : [], format, then: breaksOff)
      let found = parted.scrape(body, format, cuts: cuts, then: breaksOff)
      #expect(found == expected, "\(cuts) \(history)")
      if found != expected { return }
    }
  }
}

@Test func whatIsSaidInPartsIsKnown() {
  var subject = Subject()
  func said(_ name: String) -> String? {
    subject.sink.state.withLock { $0.metadata["{__name__=\"\(name)\", job=\"j\"}"]??.help }
  }
  _ = subject.scrape(Array("# HELP a one\na 1\n# HELP b two\nb 1\n".utf8), .text, cuts: [3, 20])
  #expect(said("a") == "one" && said("b") == "two")
  #expect(subject.scraper.metadata.families.map(\.help) == ["one", "two"])
  let changed = Array("# HELP a one\na 1\n# HELP b three\nb 1\n".utf8)
  // A part cannot be read twice: what is new is known one scrape later.
  _ = subject.scrape(changed, .text, cuts: [7])
  #expect(said("b") == "two")
  _ = subject.scrape(changed, .text, cuts: [7], then: ScrapeError("broken off"))
  #expect(subject.scraper.metadata.families.map(\.help) == ["one", "two"])
  _ = subject.scrape(changed, .text, cuts: [7])
  #expect(said("b") == "three" && subject.scraper.metadata.families.map(\.help) == ["one", "three"])
  #expect(subject.sink.balance == 7)
}

@Test func sinceWhenASeriesCounts() {
  func body(_ value: Double, since seconds: UInt64) -> [UInt8] {
    var created = ByteWriter()
    var counter = ByteWriter()
    var metric = ByteWriter()
    created.append(field: 1, seconds)
    counter.append(field: 1, value)
    counter.append(field: 3, created)
    metric.append(field: 3, counter)
    var family = ByteWriter()
    var output = ByteWriter()
    family.append(field: 1, "c".utf8.span.bytes)
    family.append(field: 4, metric)
    output.append(varint: UInt64(family.count))
    output.append(family)
    return output.bytes.array
  }
  var subject = Subject()
  let told = "{__name__=\"c\", job=\"j\"} start "
  #expect(subject.scrape(body(1, since: 100), .protobuf).hasSuffix(told + "100000"))
  #expect(!subject.scrape(body(2, since: 100), .protobuf).contains(told))
  #expect(subject.scrape(body(1, since: 200), .protobuf).hasSuffix(told + "200000"))
  #expect(!subject.scrape(body(1, since: 0), .protobuf).contains(told))
}

@Test func aTargetThatGoesHalfWayThroughItsAnswer() {
  var subject = Subject()
  _ = subject.scrape(Array("a 1\nb 1\n".utf8), .text)
  subject.scraper.take(.head(contentType: "text/plain", length: nil), of: target, at: 2000)
  subject.scraper.take(.bytes(ByteBuffer(string: "a 2\nnew 2\nb")), of: target, at: 2000)
  subject.scraper.end(interval: .seconds(1))
  let stored = subject.sink.take()
  #expect(stored.count == 7 && stored.values.allSatisfy { $0 == [Stored(.staleMarker, at: 2000)] })
  #expect(subject.sink.balance == 0)
}
