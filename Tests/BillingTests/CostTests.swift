import Bytes
import Configuration
import Discovery
import Exposition
import Logging
import NIOCore
import NIOPosix
import Relabeling
import RemoteWrite
import Scraping
import Testing

@testable import Billing

/// Labels of series by their numbers: `name_<number modulo names>{n="<number>"}`.
private struct FakeLabels: SeriesLabels {
  var names = 10
  var ended: Set<UInt32> = []
  var externalLabels: LabelSet { LabelSet() }

  func forEachLabels(of series: ArraySlice<SeriesID>, _ body: (LabelSet) -> Void) {
    for id in series {
      let number = id.rawValue
      body(
        ended.contains(number)
          ? LabelSet()
          : LabelSet(
            [("__name__", "name_\(number % UInt32(names))"), ("n", "\(number)")].map { (name: $0, value: $1) }))
    }
  }
}

private func source(_ job: String, _ instance: String, seconds: Int, _ series: Range<UInt32>) -> CostSurvey.Source {
  CostSurvey.Source(
    job: job, instance: instance, url: "http://\(instance)/", interval: .seconds(seconds),
    series: series.map(SeriesID.init(rawValue:)))
}

private func drop(_ pattern: String, of label: String = "__name__") throws -> RelabelRule {
  var definition = RelabelRule.Definition()
  definition.action = .drop
  definition.sourceLabels = [label]
  definition.regex = pattern
  return try RelabelRule(definition)
}

private func remote(_ name: String, _ rules: [RelabelRule] = []) -> CostSurvey.Remote {
  CostSurvey.Remote(
    name: name, url: "https://\(name)/", rules: RelabelRules(rules), texts: rules.map(\.definition.regex))
}

private func sum(_ table: CostReport.Table) -> CostReport.Amount {
  table.rows.reduce(into: CostReport.Amount()) { sum, row in
    sum.series += row.amount.series
    sum.samplesPerDay += row.amount.samplesPerDay
  }
}

private let sources = [
  source("web", "a", seconds: 15, 0..<100), source("web", "b", seconds: 15, 100..<150),
  source("db", "c", seconds: 60, 150..<200),
]

@Suite struct CostTests {
  @Test func figuresAddUp() async throws {
    let rules = [try drop("name_[01]"), try drop("nothing"), try drop("1.*", of: "n")]
    let report = await CostSurvey(labels: FakeLabels()).report(sources, [remote("all"), remote("some", rules)])
    #expect(report.series == 200 && report.examined == 200)
    let all = report.remotes[0]
    #expect(all.total == CostReport.Amount(series: 200, samplesPerDay: 150 * 5760 + 50 * 1440))
    #expect(all.jobs.rows.map(\.name) == ["web", "db"] && all.jobs.rows.map(\.amount.series) == [150, 50])
    #expect(all.targets.rows.map(\.name) == ["a", "b", "c"] && all.targets.rows[0].job == "web")
    #expect(all.metrics.rows.count == 10 && all.metrics.rows.allSatisfy { $0.amount.series == 20 })
    #expect(sum(all.metrics).samplesPerDay == all.total.samplesPerDay)

    let some = report.remotes[1]
    #expect(some.rules.map(\.dropped.series) == [40, 0, 88], "of what the first rules left")
    #expect(some.total.series == 200 - 128)
    let dropped = some.rules.reduce(0) { $0 + $1.dropped.samplesPerDay }
    #expect(some.total.samplesPerDay + dropped == all.total.samplesPerDay)
    let shown = Set(some.metrics.rows.map(\.name))
    #expect(shown.isDisjoint(with: ["name_0", "name_1"]) && shown.count == 8)
    #expect(sum(some.jobs) == some.total)
    #expect(report.remote(named: nil)?.name == "all" && report.remote(named: "some")?.name == "some")
    #expect(report.remote(named: "none") == nil)
  }

  /// Two series that a rule makes one are two on the bill; a name that a rule gives is the one that is shown.
  @Test func rulesThatRename() async throws {
    var definition = RelabelRule.Definition()
    definition.targetLabel = "__name__"
    definition.replacement = "one"
    let report = await CostSurvey(labels: FakeLabels()).report(sources, [remote("r", [try RelabelRule(definition)])])
    #expect(report.remotes[0].metrics.rows.map(\.name) == ["one"] && report.remotes[0].total.series == 200)
  }

