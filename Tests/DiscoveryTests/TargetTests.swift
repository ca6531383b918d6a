import Configuration
import Testing

@testable import Discovery

/// The targets of a job with further lines, each indented by two spaces.
private func targets(_ lines: String...) throws -> [Target] {
  let yaml = "scrape_configs:\n- job_name: j\n" + lines.map { "  \($0)\n" }.joined()
  let job = try #require(try Configuration.parse(Array(yaml.utf8), file: "p.yml").scrapeConfigs.first)
  return JobTargets(of: job, groups: StaticDiscovery.groups(of: job)).active
}

@Test(arguments: [
  ("{targets: ['a:1']}", #"{instance="a:1", job="j"}"#),
  ("{targets: ['[::1]:9100']}", #"{instance="[::1]:9100", job="j"}"#),
  ("{targets: ['a:1'], labels: {x: y, b: c}}", #"{b="c", instance="a:1", job="j", x="y"}"#),
  ("{targets: ['a:1'], labels: {instance: i, job: k}}", #"{instance="i", job="k"}"#),
  ("{targets: ['a:1'], labels: {instance: '', job: '', x: ''}}", #"{instance="a:1", job="j"}"#),
  ("{targets: ['a:1'], labels: {__tmp: x, __meta_y: z}}", #"{instance="a:1", job="j"}"#),
  ("{targets: ['a:1'], labels: {__address__: 'b:2'}}", #"{instance="a:1", job="j"}"#),
  ("{targets: ['a:1'], labels: {é: a}}", #"{instance="a:1", job="j", é="a"}"#),
])
func givesSeriesLabels(_ entry: String, _ labels: String) throws {
  #expect(try targets("static_configs: [\(entry)]").map(\.labels.description) == [labels])
}

@Test func showsWhatWasDiscovered() throws {
  let target = try #require(
    try targets("scrape_interval: 90s", "params: {a: [b, c]}", "static_configs: [{targets: ['a:1'], labels: {x: ''}}]")
      .first)
  #expect(
    target.discoveredLabels.description
      == #"{__address__="a:1", __metrics_path__="/metrics", __param_a="b", __scheme__="http", "#
      + #"__scrape_interval__="1m30s", __scrape_timeout__="10s", job="j"}"#)
  #expect(target.interval == .seconds(90) && target.timeout == .seconds(10))
}

@Test(arguments: [
  ("", "", "http://a:1/metrics"),
  ("metrics_path: /x/y", "", "http://a:1/x/y"),
  ("metrics_path: x", "", "http://a:1/x"),
  ("metrics_path: ''", "", "http://a:1/"),
  ("metrics_path: '/a b?c#d%é'", "", "http://a:1/a%20b%3Fc%23d%25%C3%A9"),
  ("metrics_path: \"/(x)!*'\"", "", "http://a:1/%28x%29%21%2A%27"),
  ("params: {b: [c], a: [x, y]}", "", "http://a:1/metrics?a=x&a=y&b=c"),
  ("params: {'match[]': ['{a=\"b c\"}']}", "", "http://a:1/metrics?match%5B%5D=%7Ba%3D%22b+c%22%7D"),
  ("params: {a: ['+&=é~-_.', ~]}", "", "http://a:1/metrics?a=%2B%26%3D%C3%A9~-_.&a="),
  ("params: {a: [], b: }", "", "http://a:1/metrics"),
  ("params: {a: [x, y]}", "__param_a: z", "http://a:1/metrics?a=z&a=y"),
  ("params: {a: [x]}", "__param_b: z", "http://a:1/metrics?a=x&b=z"),
  ("params: {a: [x]}", "__param_a: ''", "http://a:1/metrics?a=x"),
  ("params: {\u{e9}: [x]}", "__param_e\u{301}: z", "http://a:1/metrics?e%CC%81=z&%C3%A9=x"),
  ("metrics_path: /x", "__metrics_path__: /y", "http://a:1/y"),
  ("metrics_path: /x", "__metrics_path__: ''", "http://a:1/x"),
])
func buildsTheURL(_ line: String, _ label: String, _ url: String) throws {
  let found = try targets(line, "static_configs: [{targets: ['a:1'], labels: {\(label)}}]")
  #expect(found.map(\.scrapeURL) == [url])
}

@Test func keepsIPv6Addresses() throws {
  #expect(
    try targets("static_configs: [{targets: ['[fe80::1]:9100']}]").map(\.scrapeURL) == ["http://[fe80::1]:9100/metrics"]
  )
}

@Test func mergesTargetsThatAreTheSame() throws {
  let found = try targets(
    "static_configs:", "- targets: ['a:1', 'a:1', 'b:1']", "- targets: ['a:1']", "- targets: ['a:1']",
    "  labels: {x: y}",
    "- targets: ['a:1']", "  labels: {x: ''}")
  #expect(
    found.map(\.labels.description) == [
      #"{instance="a:1", job="j"}"#, #"{instance="b:1", job="j"}"#, #"{instance="a:1", job="j", x="y"}"#,
    ])
}

@Test func comparesAsBytes() throws {
  let found = try targets("static_configs: [{targets: ['\u{e9}:1', 'e\u{301}:1'], labels: {instance: i}}]")
  #expect(found.count == 2)
}
