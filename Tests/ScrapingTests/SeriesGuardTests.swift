import Bytes
import Configuration
import Discovery
import Exposition
import NIOCore
import Synchronization
import Testing

@testable import Scraping

/// A target behind a guard, scraped at 1000, 2000, … milliseconds.
private struct Guarded {
  let sink = RecordingSink()
  let warden: SeriesGuard
  let reports: Reports
  var target: Target
  var scraper: TargetScraper
  var time: Int64 = 0

  final class Reports: Sendable {
    let list = Mutex<[SeriesGuard.Refusals]>([])
  }

  init(_ ceilings: (inout GuardConfiguration) -> Void, interval: Duration = .seconds(1)) {
    var configuration = GuardConfiguration()
    ceilings(&configuration)
    let reports = Reports()
    let warden = SeriesGuard(configuration) { refusals in reports.list.withLock { $0.append(refusals) } }
    self.init(warden, reports, "j", interval)
  }

  /// Another target behind the same guard.
  init(_ warden: SeriesGuard, _ reports: Reports, _ job: String, _ interval: Duration = .seconds(1)) {
    self.warden = warden
    self.reports = reports
    target = Target(
      jobName: job, discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: job)]), scrapeURL: "",
      interval: interval, timeout: interval, honorLabels: false, honorTimestamps: true)
    scraper = TargetScraper(
      labels: target.labels, sink: sink, metrics: ScrapeMetrics(), quota: SeriesQuota(warden, target))
  }

  /// Gives what was stored of the series that are not about the scrape: with the marker of those that end.
  mutating func scrape(_ text: String?) -> Set<String> {
    time += 1000
    let response = ScrapeResponse(
      status: text == nil ? 500 : 200, contentType: "text/plain", body: .init(string: text ?? ""))
    _ = scraper.store(.success(response), of: target, at: time) { .zero }
    return take()
  }

  /// All lines with the value 1.
  mutating func scrape(_ series: [String]) -> Set<String> { scrape(series.map { "\($0) 1\n" }.joined()) }

  func take() -> Set<String> {
    var names: Set<String> = []
    for (labels, stored) in sink.take() {
      guard !labels.contains("\"up\""), !labels.contains("\"scrape_") else { continue }
      let isStale = stored.contains { Double(bitPattern: $0.bits).isStaleMarker }
      names.insert(
        labels.replacing("{__name__=\"", with: "").replacing("\", job=\"\(target.jobName)\"}", with: "")
          .replacing(", job=\"\(target.jobName)\"}", with: "}") + (isStale ? " ends" : ""))
    }
    return names
  }

  var standing: (series: Int, refusing: Int, refused: UInt64) {
    let standing = warden.standings().first { $0.job == target.jobName }
    return (standing?.series ?? 0, standing?.refusing ?? 0, standing?.refused ?? 0)
  }
}

/// `n_0` to `n_9` and the like.
private func names(_ range: Range<Int>, of prefix: String = "n") -> [String] { range.map { "\(prefix)_\($0)" } }

private let ceilingCases: [(SeriesCeiling, SeriesCeiling, Int, [String])] = [
  // The ceilings; the interval; which of a_0, a_1, a_2, b_0, b_1 of names a and b are taken.
  (SeriesCeiling(series: 3), SeriesCeiling(), 1, ["a_0", "a_1", "a_2"]),
  (SeriesCeiling(), SeriesCeiling(series: 2), 1, ["a_0", "a_1", "b_0", "b_1"]),
  (SeriesCeiling(series: 3), SeriesCeiling(series: 2), 1, ["a_0", "a_1", "b_0"]),
  (SeriesCeiling(samplesPerDay: 86_400 * 2), SeriesCeiling(), 1, ["a_0", "a_1"]),
  (SeriesCeiling(samplesPerDay: 86_400 * 2), SeriesCeiling(), 2, ["a_0", "a_1", "a_2", "b_0"]),
  (SeriesCeiling(samplesPerDay: 86_399), SeriesCeiling(), 1, []),
  (SeriesCeiling(), SeriesCeiling(samplesPerDay: 86_400), 1, ["a_0", "b_0"]),
  (SeriesCeiling(), SeriesCeiling(), 1, ["a_0", "a_1", "a_2", "b_0", "b_1"]),
]

@Suite struct SeriesGuardTests {
  @Test func theOldOnesGoOn() {
    var guarded = Guarded { $0.anyJob.series = 5 }
    #expect(guarded.scrape(names(0..<4)).count == 4)
    // Up to the ceiling; the flood comes before, between and behind what is known.
    #expect(guarded.scrape(names(100..<103) + names(0..<4)) == Set(names(0..<4) + ["n_100"]))
    #expect(guarded.standing == (5, 2, 2))
    for _ in 0..<3 {
      #expect(guarded.scrape(names(100..<103) + names(0..<4)) == Set(names(0..<4) + ["n_100"]))
    }
    #expect(guarded.standing == (5, 2, 2), "a series is refused once")
    #expect(guarded.scraper.cache.parses == 7, "and parsed once")
    // Of those that were refused there is no marker.
    #expect(guarded.scrape(names(0..<4)) == Set(names(0..<4) + ["n_100 ends"]))
    #expect(guarded.standing == (4, 0, 2))
    guarded.scraper.end(interval: .seconds(1))
    #expect(guarded.take() == Set(names(0..<4).map { $0 + " ends" }))
    #expect(guarded.standing == (0, 0, 2) && guarded.sink.balance == 0)
  }

