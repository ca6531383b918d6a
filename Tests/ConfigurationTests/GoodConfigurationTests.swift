import Testing
import YAML

@testable import Configuration

@Test func fillsInDefaults() throws {
  let configuration = try configuration(job("static_configs: [{targets: [a]}]") + remoteWrite())
  let job = try #require(configuration.scrapeConfigs.first)
  #expect(configuration.global.externalLabels.isEmpty)
  #expect(job.scrapeInterval == .seconds(60))
  #expect(job.scrapeTimeout == .seconds(10))
  #expect(job.metricsPath == "/metrics" && job.scheme == "http" && job.params.isEmpty)
  #expect(!job.honorLabels && job.honorTimestamps)
  let remote = try #require(configuration.remoteWrites.first)
  #expect(remote.url == "http://h/w" && remote.name.isEmpty && remote.remoteTimeout == .seconds(30))
  #expect(remote.queue.capacity == 10_000 && remote.queue.maxSamplesPerSend == 2000)
  #expect(remote.queue.minShards == 1 && remote.queue.maxShards == 50)
  #expect(remote.queue.batchSendDeadline == .seconds(5))
  #expect(remote.queue.minBackoff == .milliseconds(30) && remote.queue.maxBackoff == .seconds(5))
  #expect(remote.queue.sampleAgeLimit == .zero && remote.queue.retryOnHTTP429)
  #expect(remote.headers.isEmpty && remote.message == .v1 && remote.writeRelabelRules.isEmpty)
  #expect(!remote.sendExemplars && !remote.sendNativeHistograms)
  #expect(remote.metadata.send && remote.metadata.sendInterval == .seconds(60))
  #expect(remote.metadata.maxSamplesPerSend == 2000)
  #expect(job.relabelRules.isEmpty && job.metricRelabelRules.isEmpty && job.fileDiscoveries.isEmpty)
  #expect(job.scrapeProtocols == ScrapeProtocol.defaults && job.fallbackScrapeProtocol == nil)
  #expect(job.enableCompression && !job.scrapeNativeHistograms)
}

@Test func readsWhatAJobScrapes() throws {
  let lines = [
    "enable_compression: false", "fallback_scrape_protocol: PrometheusText0.0.4", "scrape_native_histograms: true",
  ]
  let given = job(lines[0], lines[1], "scrape_protocols: [OpenMetricsText1.0.0, PrometheusProto]")
  let one = try #require(try configuration(given).scrapeConfigs.first)
  #expect(!one.enableCompression && one.fallbackScrapeProtocol == .prometheusText0)
  #expect(one.scrapeProtocols == [.openMetricsText1, .prometheusProtobuf])
  let other = try #require(try configuration(job(lines[2])).scrapeConfigs.first)
  #expect(other.scrapeNativeHistograms && other.scrapeProtocols == ScrapeProtocol.protobufFirst)
  let global = "global: {scrape_protocols: [PrometheusText1.0.0], scrape_native_histograms: true}\n"
  let inherited = try #require(try configuration(global + job("honor_labels: true")).scrapeConfigs.first)
  #expect(inherited.scrapeProtocols == [.prometheusText1] && inherited.scrapeNativeHistograms)
}

@Test func readsWhatARemoteIsSent() throws {
  let remote = try #require(
    try configuration(
      remoteWrite(
        "headers: {X-Scope-OrgID: team, empty: }", "protobuf_message: io.prometheus.write.v2.Request",
        "send_exemplars: true", "send_native_histograms: true",
        "metadata_config: {send: false, send_interval: 5m, max_samples_per_send: 7}",
        "queue_config: {retry_on_http_429: false}", "write_relabel_configs: [{action: drop, source_labels: [a]}]")
    ).remoteWrites.first)
  #expect(remote.headers.map(\.name) == ["X-Scope-OrgID", "empty"] && remote.headers.map(\.value) == ["team", ""])
  #expect(remote.message == .v2 && remote.sendExemplars && remote.sendNativeHistograms)
  #expect(!remote.metadata.send && remote.metadata.sendInterval == .seconds(300))
  #expect(remote.metadata.maxSamplesPerSend == 7 && !remote.queue.retryOnHTTP429)
  #expect(!remote.writeRelabelRules.isEmpty)
}