  @Test func withoutRemotes() async {
    let report = await CostSurvey(labels: FakeLabels()).report(sources, [])
    #expect(report.remotes.count == 1 && report.remote(named: nil)?.total.series == 200)
    let nothing = await CostSurvey(labels: FakeLabels()).report([], [])
    #expect(nothing.remote(named: nil)?.total == CostReport.Amount())
    let rows = CostDocument(nothing).tables(top: 5).flatMap(\.rows)
    #expect(rows.isEmpty)
  }

  /// Of many series some are looked at; totals are right all the same, and parts nearly.
  @Test func manySeriesAreSampled() async throws {
    let many = [source("web", "a", seconds: 1, 0..<90_000), source("db", "c", seconds: 1, 90_000..<90_003)]
    let report = await CostSurvey(labels: FakeLabels(names: 7), mostSeries: 1000).report(
      many, [remote("all"), remote("some", [try drop("name_3")])])
    #expect(report.series == 90_003 && report.examined <= 1002)
    #expect(report.remotes[0].total.series == 90_003)
    #expect(report.remotes[0].targets.rows.map(\.amount.series) == [90_000, 3])
    let dropped = report.remotes[1].rules[0].dropped.series
    #expect((dropped - 90_000.0 / 7).magnitude < 500)
    let notes = CostDocument(report).notes.joined()
    #expect(notes.contains("of 90003 series were looked at"))
  }

  @Test func manyNamesAreBounded() async {
    let count = UInt32(CostSurvey.mostNames + 10)
    let labels = FakeLabels(names: Int(count), ended: [5])
    let report = await CostSurvey(labels: labels).report([source("j", "i", seconds: 1, 0..<count)], [remote("r")])
    let metrics = report.remotes[0].metrics
    #expect(metrics.count == CostSurvey.mostNames + 1)
    let others = metrics.rows.first { $0.name == CostSurvey.otherNames }
    #expect(others?.amount.series == 9)
  }

  /// What an agent serves is what the command shows.
  @Test func jsonAndBack() async throws {
    var report = await CostSurvey(labels: FakeLabels()).report(
      sources, [remote("all"), remote("some", [try drop("name_[01]")])])
    report.cluster = "c"
    report.refusals = [
      CostReport.Refusal(
        job: "web", series: 5, samplesPerDay: 7.5, maxSeries: 5, maxSamplesPerDay: nil, refusing: 1, refused: 2,
        metrics: [.init(name: "m\"<", refused: 2)])
    ]
    for name in ["all", "some"] {
      let document = CostDocument(report, accountSamples: 0, remoteName: name)
      let read = try CostDocument(JSONValue(parsing: Array(document.json(top: 1000).text.utf8).span.bytes))
      #expect(read.json(top: 1000).text == document.json(top: 1000).text)
      #expect(read.tables(top: 3).map(\.text) == document.tables(top: 3).map(\.text))
      #expect(read.notes == document.notes)
    }
    // A part of the rows: how many there are is still known.
    let few = CostDocument(report).json(top: 2).text
    let read = try CostDocument(JSONValue(parsing: Array(few.utf8).span.bytes))
    #expect(read.remote?.metrics.rows.count == 2 && read.remote?.metrics.count == 10)
    #expect(read.tables(top: 2).map(\.text).joined().contains("… and 8 more"))
  }

  @Test(arguments: [
    "null", "5", "[]", "{}", #"{"remotes":5,"remote":"a"}"#, #"{"remotes":[],"remote":5}"#,
    #"{"remotes":[null,5,{}],"remote":"a","jobs":[null],"guard":[5],"counts":[],"seriesScraped":1e300}"#,
    #"{"remotes":[{"name":"a","rules":[{"index":1e300,"series":"x"},5]}],"remote":"a","jobs":[1,{"job":5}],"counts":{"jobs":-1e18}}"#,
  ])
  func strangeAnswers(_ text: String) throws {
    guard let document = try? CostDocument(JSONValue(parsing: Array(text.utf8).span.bytes)) else { return }
    _ = document.tables(top: 10).map(\.text)
    _ = document.json(top: 10).text
  }