  @Test func theScrapeStaysUp() {
    var guarded = Guarded { $0.anyJob.series = 1 }
    guarded.time = 1000
    let response = ScrapeResponse(status: 200, contentType: "text/plain", body: .init(string: "a 1\nb 1\nc 1\nb 1\n"))
    #expect(guarded.scraper.store(.success(response), of: guarded.target, at: 1000) { .zero } == nil)
    let stored = guarded.sink.take()
    func value(_ name: String) -> [Stored]? { stored["{__name__=\"\(name)\", job=\"j\"}"] }
    #expect(value("up") == [Stored(1, at: 1000)])
    #expect(value("scrape_samples_scraped") == [Stored(4, at: 1000)])
    #expect(value("scrape_samples_post_metric_relabeling") == [Stored(4, at: 1000)])
    #expect(value("scrape_series_added") == [Stored(1, at: 1000)])
  }

  /// What the guard keeps out counts for sample_limit.
  @Test func sampleLimitHoldsToo() {
    var guarded = Guarded { $0.anyJob.series = 1 }
    guarded.target.limits.samples = 3
    #expect(guarded.scrape(names(0..<3)) == ["n_0"])
    #expect(guarded.scrape(names(0..<4)) == ["n_0 ends"])
    #expect(guarded.scrape(names(0..<3)) == ["n_0"])
  }

