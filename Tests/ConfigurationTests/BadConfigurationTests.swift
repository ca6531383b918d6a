import Testing
import YAML

@testable import Configuration

/// A text with one fault.
struct BadText: Sendable, CustomTestStringConvertible {
  let yaml: String
  let place: String
  let path: String
  let reason: String

  /// - Parameters:
  ///   - place: `LINE:COLUMN`.
  ///   - reason: a part of it.
  init(_ yaml: String, _ place: String, _ path: String, _ reason: String) {
    (self.yaml, self.place, self.path, self.reason) = (yaml, place, path, reason)
  }

  var testDescription: String { yaml.debugDescription }
}

func expectOneFault(_ bad: BadText, sourceLocation: SourceLocation = #_sourceLocation) {
  let faults = problems(bad.yaml)
  #expect(faults.count == 1, "\(faults)", sourceLocation: sourceLocation)
  guard let fault = faults.first else { return }
  #expect("\(fault.line):\(fault.column)" == bad.place, sourceLocation: sourceLocation)
  #expect(fault.path == bad.path, sourceLocation: sourceLocation)
  #expect(fault.reason.contains(bad.reason), "\(fault.reason)", sourceLocation: sourceLocation)
}

@Test(arguments: [
  BadText("just text", "1:1", "", "expected a mapping, found a single value"),
  BadText("- a", "1:1", "", "expected a mapping, found a list"),
  BadText("foo: 1", "1:1", "foo", "unknown key"),
  BadText("global: text", "1:9", "global", "expected a mapping, found a single value"),
  BadText("global:\n- a", "2:1", "global", "expected a mapping, found a list"),
  BadText("scrape_configs: {}", "1:17", "scrape_configs", "expected a list, found a mapping"),
  BadText("scrape_configs: text", "1:17", "scrape_configs", "expected a list, found a single value"),
  BadText("scrape_configs:\n- ", "2:2", "scrape_configs[0]", "empty or null scrape config section"),
  BadText("scrape_configs: [null]", "1:18", "scrape_configs[0]", "empty or null scrape config section"),
  BadText("scrape_configs: [~]", "1:18", "scrape_configs[0]", "empty or null scrape config section"),
  BadText("scrape_configs: [a]", "1:18", "scrape_configs[0]", "expected a mapping, found a single value"),
  BadText("remote_write:\n- null", "2:3", "remote_write[0]", "empty or null entry"),
  BadText("remote_write: [{name: a}]", "1:16", "remote_write[0].url", "needs the URL"),
  BadText("remote_write: [{url: ''}]", "1:22", "remote_write[0].url", "needs the URL"),
  BadText("remote_write: [{url: a}]", "1:22", "remote_write[0].url", "expected a URL such as"),
  BadText("remote_write: [{url: 'ftp://a/w'}]", "1:22", "remote_write[0].url", "begins with http://"),
  BadText("remote_write: [{url: 'http://u:p@/w'}]", "1:22", "remote_write[0].url", "the URL has no host"),
  BadText("remote_write: [{url: http://a, name: []}]", "1:38", "remote_write[0].name", "expected a text, found a list"),
])
func refusesABadShape(_ bad: BadText) { expectOneFault(bad) }

@Test(arguments: [
  BadText("global:\n  scrape_intervall: 5s", "2:3", "global.scrape_intervall", "did you mean scrape_interval?"),
  BadText("scrape_config: []", "1:1", "scrape_config", "did you mean scrape_configs?"),
  BadText("remote_writes: []", "1:1", "remote_writes", "did you mean remote_write?"),
  BadText(job("scrape_timout: 5s"), "3:3", "scrape_configs[0].scrape_timout", "did you mean scrape_timeout?"),
  BadText(job("relabel_config: []"), "3:3", "scrape_configs[0].relabel_config", "did you mean relabel_configs?"),
  BadText(
    job("static_configs: [{target: [a]}]"), "3:21", "scrape_configs[0].static_configs[0].target",
    "did you mean targets?"),
  BadText(remoteWrite("queue_config: {max_shard: 1}"), "3:18", "remote_write[0].queue_config.max_shard", "max_shards?"),
  BadText(remoteWrite("urll: a"), "3:3", "remote_write[0].urll", "did you mean url?"),
])
func namesTheNearestKey(_ bad: BadText) { expectOneFault(bad) }