@Test(arguments: [("/etc/p/p.yml", "/etc/p/a.json"), ("p.yml", "a.json"), ("d/p.yml", "d/a.json")])
func filesOfTargetsCountFromTheConfigurationsFolder(_ file: String, _ path: String) throws {
  let text = job("file_sd_configs: [{files: [a.json, /x/*.yml], refresh_interval: 1m}]")
  let found = try Configuration.parse(Array(text.utf8), file: file).scrapeConfigs.first?.fileDiscoveries
  #expect(found?.map(\.files) == [[path, "/x/*.yml"]] && found?.first?.refreshInterval == .seconds(60))
}

@Test(arguments: [
  ("{}", "", 60, 10), ("{scrape_interval: 5s}", "", 5, 5), ("{}", "scrape_interval: 3s", 3, 3),
  ("{scrape_interval: 0s}", "", 60, 10), ("{scrape_interval: 20s, scrape_timeout: 15s}", "", 20, 15),
  ("{scrape_interval: 20s}", "scrape_timeout: 20s", 20, 20), ("{scrape_interval: 20s}", "scrape_interval: 0", 20, 10),
  ("", "scrape_interval:", 60, 10), ("{scrape_timeout: }", "scrape_timeout: ~", 60, 10),
])
func timeoutFollowsInterval(_ global: String, _ line: String, _ interval: Int, _ timeout: Int) throws {
  let job = try #require(try configuration("global: \(global)\n" + job(line)).scrapeConfigs.first)
  #expect(job.scrapeInterval == .seconds(interval))
  #expect(job.scrapeTimeout == .seconds(timeout))
}

@Test func emptyBlocksAreAsIfAbsent() throws {
  let yaml =
    "global:\n" + job("static_configs:", "params:", "metrics_path:")
    + remoteWrite("queue_config:", "name:", "metadata_config:")
  #expect(try configuration(yaml).remoteWrites.first?.queue.capacity == 10_000)
  #expect(try configuration("scrape_configs:\nremote_write:\nglobal:").scrapeConfigs.isEmpty)
  #expect(try configuration(job("params: {a: }")).scrapeConfigs.first?.params.first?.values == [])
  #expect(try configuration(job("static_configs: [{}, {targets: }, {labels: }]")).scrapeConfigs.count == 1)
}

@Test(arguments: [
  ("true", true), ("yes", true), ("on", true), ("True", true), ("false", false), ("no", false), ("Off", false),
])
func readsBooleans(_ text: String, _ value: Bool) throws {
  #expect(try configuration(job("honor_labels: \(text)")).scrapeConfigs.first?.honorLabels == value)
}

@Test func keepsLabelsThatOnlyUnicodeTakesForEqual() throws {
  let labels = try configuration("global: {external_labels: {\u{e9}: a, e\u{301}: b}}").global.externalLabels
  #expect(labels.map(\.value) == ["a", "b"])
  #expect(try configuration("scrape_configs: [{job_name: \u{e9}}, {job_name: e\u{301}}]").scrapeConfigs.count == 2)
}

@Test(
  arguments: [
    ("0", 0), ("0s", 0), ("5ms", 5), ("15s", 15_000), ("1m", 60_000), ("1m30s", 90_000), ("1h30m5s500ms", 5_405_500),
    ("1d", 86_400_000), ("2w", 1_209_600_000), ("1y1d", 31_622_400_000), ("007s", 7000), ("90m", 5_400_000),
  ] as [(String, Int64)])
func readsDurations(_ text: String, _ milliseconds: Int64) {
  #expect(Duration(prometheus: text) == .milliseconds(milliseconds))
}