  @Test(arguments: ceilingCases)
  func ceilings(_ job: SeriesCeiling, _ metric: SeriesCeiling, _ seconds: Int, _ taken: [String]) {
    var guarded = Guarded(
      {
        $0.anyJob = job
        $0.anyMetric = metric
      }, interval: .seconds(seconds))
    let lines = ["a_0", "a_1", "a_2", "b_0", "b_1"].map { "\($0.prefix(1)){n=\"\($0.suffix(1))\"}" }
    let expected = Set(taken.map { "\($0.prefix(1))\", job=\"j\", n=\"\($0.suffix(1))\"}" })
    for _ in 0..<3 { #expect(guarded.scrape(lines) == expected) }
    #expect(guarded.standing.refused == UInt64(5 - taken.count))
  }

  @Test func oneThatEndsMakesRoom() {
    var guarded = Guarded { $0.anyJob.series = 2 }
    #expect(guarded.scrape(["a", "b", "c"]) == ["a", "b"])
    // The room is there when b has ended: c comes with the next scrape.
    #expect(guarded.scrape(["a", "c", "d"]) == ["a", "b ends"])
    #expect(guarded.scrape(["a", "c", "d"]) == ["a", "c"])
    #expect(guarded.standing == (2, 1, 2))
    // What is refused is tried again once a minute at most, and a new one at once.
    #expect(guarded.scrape(["a", "d"]) == ["a", "c ends"])
    #expect(guarded.scrape(["a", "d"]) == ["a"])
    #expect(guarded.scrape(["a", "d", "e"]) == ["a", "e"])
    #expect(guarded.scrape(["a", "d"]) == ["a", "e ends"])
    guarded.time += 60_000
    #expect(guarded.scrape(["a", "d"]) == ["a"])
    #expect(guarded.scrape(["a", "d"]) == ["a", "d"])
    #expect(guarded.standing == (2, 0, 2))
  }

  /// Pods that are replaced: all old ones go when all new ones come.
  @Test func replacementsAreOneScrapeLate() {
    var guarded = Guarded { $0.anyJob.series = 10 }
    #expect(guarded.scrape(names(0..<10)).count == 10)
    #expect(guarded.scrape(names(10..<20)) == Set(names(0..<10).map { $0 + " ends" }))
    #expect(guarded.scrape(names(10..<20)) == Set(names(10..<20)))
    #expect(guarded.standing == (10, 0, 10))
  }

  @Test func failuresChangeNothing() {
    var guarded = Guarded { $0.anyJob.series = 2 }
    #expect(guarded.scrape("a 1\nbad line\n").isEmpty)
    #expect(guarded.standing.series == 0, "the series of a failed scrape are none")
    #expect(guarded.scrape(["a", "b", "c"]) == ["a", "b"])
    #expect(guarded.scrape(nil as String?) == ["a ends", "b ends"])
    #expect(guarded.scrape(["c", "a", "b"]) == ["a", "b"])
    #expect(guarded.scrape("d 1\nbad line\n") == ["a ends", "b ends"])
    #expect(guarded.scrape(["a", "b", "c"]) == ["a", "b"])
    #expect(guarded.standing.series == 2)
  }

  /// Rules or external labels have changed: all is parsed anew, and what was taken is taken again.
  @Test func whatIsParsedAnewStays() {
    var guarded = Guarded { $0.anyJob.series = 3 }
    #expect(guarded.scrape(names(0..<5)) == Set(names(0..<3)))
    guarded.scraper.forgetLines()
    #expect(guarded.scrape(names(3..<5) + names(0..<3)) == Set(names(0..<3)))
    #expect(guarded.standing.series == 3)
    // Another spelling of a known one.
    #expect(guarded.scrape(names(0..<3) + ["n_0{a=\"\"}"]) == Set(names(0..<3)))
    #expect(guarded.standing.series == 3)
  }

  @Test func aJobIsWatchedOverAllItsTargets() {
    var one = Guarded { $0.jobs["j"] = SeriesCeiling(series: 3) }
    var two = Guarded(one.warden, one.reports, "j")
    var other = Guarded(one.warden, one.reports, "k")
    #expect(one.scrape(names(0..<2)).count == 2)
    #expect(two.scrape(names(0..<2)).count == 1)
    #expect(other.scrape(names(0..<9)).count == 9)
    one.scraper.end(interval: .seconds(1))
    #expect(two.scrape(names(0..<2)).count == 1)
    #expect(two.scrape(names(0..<2)).count == 2)
  }

  @Test func otherCeilingsAndOtherIntervals() {
    var guarded = Guarded { $0.anyJob.series = 2 }
    #expect(guarded.scrape(names(0..<4)).count == 2)
    var more = GuardConfiguration()
    more.anyJob.series = 3
    guarded.warden.apply(more)
    _ = guarded.scrape(names(0..<4))
    #expect(guarded.scrape(names(0..<4)).count == 3)
    // Less than there is: what is there stays.
    more.anyJob.series = 1
    guarded.warden.apply(more)
    #expect(guarded.scrape(names(0..<4)).count == 3)
    guarded.target.interval = .seconds(10)
    guarded.target.jobName = "k"
    guarded.scraper.follow(guarded.target)
    let standings = guarded.warden.standings()
    #expect(standings.map(\.series) == [0, 3] && standings.map(\.refusing) == [0, 0])
    #expect(standings.map(\.samplesPerDay) == [0, 3 * 8640])
  }

  @Test func floodsAreNamed() {
    var guarded = Guarded { $0.anyMetric.series = 2 }
    func lines(_ name: String, _ count: Int) -> [String] { (0..<count).map { "\(name){n=\"\($0)\"}" } }
    _ = guarded.scrape(lines("few", 3) + lines("many", 9))
    _ = guarded.scrape(lines("few", 4) + lines("many", 9))
    let first = SeriesGuard.Refusals(
      job: "j", series: 8, present: 8, ceilings: ["2 series of few", "2 series of many"],
      metrics: [("many", 7), ("few", 1)])
    #expect(guarded.reports.list.withLock { $0 } == [first])
    guarded.time += 60_000
    _ = guarded.scrape(lines("few", 4) + lines("many", 9))
    let second = SeriesGuard.Refusals(
      job: "j", series: 1, present: 9, ceilings: ["2 series of few"], metrics: [("few", 1)])
    #expect(guarded.reports.list.withLock { $0 } == [first, second])
    let standing = guarded.warden.standings().first
    #expect(standing?.metrics.map(\.name) == ["many", "few"] && standing?.metrics.map(\.series) == [7, 2])
  }

  /// A hostile target: other names with each scrape, long ones too.
  @Test func manyNamesFillNoMemory() {
    var guarded = Guarded { $0.anyJob.series = 10 }
    let long = String(repeating: "x", count: 2000)
    for round in 0..<5 {
      _ = guarded.scrape(
        names(0..<10) + names(0..<100, of: "flood_\(round)") + names(0..<100, of: "flood_\(long)\(round)"))
    }
    #expect(guarded.scrape(names(0..<10)) == Set(names(0..<10)))
    #expect(guarded.standing == (10, 0, 1000))
    let standing = guarded.warden.standings().first
    let longest = standing?.metrics.map(\.name.utf8.count).max() ?? 0
    #expect(standing?.metrics.count == 20 && longest < 200)
    #expect(guarded.sink.state.withLock { $0.labels.count } == 10 + 5, "the sink has not seen them")
    #expect(guarded.scraper.cache.records.count <= 10 + 5 + 1)
  }

  @Test func metricsShowTheJobs() {
    var guarded = Guarded { $0.anyJob.series = 1 }
    _ = guarded.scrape(names(0..<3))
    let writer = MetricWriter()
    guarded.warden.write(to: writer)
    var output = ByteWriter()
    TextExposition().render([writer], into: &output)
    let lines = String(utf8: output.bytes).split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(
      lines == [
        "pilotfish_guard_refused_series{scrape_job=\"j\"} 2",
        "pilotfish_guard_refused_series_total{scrape_job=\"j\"} 2",
        "pilotfish_guard_samples_per_day{scrape_job=\"j\"} 86400", "pilotfish_guard_series{scrape_job=\"j\"} 1",
      ])
  }
}