@Test func farKeysGetNoHint() {
  #expect(problems("entirely_different: 1").map(\.reason) == ["unknown key"])
  #expect(problems(String(repeating: "k", count: 500) + ": 1").map(\.reason) == ["unknown key"])
}

@Test(arguments: [
  BadText("tracing: {endpoint: a}", "1:1", "tracing", "not served"),
  BadText("global: {scrape_failure_log_file: a}", "1:10", "global.scrape_failure_log_file", "not served"),
  BadText(job("scrape_failure_log_file: a"), "3:3", "scrape_configs[0].scrape_failure_log_file", "not served"),
  BadText(job("azure_sd_configs: []"), "3:3", "scrape_configs[0].azure_sd_configs", "not served"),
  BadText(remoteWrite("azuread: {cloud: x}"), "3:3", "remote_write[0].azuread", "not served"),
])
func refusesByNameWhatOnlyPrometheusServes(_ bad: BadText) { expectOneFault(bad) }

@Test(arguments: [
  BadText("global: {scrape_interval: 15}", "1:27", "global.scrape_interval", "expected a duration"),
  BadText("global: {scrape_interval: ''}", "1:27", "global.scrape_interval", "expected a duration"),
  BadText(
    "global: {scrape_interval: [5s]}", "1:27", "global.scrape_interval", "duration such as 15s or 1m30s, found a list"),
  BadText(
    "global: {scrape_interval: 5s, scrape_timeout: 6s}", "1:47", "global.scrape_timeout", "greater than scrape interval"
  ),
  BadText("global: {evaluation_interval: x}", "1:31", "global.evaluation_interval", "expected a duration"),
  BadText("global: {external_labels: [a]}", "1:27", "global.external_labels", "expected a mapping, found a list"),
  BadText("global: {external_labels: {a: {}}}", "1:31", "global.external_labels.a", "expected a text, found a mapping"),
  BadText("global: {external_labels: {'': x}}", "1:28", "global.external_labels.", "is not a valid label name"),
  BadText(
    "global: {external_labels: {__name__: x}}", "1:28", "global.external_labels.__name__", "not a valid label name"),
  BadText("scrape_configs: [{static_configs: []}]", "1:18", "scrape_configs[0].job_name", "a job needs a name"),
  BadText("scrape_configs: [{job_name: ''}]", "1:29", "scrape_configs[0].job_name", "a job needs a name"),
  BadText("scrape_configs: [{job_name: }]", "1:29", "scrape_configs[0].job_name", "a job needs a name"),
  BadText(
    "scrape_configs:\n- job_name: j\n- job_name: j", "3:13", "scrape_configs[1].job_name",
    "found multiple scrape configs with job name \"j\""),
  BadText(
    job("scrape_interval: 5s", "scrape_timeout: 6s"), "4:19", "scrape_configs[0].scrape_timeout",
    "scrape timeout greater than scrape interval for scrape config with job name \"j\""),
  BadText(job("honor_labels: yeah"), "3:17", "scrape_configs[0].honor_labels", "expected true or false"),
  BadText(job("honor_labels: 'true'"), "3:17", "scrape_configs[0].honor_labels", "expected true or false"),
  BadText(
    job("honor_timestamps: []"), "3:21", "scrape_configs[0].honor_timestamps", "expected true or false, found a list"),
  BadText(job("scheme: ftp"), "3:11", "scrape_configs[0].scheme", "expected http"),
  BadText(job("metrics_path: {}"), "3:17", "scrape_configs[0].metrics_path", "expected a text, found a mapping"),
  BadText(job("params: [a]"), "3:11", "scrape_configs[0].params", "expected a mapping, found a list"),
  BadText(
    job("params: {a: b}"), "3:15", "scrape_configs[0].params.a", "expected a list of values, found a single value"),
  BadText(job("params: {a: [[]]}"), "3:16", "scrape_configs[0].params.a", "expected a text, found a list"),
  BadText(job("static_configs: [a:1]"), "3:20", "scrape_configs[0].static_configs[0]", "expected a mapping"),
  BadText(job("static_configs: [~]"), "3:20", "scrape_configs[0].static_configs[0]", "empty or null entry"),
  BadText(
    job("static_configs: [{targets: a}]"), "3:30", "scrape_configs[0].static_configs[0].targets",
    "expected a list, found a single value"),
  BadText(
    job("static_configs: [{targets: [a, ~]}]"), "3:34", "scrape_configs[0].static_configs[0].targets[1]",
    "empty or null entry"),
  BadText(
    job("static_configs: [{targets: [{}]}]"), "3:31", "scrape_configs[0].static_configs[0].targets[0]",
    "expected a text, found a mapping"),
  BadText(
    job("static_configs: [{labels: {'': x}}]"), "3:30", "scrape_configs[0].static_configs[0].labels.",
    "is not a valid label name"),
  BadText(remoteWrite("remote_timeout: 0s"), "3:19", "remote_write[0].remote_timeout", "must be greater than 0"),
  BadText(remoteWrite("send_exemplars: maybe"), "3:19", "remote_write[0].send_exemplars", "expected true or false"),
  BadText(
    remoteWrite("metadata_config: {max_samples_per_send: 0}"), "3:43",
    "remote_write[0].metadata_config.max_samples_per_send", "must be greater than 0"),
  BadText(
    remoteWrite("queue_config: {min_shards: 9, max_shards: 5}"), "3:30", "remote_write[0].queue_config.min_shards",
    "remote write queue min_shards must not be greater than max_shards (5)"),
  BadText(
    remoteWrite("queue_config: {min_backoff: 9s}"), "3:31", "remote_write[0].queue_config.min_backoff",
    "must not be greater than max_backoff (5s)"),
  BadText(
    "remote_write: [{url: http://a, name: q}, {url: http://b, name: q}]", "1:64", "remote_write[1].name",
    "found multiple remote write configs with job name \"q\""),
  BadText(
    "remote_write: [{url: http://u:p@a}, {url: http://u:p@a}]", "1:43", "remote_write[1].url",
    "duplicate remote write configs are not allowed, found duplicate for URL: xxxxx@a"),
])
func refusesABadValue(_ bad: BadText) { expectOneFault(bad) }

