import Exposition
import Relabeling
import Testing

@testable import Configuration

/// What the rules of a job make of the labels; nil when they drop them.
private func relabeled(_ labels: KeyValuePairs<String, String>, _ rules: String) throws -> String? {
  let job = try #require(try configuration(job("relabel_configs: [\(rules)]")).scrapeConfigs.first)
  var set = LabelSet(labels.map { (name: $0.key, value: $0.value) })
  guard job.relabelRules.apply(to: &set) else { return nil }
  set.sort()
  return set.description
}

@Test(arguments: [
  ("{target_label: b, source_labels: [a]}", #"{a="1", b="1"}"#),
  ("{target_label: b, replacement: x}", #"{a="1", b="x"}"#),
  ("{target_label: b, replacement: , source_labels: [a]}", #"{a="1"}"#),
  ("{target_label: b, source_labels: [a, a], separator: }", #"{a="1", b="11"}"#),
  // Nothing is an empty pattern, not the default one.
  ("{regex: , target_label: b, replacement: x, source_labels: [a]}", #"{a="1"}"#),
  ("{regex: 1, target_label: b, replacement: x, source_labels: [a]}", #"{a="1", b="x"}"#),
  ("{action: LabelDrop, regex: a}", "{}"),
  ("{action: hashmod, modulus: 1, target_label: b}", #"{a="1", b="0"}"#),
  ("{action: keepequal, source_labels: [a], target_label: a}", #"{a="1"}"#),
  ("{target_label: '${1}.x', source_labels: [a], replacement: y}", #"{1.x="y", a="1"}"#),
])
func readsRules(_ rules: String, _ labels: String) throws {
  #expect(try relabeled(["a": "1"], rules) == labels)
}

/// A rule with one fault, at the place of its key.
@Test(arguments: [
  ("{action: frobnicate}", "action", #"unknown relabel action "frobnicate""#),
  ("{action: }", "action", "relabel action cannot be empty"),
  ("{target_label: a, regex: 'a('}", "regex", "error parsing regexp: missing closing )"),
  ("{target_label: a, regex: '(a)\\1'}", "regex", "invalid escape sequence"),
  ("{action: hashmod, target_label: a}", "modulus", "hashmod requires non-zero modulus"),
  ("{action: hashmod, modulus: -1, target_label: a}", "modulus", "expected a whole number that is not negative"),
  ("{action: labelmap, replacement: ''}", "replacement", #""" is invalid 'replacement' for labelmap action"#),
  ("{action: lowercase, target_label: a, replacement: b}", "replacement", "'replacement' can not be set for lowercase"),
  ("{action: keepequal, target_label: a, regex: b}", "regex", "requires only 'source_labels' and `target_label`"),
  ("{action: dropequal, target_label: a, separator: b}", "separator", "and no other fields"),
  ("{action: labeldrop, regex: a, source_labels: [b]}", "source_labels", "labeldrop action requires only 'regex'"),
  ("{action: labelkeep, regex: a, modulus: 3}", "modulus", "labelkeep action requires only 'regex'"),
  ("{action: labelkeep, regex: a, target_label: b}", "target_label", "and no other fields"),
  ("{target_label: a, source_labels: ['']}", "source_labels[0]", "is not a valid label name"),
  ("{target_label: a, foo: 1}", "foo", "unknown key"),
])
func refusesARule(_ rule: String, _ key: String, _ reason: String) {
  for list in ["relabel_configs", "metric_relabel_configs"] {
    let faults = problems(job("\(list): [\(rule)]"))
    #expect(faults.first?.path == "scrape_configs[0].\(list)[0].\(key)")
    #expect(faults.first?.reason.contains(reason) == true, "\(faults)")
  }
}

@Test(arguments: ["replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"])
func wantsATarget(_ action: String) {
  #expect(
    problems(job("relabel_configs: [{action: \(action), modulus: 2}]")).first?.reason
      == "relabel configuration for \(action) action requires 'target_label' value")
}

@Test(arguments: [
  BadText(
    job("relabel_configs: [~]"), "3:21", "scrape_configs[0].relabel_configs[0]",
    "empty or null target relabeling rule in scrape config"),
  BadText(
    job("metric_relabel_configs: [~]"), "3:28", "scrape_configs[0].metric_relabel_configs[0]",
    "empty or null metric relabeling rule in scrape config"),
  BadText(
    remoteWrite("write_relabel_configs: [~]"), "3:27", "remote_write[0].write_relabel_configs[0]",
    "empty or null relabeling rule in remote write config"),
  BadText(
    job("relabel_configs: [{action: keep}]", "static_configs: [{targets: [a/b]}]", "x: 1"), "5:3",
    "scrape_configs[0].x", "unknown key"),
  BadText(job("scrape_protocols: []"), "3:21", "scrape_configs[0].scrape_protocols", "cannot be empty"),
  BadText(
    job("scrape_protocols: [PrometheusProto, PrometheusProto]"), "3:39", "scrape_configs[0].scrape_protocols[1]",
    "duplicated protocol in scrape_protocols"),
  BadText(
    job("fallback_scrape_protocol: x"), "3:29", "scrape_configs[0].fallback_scrape_protocol",
    "invalid fallback_scrape_protocol for scrape config with job name \"j\": unknown scrape protocol x, supported: "
      + "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"),
  BadText(job("file_sd_configs: [{}]"), "3:21", "scrape_configs[0].file_sd_configs[0].files", "at least one path name"),
  BadText(
    job("file_sd_configs: [{files: [a.txt]}]"), "3:30", "scrape_configs[0].file_sd_configs[0].files[0]",
    "path name \"a.txt\" is not valid for file discovery"),
  BadText(
    job("file_sd_configs: [{files: ['*/a.yml']}]"), "3:30", "scrape_configs[0].file_sd_configs[0].files[0]",
    "is not valid for file discovery"),
  BadText(
    job("file_sd_configs: [{files: ['**.yml']}]"), "3:30", "scrape_configs[0].file_sd_configs[0].files[0]",
    "is not valid for file discovery"),
  BadText(
    job("file_sd_configs: [{files: [a.yml], refresh_interval: 0}]"), "3:56",
    "scrape_configs[0].file_sd_configs[0].refresh_interval", "must be greater than 0"),
  BadText(
    remoteWrite("headers: {X-Prometheus-Remote-Write-Version: '1'}"), "3:13",
    "remote_write[0].headers.X-Prometheus-Remote-Write-Version", "is a reserved header. It must not be changed"),
  BadText(
    remoteWrite("headers: {Authorization: x}"), "3:13", "remote_write[0].headers.Authorization",
    "authorization header must be changed via the basic_auth, authorization, oauth2"),
  BadText(
    remoteWrite("headers: {'a b': x}"), "3:13", "remote_write[0].headers.a b", "not a header's name"),
  BadText(remoteWrite(#"headers: {a: "x\ny"}"#), "3:13", "remote_write[0].headers.a", "not a header's value"),
  BadText(
    remoteWrite("protobuf_message: io.prometheus.writet.v2.Request"), "3:21", "remote_write[0].protobuf_message",
    "unknown remote write protobuf message io.prometheus.writet.v2.Request, supported: prometheus.WriteRequest, "
      + "io.prometheus.write.v2.Request"),
  BadText(
    remoteWrite("metadata_config: {send_interval: 0s}"), "3:36", "remote_write[0].metadata_config.send_interval",
    "must be greater than 0"),
  BadText("remote_write: [{url: 'http://[::1'}]", "1:22", "remote_write[0].url", "missing ']' in host"),
])
func refusesWithPrometheusWords(_ bad: BadText) { expectOneFault(bad) }
