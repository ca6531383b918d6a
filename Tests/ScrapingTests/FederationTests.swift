import Bytes
import Discovery
import Exposition
import NIOCore
import Selectors
import Synchronization
import Testing

@testable import Scraping

private func scraper(_ sink: RecordingSink) -> (Target, TargetScraper) {
  let labels = LabelSet([(name: "job", value: "j")])
  let target = Target(
    jobName: "j", discoveredLabels: LabelSet(), labels: labels, scrapeURL: "http://a", interval: .seconds(1),
    timeout: .seconds(1), honorLabels: false, honorTimestamps: true)
  return (
    target, TargetScraper(labels: labels, sink: sink, metrics: ScrapeMetrics(), keepsValues: true)
  )
}

private func part(_ text: String) -> ScrapePart { .bytes(ByteBuffer(string: text)) }

/// The values of samples, but for those about the scrape.
private func values(_ samples: [Sample], _ sink: RecordingSink) -> [Double] {
  let labels = sink.state.withLock { $0.labels }
  return samples.filter { !"\(labels[Int($0.series.rawValue)])".contains("\"scrape_") }.map(\.value)
}

/// Of an answer that comes in parts, nothing is shown before it is whole.
@Test func federationShowsWholeScrapesOnly() {
  let sink = RecordingSink()
  var (target, scraper) = scraper(sink)
  let empty = Result<ScrapeResponse, ScrapeError>.success(
    ScrapeResponse(status: 200, contentType: nil, body: ByteBuffer()))
  for round in 1...3 {
    let time = Int64(round * 1000)
    let before = values(scraper.hold(since: 0), sink)
    scraper.letGo()
    scraper.take(.head(contentType: "text/plain", length: nil), of: target, at: time)
    scraper.take(part("a \(round)\nb"), of: target, at: time)
    #expect(values(scraper.hold(since: 0), sink) == before)
    scraper.letGo()
    scraper.take(part(" \(round)\n"), of: target, at: time)
    #expect(scraper.store(empty, of: target, at: time) { .zero } == nil)
    #expect(values(scraper.hold(since: 0), sink).sorted() == [1, Double(round), Double(round)].sorted())
    #expect(scraper.hold(since: time + 1).isEmpty)
    scraper.letGo()
    scraper.letGo()
  }
}

/// While labels are read elsewhere, no series is released.
@Test func federationHoldsSeries() {
  let sink = RecordingSink()
  let (target, made) = scraper(sink)
  var scraper = made
  func scrape(_ text: String, at time: Int64) {
    let response = ScrapeResponse(status: 200, contentType: "text/plain", body: ByteBuffer(string: text))
    #expect(scraper.store(.success(response), of: target, at: time) { .zero } == nil)
  }
  scrape("a 1\nb 1\n", at: 1000)
  #expect(sink.balance == 7)
  #expect(!scraper.hold(since: 0).isEmpty)
  scrape("a 1\n", at: 2000)
  #expect(sink.balance == 7)
  scraper.letGo()
  #expect(sink.balance == 6)
}

@Test func federationsAreMadeOneAfterTheOther() {
  let queue = FederationQueue()
  let running = Mutex<[@Sendable () -> Void]>([])
  func finish() { running.withLock { $0.removeFirst() }() }
  let taken = (0..<20).map { _ in queue.add { next in running.withLock { $0.append(next) } } }
  #expect(taken == [Bool](repeating: true, count: 17) + [Bool](repeating: false, count: 3))
  for _ in 0..<17 {
    #expect(running.withLock { $0.count } == 1)
    finish()
  }
  #expect(running.withLock { $0.isEmpty })
  #expect(queue.add { $0() } && queue.add { $0() })
}

@Test func intervalsAreForgotten() {
  let metrics = ScrapeMetrics()
  for seconds in 1...100 { metrics.observe(interval: .seconds(seconds), length: .seconds(seconds)) }
  let writer = MetricWriter()
  metrics.write(to: writer)
  var page = ByteWriter()
  TextExposition().render([writer], into: &page)
  let counts = String(utf8: page.bytes).split(separator: "\n").filter {
    $0.hasPrefix("prometheus_target_interval_length_seconds_count")
  }
  #expect(counts.count == 64 && counts.contains { $0.contains("\"1m40s\"") })
}