@Test(arguments: [
  "", "15", "1.5s", "5s1m", "5s5s", "-5s", "+5s", "5", "s", "5x", "5S", "5 s", " 5s", "5s ", "1h ", "1ms1s", "00",
  "1us",
  "300y", "99999999999999999999s", "9223372036854775807y", "9223372036855ms", "\u{665}s", "5s\u{301}", "5\u{301}s",
  "5s\0",
])
func refusesDurations(_ text: String) { #expect(Duration(prometheus: text) == nil) }

@Test(arguments: [
  ("0", "0s"), ("60s", "1m"), ("90s", "1m30s"), ("500ms", "500ms"), ("24h", "1d"), ("25h", "25h"), ("7d", "1w"),
  ("365d", "1y"), ("3661s", "1h1m1s"), ("36h", "36h"),
])
func writesDurations(_ text: String, _ written: String) {
  #expect(Duration(prometheus: text)?.prometheusText == written)
}

@Test(arguments: [
  ("$A", "1"), ("${A}", "1"), ("x$A-y", "x1-y"), ("$AB", ""), ("${A}B", "1B"), ("$$A", "$A"), ("$$$A", "$1"),
  ("$", "$"),
  ("a$", "a$"), ("$ A", "$ A"), ("$-", ""), ("${", ""), ("${A", "A"), ("${}", ""), ("$1A", "A"), ("${$}", "$"),
  ("$@x", "x"), ("${A}}", "1}"),
  ("$A\u{301}", "1\u{301}"),
  ("$NONE", ""), ("\u{301}$A", "\u{301}1"), ("", ""), ("$S", "$A"),
])
func expandsTheEnvironmentInExternalLabels(_ text: String, _ expanded: String) throws {
  let configuration = try configuration(
    "global: {external_labels: {a: '\(text)'}}", environment: ["A": "1", "S": "$A"])
  let value = try #require(configuration.global.externalLabels.first?.value)
  #expect(Array(value.utf8) == Array(expanded.utf8))
}

@Test func expandsNothingElse() throws {
  let configuration = try configuration(
    job("static_configs: [{targets: ['$A'], labels: {a: $A}}]"), environment: ["A": "1"])
  #expect(configuration.scrapeConfigs.first?.staticConfigs.first?.targets == ["$A"])
}

@Test(arguments: [
  job("static_configs: [{targets: ['http://user:hush@h:1/x']}]"), job("static_configs: [{targets: ['user:hush@h/x']}]"),
  job("static_configs: [{targets: ['http://user:hu/hush@h']}]"),
  job("static_configs: [{targets: ['user:hush@\u{301}h/x']}]"), job("static_configs: [{http://user:hush@h}]"),
  job("static_configs: [{labels: {http://user:hush@h: []}}]"), job("params: {http://user:hush@h: a}"),
  "remote_write: [{url:http://user:hush@h/w}]", "a: 1\nhttp://user:hush@h: 1\nhttp://user:hush@h: 2",
  "remote_write: [{url: http://user:hush@h/w, name: 'user:hush@h'}, {url: http://h, name: 'user:hush@h'}]",
  remoteWrite("queue_config: http://user:hush@h"), remoteWrite("remote_timeout: http://user:hush@h"),
])
func faultsHoldNoSecrets(_ yaml: String) {
  #expect(throws: ConfigurationError.self) { try configuration(yaml) }
  for fault in problems(yaml) { #expect(!fault.description.contains("hush")) }
}

@Test(arguments: ["\"a\\nb\": 1", "\"a\\e[31m\": 1"])
func faultsStayOnOneLine(_ yaml: String) {
  #expect(problems(yaml).map { $0.description.unicodeScalars.contains { $0.value < 0x20 } } == [false])
}

@Test func namesTheFileThatCannotBeRead() {
  for path in ["/nonexistent/p.yml", "/"] {
    let error = #expect(throws: ConfigurationError.self) { try Configuration.load(path) }
    #expect(error?.description.hasPrefix("\(path):1:1: cannot be read: ") == true)
  }
}
