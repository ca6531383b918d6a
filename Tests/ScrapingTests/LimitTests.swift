import Bytes
import Configuration
import Discovery
import Exposition
import NIOCore
import Testing

@testable import Scraping

private func makeTarget(_ change: (inout Target) -> Void = { _ in }) -> Target {
  var target = Target(
    jobName: "j", discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: "j")]), scrapeURL: "",
    interval: .seconds(1), timeout: .milliseconds(1500), honorLabels: false, honorTimestamps: true)
  change(&target)
  return target
}

/// Scrapes texts of one target; gives the fault, and the samples by their labels but for the job.
private struct Subject {
  let sink = RecordingSink()
  let metrics = ScrapeMetrics()
  var scraper: TargetScraper
  var time: Int64 = 0

  init() { scraper = TargetScraper(labels: makeTarget().labels, sink: sink, metrics: metrics) }

  mutating func scrape(_ text: String, _ target: Target) -> (fault: String, stored: [String: String]) {
    time += 1000
    let response = ScrapeResponse(status: 200, contentType: "text/plain", body: ByteBuffer(string: text))
    let fault = scraper.store(.success(response), of: target, at: time) { .zero }
    let stored = sink.take().map { key, value in
      (key.replacing("{__name__=\"", with: "").replacing("\", job=\"j\"}", with: ""), "\(value[0])")
    }
    return (fault?.description ?? "", Dictionary(uniqueKeysWithValues: stored))
  }

  func metric(_ name: String) -> String? {
    let writer = MetricWriter()
    metrics.write(to: writer)
    var output = ByteWriter()
    TextExposition().render([writer], into: &output)
    return String(utf8: output.bytes).split(separator: "\n").last { $0.hasPrefix("\(name) ") }
      .map { String($0.dropFirst(name.utf8.count + 1)) }
  }
}

@Test func sampleLimit() {
  var subject = Subject()
  let two = makeTarget { $0.limits.samples = 2 }
  #expect(subject.scrape("a 1\nb 1\na 2\n", two).fault == "")
  var (fault, stored) = subject.scrape("a 1\nb 1\nc 1\nd 1\n", two)
  #expect(fault == "sample limit exceeded")
  #expect(stored["up"] == "0.0@2000" && stored["a"] == "stale@2000" && stored["b"] == "stale@2000")
  #expect(stored["scrape_samples_scraped"] == "4.0@2000")
  #expect(stored["scrape_samples_post_metric_relabeling"] == "4.0@2000")
  #expect(stored["scrape_series_added"] == "0.0@2000")
  // What is beyond the limit is not even registered; what is wrong beyond it is told first.
  #expect(subject.sink.state.withLock { $0.labels.count } == 7)
  #expect(subject.scrape("a 1\nb 1\nc 1\nbad line\n", two).fault.hasPrefix("strconv.ParseFloat"))
  #expect(subject.metric("prometheus_target_scrapes_exceeded_sample_limit_total") == "2")
  (fault, stored) = subject.scrape("a 1\nb 1\nc 1\n", makeTarget())
  #expect(fault == "" && stored["c"] == "1.0@4000")
  // A series that was known is beyond the limit now.
  #expect(subject.scrape("a 1\nb 1\nc 1\n", two).fault == "sample limit exceeded")
}