  @Test func tablesAreInLine() {
    let table = CostTable(
      title: "T", columns: ["Metric", "Series", "USD/month"],
      rows: [["up", "1,000", "0.50"], ["a\u{1b}[31m\n\u{202e}é", "7", "12.00"]], left: 3)
    let lines = table.text.split(separator: "\n").map(String.init)
    #expect(
      lines == [
        "T", "Metric     Series  USD/month", "up          1,000       0.50", "a�[31m��é       7      12.00",
        "… and 3 more: --top=N shows them",
      ])
  }

  @Test func moneyIsSharedOut() async throws {
    let report = await CostSurvey(labels: FakeLabels()).report(sources, [remote("r", [try drop("name_[01]")])])
    let document = CostDocument(report, accountSamples: 40e6)
    let remote = try #require(document.remote)
    let whole = document.cost(remote)
    #expect((whole - remote.total.samplesPerMonth / 10e6 * 0.9).magnitude < 1e-9)
    for table in [remote.jobs, remote.targets, remote.metrics] {
      let parts = table.rows.map { document.cost($0.amount, of: remote) }.reduce(0, +)
      #expect((parts - whole).magnitude < 1e-9)
    }
    let saving = document.saving(remote.rules[0], of: remote)
    #expect((saving - remote.rules[0].dropped.samplesPerMonth / 10e6 * 0.9).magnitude < 1e-9)
  }

  @Test func oneReportForAllWhoAsk() async {
    let account = CostAccount { CostReport(remotes: [], series: Int.random(in: 0..<(.max)), examined: 0) }
    async let one = account.report()
    async let other = account.report()
    let (first, second) = await (one, other)
    #expect(first == second)
  }

  /// An agent in process: figures of what it scrapes and sends.
  @Test(.timeLimit(.minutes(2))) func anAgentsFigures() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let storage = try RemoteStorage(log: nil, group: group, logger: silent)
    var ceilings = GuardConfiguration()
    ceilings.anyMetric.series = 3
    let warden = SeriesGuard(ceilings)
    let body = "a 1\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n" + (0..<5).map { "flood{n=\"\($0)\"} 1\n" }.joined() + "dropped 1\n"
    let manager = ScrapeManager(
      sink: storage, fetcher: FixedFetcher(body: body), group: group, userAgent: "", hostname: "h", warden: warden)
    var job = Target(
      jobName: "j", discoveredLabels: LabelSet(), labels: LabelSet([(name: "job", value: "j")]), scrapeURL: "http://a/",
      interval: .milliseconds(200), timeout: .milliseconds(200), honorLabels: false, honorTimestamps: true)
    job.metricRelabelRules = RelabelRules([try drop("dropped")])
    manager.apply([JobTargets(jobName: "j", active: [job])])
    while manager.snapshot().first?.health != .up { try await Task.sleep(for: .milliseconds(5)) }
    let active = await manager.activeSeries()
    #expect(active.map(\.series.count) == [1 + 2 + 3 + 5], "without what was dropped or refused, with up and its like")
    let found = active.map {
      CostSurvey.Source(job: $0.target.jobName, instance: "i", url: "", interval: $0.target.interval, series: $0.series)
    }
    let report = await CostSurvey(labels: storage).report(found, [remote("r", [try drop("b")])])
    let sent = try #require(report.remotes.first)
    #expect(sent.total == CostReport.Amount(series: 9, samplesPerDay: 9 * 86_400 * 5))
    #expect(sent.rules[0].dropped.series == 2)
    #expect(sent.metrics.rows.first?.name == "flood" && sent.metrics.rows.first?.amount.series == 3)
    let standing = try #require(warden.standings().first)
    #expect(standing.series == 6 && standing.refusing == 2 && standing.refused == 2)
    await manager.stop(within: .seconds(5))
    await storage.stop(within: .zero)
    try await group.shutdownGracefully()
  }
}

extension RemoteStorage: SeriesLabels {}

/// Answers the same to all.
private struct FixedFetcher: ScrapeFetcher {
  let body: String

  func prepare(_ request: ScrapeRequest) throws(ScrapeError) -> ScrapeFetch {
    let response = ScrapeResponse(status: 200, contentType: "text/plain", body: ByteBuffer(string: body))
    return { eventLoop, _, completion in
      eventLoop.assumeIsolated().execute { completion(.success(.response(response))) }
      return {}
    }
  }
}
