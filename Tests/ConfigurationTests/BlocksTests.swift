import TestSupport
import Testing
import YAML

@testable import Configuration

// MARK: - scrape_config_files

private func jobs(_ files: [String], _ main: String) -> (names: [String], faults: String) {
  let folder = TemporaryDirectory()
  for file in files {
    let parts = file.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    folder.write(parts[0], parts[1])
  }
  do throws(ConfigurationError) {
    let configuration = try Configuration.load(folder.write("d/p.yml", main))
    return (configuration.scrapeConfigs.map(\.jobName), "")
  } catch { return ([], "\(error)".replacing(folder.path, with: "T")) }
}

private let globs = "scrape_config_files: [jobs/*.yml]\n"

@Test func readsFilesOfJobs() {
  let found = jobs(
    [
      "d/jobs/b.yml=scrape_configs: [{job_name: b}]", "d/jobs/a.yml=scrape_configs: [{job_name: a}, {job_name: c}]",
      "d/jobs/empty.yml=", "d/jobs/not.txt={",
    ], globs + job("honor_labels: true"))
  #expect(found.names == ["j", "a", "c", "b"] && found.faults.isEmpty)
  #expect(jobs([], globs).faults.isEmpty)
}

@Test(arguments: [
  (
    "scrape_configs: [{job_name: j}]",
    "T/d/jobs/a.yml:1:29: scrape_configs[0].job_name: found multiple scrape configs"
      + " with job name \"j\", first found in T/d/p.yml"
  ),
  ("scrape_configs:\n- job_name: b\n  nope: 1", "T/d/jobs/a.yml:3:3: scrape_configs[0].nope: unknown key"),
  ("global: {}", "T/d/jobs/a.yml:1:1: global: unknown key"),
  ("- a", "T/d/jobs/a.yml:1:1: expected a mapping, found a list"),
  ("scrape_configs: [", "T/d/jobs/a.yml:2:1: YAML: did not find expected node content"),
])
func faultsNameTheFileOfJobs(_ text: String, _ fault: String) {
  #expect(jobs(["d/jobs/a.yml=\(text)"], globs + job("honor_labels: true")).faults.hasPrefix(fault))
}

@Test func filesOfJobsHaveGlobalsAndFoldersOfTheirOwn() throws {
  let folder = TemporaryDirectory()
  folder.write("jobs/a.yml", job("file_sd_configs: [{files: [t.json]}]"))
  let main = folder.write("p.yml", "global: {scrape_interval: 7s}\n" + globs)
  let found = try #require(try Configuration.load(main).scrapeConfigs.first)
  #expect(found.scrapeInterval == .seconds(7))
  #expect(found.fileDiscoveries.first?.files == ["\(folder.path)/jobs/t.json"])
  var options = Configuration.Options()
  options.readsJobFiles = false
  #expect(try Configuration.load(main, options: options).scrapeConfigs.isEmpty)
}

@Test(arguments: [
  BadText("scrape_config_files: ['a/*/*']", "1:23", "scrape_config_files[0]", "invalid scrape config file path"),
  BadText("scrape_config_files: a", "1:22", "scrape_config_files", "expected a list"),
])
func refusesBadGlobs(_ bad: BadText) { expectOneFault(bad) }

// MARK: - Blocks for servers

@Test(arguments: [
  BadText("rule_files: [a.rules]", "1:13", "rule_files", "field rule_files is not allowed in agent mode"),
  BadText("remote_read: [{url: http://a}]", "1:14", "remote_read", "field remote_read is not allowed in agent mode"),
  BadText("alerting: {alertmanagers: [{}]}", "1:11", "alerting", "field alerting is not allowed in agent mode"),
  BadText("alerting: {alert_relabel_configs: [{}]}", "1:11", "alerting", "field alerting is not allowed"),
])
func refusesBlocksForServers(_ bad: BadText) throws {
  expectOneFault(bad)
  var options = Configuration.Options()
  options.ignoresServerBlocks = true
  let configuration = try Configuration.parse(Array(bad.yaml.utf8), file: "p.yml", options: options)
  #expect(configuration.ignoredBlocks == [bad.path])
}

@Test func takesEmptyBlocksForServers() throws {
  let text = "rule_files: []\nalerting: {alertmanagers: []}\nremote_read:\n"
  #expect(try configuration(text).ignoredBlocks.isEmpty)
}

// MARK: - Blocks without effect

@Test(arguments: [
  "runtime: {gogc: 50}", "runtime:",
  "storage: {tsdb: {out_of_order_time_window: 30m, retention: {time: 1d, size: 1GB}}, exemplars: {max_exemplars: 5}}",
  "otlp: {promote_resource_attributes: [a, b], translation_strategy: NoTranslation, convert_histograms_to_nhcb: true}",
  "otlp: {promote_all_resource_attributes: true, ignore_resource_attributes: [a]}",
  "global: {query_log_file: q.log, rule_query_offset: 5s, evaluation_interval: 30s}",
])
func takesWhatAnAgentDoesNotActOn(_ yaml: String) { #expect(problems(yaml).isEmpty) }

@Test(arguments: [
  BadText("runtime: {gogc: x}", "1:17", "runtime.gogc", "a whole number"),
  BadText("runtime: {gc: 1}", "1:11", "runtime.gc", "unknown key"),
  BadText(
    "storage: {tsdb: {out_of_order_time_window: 5}}", "1:44", "storage.tsdb.out_of_order_time_window", "duration"),
  BadText(
    "otlp: {translation_strategy: x}", "1:30", "otlp.translation_strategy", "unsupported OTLP translation strategy"),
  BadText("otlp: {ignore_resource_attributes: [a]}", "1:36", "otlp.ignore_resource_attributes", "cannot be configured"),
  BadText(
    "otlp: {promote_resource_attributes: [a, a]}", "1:41", "otlp.promote_resource_attributes[1]", "duplicated promoted"),
  BadText(
    "global: {metric_name_validation_scheme: legacy}\notlp: {translation_strategy: NoTranslation}", "2:30",
    "otlp.translation_strategy", "not allowed when UTF8 is disabled"),
])
func refusesBadBlocksWithoutEffect(_ bad: BadText) { expectOneFault(bad) }