private let labelCases: [(change: @Sendable (inout Target) -> Void, line: String, fault: String)] = [
  (
    { $0.limits.labels = 2 }, #"m{a="1"} 1"#, "label_limit exceeded (metric: m, number of labels: 3, limit: 2)"
  ),
  (
    { $0.limits.labelNameLength = 8 }, #"m{abcdefghi="1"} 1"#,
    "label_name_length_limit exceeded (metric: m, label name: abcdefghi, length: 9, limit: 8)"
  ),
  (
    { $0.limits.labelValueLength = 3 }, #"m{a="\"éx"} 1"#,
    #"label_value_length_limit exceeded (metric: m, label name: a, value: "\"éx", length: 4, limit: 3)"#
  ),
  (
    { $0.names.scheme = .legacy }, #"{"a b"} 1"#,
    #"invalid metric name or label names: {__name__="a b", job="j"}"#
  ),
  ({ $0.names.scheme = .legacy }, #"a:1:b_{x_1="y"} 1"#, ""),
  ({ $0.names.scheme = .legacy }, #"a{"1a"="y"} 1"#, "invalid metric name or label names"),
]

@Test(arguments: labelCases.indices)
func limitsOfLabels(index: Int) {
  let (change, line, fault) = labelCases[index]
  var subject = Subject()
  let found = subject.scrape("\(line)\n", makeTarget(change)).fault
  #expect(fault.isEmpty ? found.isEmpty : found.hasPrefix(fault))
  let isLabelLimit = fault.hasPrefix("label")
  #expect(
    subject.metric("prometheus_target_scrape_pool_exceeded_label_limits_total") == (isLabelLimit ? "1" : "0"))
}

@Test func seriesWithTimestampsEndWhenTheyAreTracked() {
  for isTracked in [false, true] {
    var subject = Subject()
    let tracking = makeTarget { $0.trackTimestampsStaleness = isTracked }
    _ = subject.scrape("a 1 500\nb 1 500\n", tracking)
    #expect(subject.scrape("b 1 600\n", tracking).stored["a"] == (isTracked ? "stale@2000" : nil))
    // A scrape that fails ends all; a later one has them again.
    #expect(subject.scrape("b 1 700\nbad line", tracking).stored["b"] == (isTracked ? "stale@3000" : nil))
    #expect(subject.scrape("b 1 3500\n", tracking).stored["b"] == "1.0@3500")
  }
}

@Test func extraScrapeMetrics() {
  var subject = Subject()
  let extra = makeTarget {
    $0.extraScrapeMetrics = true
    $0.limits.samples = 7
  }
  #expect(subject.scrape("a 1\n", makeTarget()).stored.count == 6)
  var stored = subject.scrape("a 1\n", extra).stored
  #expect(stored["scrape_timeout_seconds"] == "1.5@2000" && stored["scrape_sample_limit"] == "7.0@2000")
  #expect(stored["scrape_body_size_bytes"] == "4.0@2000")
  stored = subject.scrape("bad", extra).stored
  #expect(stored["scrape_body_size_bytes"] == "3.0@3000")
  let tooLarge = ScrapeError("body size limit exceeded", isBodyTooLarge: true)
  #expect(subject.scraper.store(.failure(tooLarge), of: extra, at: 3500) { .zero } == tooLarge)
  #expect(subject.sink.take()["{__name__=\"scrape_body_size_bytes\", job=\"j\"}"] == [Stored(-1, at: 3500)])
  // Not wanted any more: they end.
  stored = subject.scrape("a 1\n", makeTarget()).stored
  #expect(stored["scrape_timeout_seconds"] == "stale@4000" && stored.count == 9)
  #expect(subject.scrape("a 1\n", makeTarget()).stored.count == 6)
  #expect(subject.sink.balance == 6)
}

@Test func summaries() {
  var summary = Summary()
  let now = ContinuousClock.now
  #expect(summary.quantiles([0.5], at: now)[0].isNaN)
  for number in 0..<3000 { summary.observe(Double(number), at: now) }
  #expect(summary.count == 3000 && summary.sum == 4_498_500)
  #expect(summary.quantiles([0, 0.5, 0.99, 1], at: now) == [1976, 2488, 2989, 2999])
  #expect(summary.quantiles([0.5], at: now + .seconds(600))[0].isNaN)
  #expect(
    [15_000, 60_000, 3_600_000, 500, 1500, 90_500].map { Duration.milliseconds($0).goText }
      == ["15s", "1m0s", "1h0m0s", "500ms", "1.5s", "1m30.5s"])
}