@Test(arguments: ["capacity", "max_shards", "min_shards", "max_samples_per_send"], ["0", "-1"])
func refusesAQueueOfNothing(_ key: String, _ value: String) {
  expectOneFault(
    BadText(
      remoteWrite("queue_config: {\(key): \(value)}"), "3:\(20 + key.count)", "remote_write[0].queue_config.\(key)",
      "remote write queue \(key) must be positive"))
}

@Test(arguments: ["1.5", "x", "'5'", "99999999999999999999", "1e30", "0x", "--1", ""].filter { !$0.isEmpty })
func refusesWhatIsNoWholeNumber(_ value: String) {
  expectOneFault(
    BadText(
      remoteWrite("queue_config: {capacity: \(value)}"), "3:28", "remote_write[0].queue_config.capacity",
      "expected a whole number"))
}

@Test(arguments: ["batch_send_deadline", "min_backoff", "max_backoff"])
func refusesAQueueThatNeverWaits(_ key: String) {
  #expect(
    problems(remoteWrite("queue_config: {\(key): 0s}")).contains {
      $0.path.hasSuffix(key) && $0.reason == "remote write queue \(key) must be positive"
    })
}

@Test(arguments: ["", "a/metrics", "http://a:9100", "/", "a/\u{338}b"])
func refusesATargetThatIsNoAddress(_ target: String) {
  expectOneFault(
    BadText(
      job("static_configs: [{targets: [ok:1, '\(target)']}]"), "3:37",
      "scrape_configs[0].static_configs[0].targets[1]", "a target is HOST:PORT"))
}

@Test func tellsAllFaultsInTheOrderOfTheFile() {
  let yaml = """
    global:
      scrape_interval: 5x
      foo: 1
    scrape_configs:
    - job_name: a
      scrape_timeout: -1s
      basic_auth: []
      static_configs:
      - targets: [a/b, 'c:1', d/e]
    -
    - job_name: a
    remote_write:
    - name: n
      queue_config: {capacity: 0}
    """
  let faults = problems(yaml)
  #expect(faults.map(\.line) == [2, 3, 6, 7, 9, 9, 10, 11, 13, 14])
  do {
    _ = try configuration(yaml)
    Issue.record("taken")
  } catch {
    let lines = "\(error)".split(separator: "\n")
    #expect(lines.count == faults.count)
    #expect(lines.allSatisfy { $0.hasPrefix("p.yml:") })
    #expect(lines.first == "p.yml:2:20: global.scrape_interval: expected a duration such as 15s or 1m30s")
  }
}

@Test func tellsAtMostAHundredFaults() {
  let faults = problems((0..<5000).map { "unknown\($0): 1\n" }.joined())
  #expect(faults.map(\.line) == Array(1...100))
}
