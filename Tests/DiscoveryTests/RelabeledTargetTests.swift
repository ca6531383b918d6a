import Configuration
import Testing

@testable import Discovery

/// What a job with one static target, and further lines, finds.
private func found(_ labels: String, _ rules: String..., lines: [String] = []) throws -> JobTargets {
  let yaml =
    "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['a:1'], labels: {\(labels)}}]\n  relabel_configs:\n"
    + rules.map { "  - \($0)\n" }.joined() + lines.map { "  \($0)\n" }.joined()
  let job = try #require(try Configuration.parse(Array(yaml.utf8), file: "p.yml").scrapeConfigs.first)
  return JobTargets(of: job, groups: StaticDiscovery.groups(of: job))
}

@Test(arguments: [
  ("{target_label: x, replacement: y}", #"{instance="a:1", job="j", x="y"}"#, "http://a:1/metrics"),
  ("{target_label: __address__, replacement: 'b:2'}", #"{instance="b:2", job="j"}"#, "http://b:2/metrics"),
  ("{target_label: __metrics_path__, replacement: /x}", #"{instance="a:1", job="j"}"#, "http://a:1/x"),
  ("{target_label: __scheme__, replacement: https}", #"{instance="a:1", job="j"}"#, "https://a:1/metrics"),
  ("{target_label: __param_p, replacement: q}", #"{instance="a:1", job="j"}"#, "http://a:1/metrics?p=q"),
  ("{target_label: instance, replacement: i}", #"{instance="i", job="j"}"#, "http://a:1/metrics"),
  ("{target_label: job, replacement: ''}", #"{instance="a:1"}"#, "http://a:1/metrics"),
  ("{action: labelmap, regex: __meta_(.+)}", #"{instance="a:1", job="j", zone="z"}"#, "http://a:1/metrics"),
  ("{target_label: __tmp_x, replacement: y}", #"{instance="a:1", job="j"}"#, "http://a:1/metrics"),
])
func appliesTheRules(_ rule: String, _ labels: String, _ url: String) throws {
  let targets = try found("__meta_zone: z", rule)
  #expect(targets.active.map(\.labels.description) == [labels] && targets.active.map(\.scrapeURL) == [url])
  #expect(targets.active.first?.discoveredLabels.description.contains(#"__meta_zone="z""#) == true)
  #expect(targets.droppedCount == 0 && targets.faults.isEmpty)
}

@Test func takesTheIntervalFromTheLabels() throws {
  let targets = try found(
    "", "{target_label: __scrape_interval__, replacement: 90s}", "{target_label: __scrape_timeout__, replacement: 3s}")
  #expect(targets.active.map(\.interval) == [.seconds(90)] && targets.active.map(\.timeout) == [.seconds(3)])
}

@Test func countsWhatIsDropped() throws {
  let targets = try found("x: y", "{action: drop, source_labels: [x], regex: y}")
  #expect(targets.active.isEmpty && targets.droppedCount == 1)
  #expect(targets.inactive(limit: 10).first?.discoveredLabels.description.contains(#"__address__="a:1""#) == true)
}

@Test(arguments: [
  ("{target_label: __address__, replacement: ''}", "no address"),
  ("{target_label: __address__, replacement: 'http://b/x'}", #""http://b/x" is not a valid hostname"#),
  ("{target_label: __scrape_interval__, replacement: x}", #"error parsing scrape interval: not a valid duration"#),
  ("{target_label: __scrape_interval__, replacement: 0s}", "scrape interval cannot be 0"),
  ("{target_label: __scrape_timeout__, replacement: 0s}", "scrape timeout cannot be 0"),
  ("{target_label: __scrape_timeout__, replacement: 2m}", #"greater than scrape interval ("2m" > "1m")"#),
  ("{action: labelkeep, regex: job}", "no address"),
])
func refusesWhatCannotBeScraped(_ rule: String, _ reason: String) throws {
  let targets = try found("", rule)
  #expect(targets.active.isEmpty && targets.droppedCount == 0 && targets.faultCount == 1)
  #expect(targets.faults.count == 1 && targets.faults.first?.contains(reason) == true, "\(targets.faults)")
}

@Test func handsOnWhatTheJobSaysOfScrapes() throws {
  let target = try #require(
    try found(
      "", "{action: keep}",
      lines: [
        "metric_relabel_configs: [{action: labeldrop, regex: a}]", "scrape_native_histograms: true",
        "fallback_scrape_protocol: OpenMetricsText1.0.0", "enable_compression: false",
      ]
    ).active.first)
  #expect(!target.metricRelabelRules.isEmpty && target.scrapeNativeHistograms && !target.enableCompression)
  #expect(target.fallbackScrapeProtocol == .openMetricsText1)
  #expect(target.scrapeProtocols == ScrapeProtocol.protobufFirst)
}
