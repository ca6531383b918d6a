import Configuration
import Synchronization
import Testing

@testable import Discovery

private final class Script: Sendable {
  private let answers: Mutex<[Result<[TargetGroup], TargetListFault>]>

  init(_ answers: [Result<[TargetGroup], TargetListFault>]) { self.answers = Mutex(answers) }

  func next() throws -> [TargetGroup] {
    let answer = answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
    return try answer.get()
  }
}

private struct Scripted: RefreshingDiscovery {
  static let mechanism: StaticString = "test"
  let refreshInterval = Duration.milliseconds(1)
  let environment: DiscoveryEnvironment
  let script: Script

  func refresh() async throws -> [TargetGroup] { try script.next() }
}

private func group(_ source: String, _ address: String...) -> TargetGroup {
  TargetGroup(source: source, targets: address.map { [ConfiguredLabel(name: "__address__", value: $0)] }, labels: [])
}

@Test func publishesWhatHasChanged() async {
  let environment = makeEnvironment().with(jobName: "j")
  let found = Published(
    Scripted(
      environment: environment,
      script: Script([
        .failure(TargetListFault(reason: "not yet")), .success([]), .success([group("a", "a:1"), group("b", "b:1")]),
        .success([group("a", "a:1"), group("b", "b:1")]), .failure(TargetListFault(reason: "gone")),
        .success([group("a", "a:1"), group("b", "b:2")]), .success([group("b", "b:2")]),
      ])))
  // The first time all groups, be it none; then those that are others; those that are gone have no targets.
  #expect(await found.next() == [])
  #expect(await found.next() == ["a: a:1", "b: b:1"])
  #expect(await found.next() == ["b: b:2"])
  #expect(await found.next() == ["a: "])
  let lines = shown(environment.metrics)
  #expect(lines.contains(#"prometheus_sd_refresh_failures_total{config="j",mechanism="test"} 2"#))
  #expect(
    lines.contains {
      $0.hasPrefix(#"prometheus_sd_refresh_duration_seconds{config="j",mechanism="test",quantile="0.5"} "#)
    })
  environment.metrics.forget(jobName: "j", mechanism: "other")
  #expect(!shown(environment.metrics).isEmpty)
  environment.metrics.forget(jobName: "j", mechanism: "test")
  #expect(shown(environment.metrics).isEmpty)
}

@Test func summariesShowQuantiles() {
  let metrics = DiscoveryMetrics()
  let environment = makeEnvironment().with(jobName: "j")
  let refresh = RefreshMetrics("m", environment)
  for milliseconds in 1...2000 { refresh.observe(.milliseconds(milliseconds)) }
  let lines = shown(environment.metrics).filter { $0.hasPrefix("prometheus_sd_refresh_duration") }
  // Of the last 1024.
  #expect(lines.map { $0.split(separator: " ").last } == ["1.489", "1.898", "1.99", "2001", "2000"])
  #expect(shown(metrics).isEmpty)
}

/// What is as it was is not made again, wherever in its group it stands.
@Test func targetsAreKept() throws {
  let job = try #require(try jobs("{job_name: j, static_configs: [{targets: ['s:1']}]}").first)
  func revisions(_ targets: [Target]) -> [ObjectIdentifier] { targets.map { ObjectIdentifier($0.revision) } }
  var pool = JobPool(job, nil)
  pool.take(group("g", "a:1", "b:1", "c:1"), nil, Array("g".utf8))
  pool.take(group("h", "d:1"), nil, Array("h".utf8))
  let first = pool.targets().targets
  #expect(first.map(\.scrapeURL) == ["s", "a", "b", "c", "d"].map { "http://\($0):1/metrics" })
  pool.take(group("g", "b:1", "new:1", "a:1"), nil, Array("g".utf8))
  let second = pool.targets().targets
  #expect(second.map(\.scrapeURL) == ["s", "b", "new", "a", "d"].map { "http://\($0):1/metrics" })
  let (old, new) = (revisions(first), revisions(second))
  #expect(new[0] == old[0] && new[1] == old[2] && new[3] == old[1] && new[4] == old[4] && !old.contains(new[2]))
  pool.take(nil, nil, Array("g".utf8))
  #expect(revisions(pool.targets().targets) == [old[0], old[4]])
  // With other labels of the group all are others.
  var labelled = group("h", "d:1")
  labelled.labels = [ConfiguredLabel(name: "x", value: "y")]
  pool.take(labelled, nil, Array("h".utf8))
  #expect(!old.contains(revisions(pool.targets().targets)[1]))
}
