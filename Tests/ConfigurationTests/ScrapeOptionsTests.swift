import Exposition
import Relabeling
import Testing

@testable import Configuration

/// The first job of a text.
private func firstJob(_ yaml: String) throws -> ScrapeConfiguration {
  try #require(try configuration(yaml).scrapeConfigs.first)
}

@Test func readsAllLimits() throws {
  let limits = try firstJob(
    job(
      "body_size_limit: 15MB", "sample_limit: 1_000", "target_limit: 0x10", "label_limit: 1e3",
      "label_name_length_limit: 017", "label_value_length_limit: 5", "keep_dropped_targets: 6")
  ).limits
  #expect(limits.bodySize == 15 << 20 && limits.samples == 1000 && limits.targets == 16 && limits.labels == 1000)
  #expect(limits.labelNameLength == 15 && limits.labelValueLength == 5 && limits.droppedTargets == 6)
}

@Test func limitsComeFromGlobalWhereTheyAreZero() throws {
  let global = "global: {sample_limit: 7, body_size_limit: 1KB, keep_dropped_targets: 3}\n"
  let limits = try firstJob(global + job("sample_limit: 0", "label_limit: 2", "body_size_limit: 0")).limits
  #expect(limits.samples == 7 && limits.bodySize == 1024 && limits.droppedTargets == 3 && limits.labels == 2)
  #expect(try firstJob(global + job("sample_limit: 9")).limits.samples == 9)
  #expect(try firstJob(job("sample_limit: 0")).limits == ScrapeLimits())
}

@Test func switchesComeFromGlobal() throws {
  let keys = ["always_scrape_classic_histograms", "extra_scrape_metrics"]
  func values(_ job: ScrapeConfiguration) -> [Bool] {
    [job.alwaysScrapeClassicHistograms, job.extraScrapeMetrics]
  }
  let global = "global: {\(keys.map { "\($0): true" }.joined(separator: ", "))}\n"
  #expect(values(try firstJob(job("honor_labels: true"))) == [false, false])
  #expect(values(try firstJob(global + job("honor_labels: true"))) == [true, true])
  for (index, key) in keys.enumerated() {
    let own = values(try firstJob(global + job("\(key): false")))
    #expect(own.indices.map { own[$0] } == keys.indices.map { $0 != index })
  }
}

@Test func readsOptionsOfHistogramsAndTimestamps() throws {
  let given = try firstJob(
    job(
      "track_timestamps_staleness: true", "native_histogram_bucket_limit: 160",
      "native_histogram_min_bucket_factor: 1.1"))
  #expect(given.trackTimestampsStaleness && given.nativeHistogramBucketLimit == 160)
  #expect(given.nativeHistogramMinBucketFactor == 1.1)
}

@Test(arguments: [
  ("{}", "honor_labels: true", NameScheme.utf8, NameEscaping.allowUTF8),
  ("{metric_name_validation_scheme: legacy}", "honor_labels: true", .legacy, .underscores),
  ("{metric_name_validation_scheme: legacy}", "metric_name_validation_scheme: utf8", .utf8, .allowUTF8),
  ("{metric_name_escaping_scheme: dots}", "honor_labels: true", .utf8, .dots),
  ("{metric_name_escaping_scheme: dots}", "metric_name_validation_scheme: legacy", .legacy, .underscores),
  ("{}", "metric_name_escaping_scheme: values", .utf8, .values),
  ("{metric_name_validation_scheme: ''}", "metric_name_escaping_scheme: ''", .utf8, .allowUTF8),
])
func schemesOfNamesFollowGlobal(_ global: String, _ line: String, _ scheme: NameScheme, _ escaping: NameEscaping) throws
{
  let names = try firstJob("global: \(global)\n" + job(line)).names
  #expect(names.scheme == scheme && names.escaping == escaping)
}

@Test(arguments: [
  BadText("global: {metric_name_validation_scheme: x}", "1:41", "global.metric_name_validation_scheme", "unknown name"),
  BadText(
    job("metric_name_validation_scheme: legacy", "metric_name_escaping_scheme: allow-utf-8"), "4:32",
    "scrape_configs[0].metric_name_escaping_scheme", "utf8 metric names requested"),
  BadText(
    job("metric_name_escaping_scheme: x"), "3:32", "scrape_configs[0].metric_name_escaping_scheme",
    "'allow-utf-8', 'underscores', 'dots', 'values'"),
  BadText(job("sample_limit: -1"), "3:17", "scrape_configs[0].sample_limit", "not negative"),
  BadText(job("sample_limit: 1.5"), "3:17", "scrape_configs[0].sample_limit", "a whole number"),
  BadText(job("body_size_limit: 5"), "3:20", "scrape_configs[0].body_size_limit", "a size such as 10MB"),
  BadText(job("body_size_limit: 1MBKB"), "3:20", "scrape_configs[0].body_size_limit", "a size such as 10MB"),
  BadText(
    job("native_histogram_min_bucket_factor: nan"), "3:39", "scrape_configs[0].native_histogram_min_bucket_factor",
    "expected a number"),
])
func refusesBadOptions(_ bad: BadText) { expectOneFault(bad) }

private let legacy = "metric_name_validation_scheme: legacy"

@Test(arguments: [
  ("target_label: a.b", false), ("target_label: 'a-$1'", false), ("target_label: '${x}_$1b'", true),
  ("target_label: '1$1'", false), ("target_label: '${1'", false), ("target_label: 'a$'", false),
  ("action: labelmap, replacement: 'a.$1'", false), ("action: labelmap, replacement: 'a_$1'", true),
  ("action: lowercase, target_label: '$1'", false), ("action: hashmod, modulus: 3, target_label: a1", true),
])
func rulesNameLabelsByTheScheme(_ rule: String, _ isLegacy: Bool) {
  let rules = "metric_relabel_configs: [{\(rule)}]"
  #expect(problems(job(legacy, rules)).isEmpty == isLegacy)
  #expect(problems(job(rules)).isEmpty)
}

@Test func legacyRulesGiveNoOtherNames() throws {
  let rule = "metric_relabel_configs: [{source_labels: [a], target_label: '$1'}]"
  for (lines, count) in [([legacy, rule], 1), ([rule], 2)] {
    var labels = LabelSet([(name: "a", value: "b.c")])
    let given = try firstJob("scrape_configs:\n- job_name: j\n" + lines.map { "  \($0)\n" }.joined())
    #expect(given.metricRelabelRules.apply(to: &labels))
    #expect(labels.count == count)
  }
}

@Test(
  arguments: [
    ("0", 0), ("1B", 1), ("1KB", 1024), ("1KiB", 1024), ("1.5MB", 3 << 19), ("1MB500KB", 1 << 20 + 500 << 10),
    ("2EiB", 2 << 60),
  ] as [(String, Int)])
func readsSizes(_ text: String, _ bytes: Int) { #expect(Int(prometheusBytes: text) == bytes) }

@Test(arguments: ["", "1", "MB", "1mb", "1 MB", "-1MB", "1MBx", "1iB", "1KiB1KB", "8EiB", "1e3B", ".B", "1..5MB"])
func refusesSizes(_ text: String) { #expect(Int(prometheusBytes: text) == nil) }

@Test(arguments: [("0", "0B"), ("15MB", "15MiB"), ("1.5MB", "1MiB512KiB"), ("100B", "100B"), ("4EiB", "4EiB")])
func writesSizes(_ text: String, _ written: String) { #expect(Int(prometheusBytes: text)?.prometheusBytes == written) }
