// Feeds the reader of configurations mutated ones. What must never happen: a crash, a reader that does not end, a fault
// without a place, or a good configuration whose text, as the agent shows it, is no YAML.
//
//     swift run -c release Fuzz configuration --seconds 60

import Configuration
import Exposition
import Kernel
import YAML

enum ConfigurationFuzz {
  struct Fault: Error, CustomStringConvertible { let description: String }

  private static let seeds = [
    """
    global: {scrape_interval: 1m30s, external_labels: {a: "$X${Y}", b: é}, sample_limit: 0x10, body_size_limit: 1.5MB}
    runtime: {gogc: 75}
    storage: {tsdb: {out_of_order_time_window: 30m}}
    otlp: {promote_resource_attributes: [a, b], translation_strategy: NoTranslation}
    scrape_config_files: [jobs/*.yml]
    """,
    """
    scrape_configs:
    - &base
      job_name: j
      params: {'match[]': ['{a="b"}', c]}
      metric_name_validation_scheme: legacy
      scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]
      static_configs: &s
      - targets: ['[::1]:9100', a:1]
        labels: {x: y}
      relabel_configs:
      - {source_labels: [a, b], separator: ;, regex: '(.*)-(\\d+)', target_label: 'c_$2', replacement: '${1}'}
      - {action: hashmod, source_labels: [__address__], modulus: 1_000, target_label: d}
      - {action: labelmap, regex: '__meta_(.+)', replacement: '$1'}
    - {<<: [*base], job_name: k, static_configs: *s, honor_labels: yes, native_histogram_min_bucket_factor: 1.1}
    - job_name: "l\\n"
      file_sd_configs: [{files: [a.json, b/*.yml], refresh_interval: 5m}]
    """,
    """
    remote_write:
    - url: "http://u:p@h/w"
      name: n
      headers: {X-A: '1'}
      write_relabel_configs: [{action: drop, source_labels: [__name__], regex: "go_.*|.+_bucket"}]
      queue_config:
        capacity: 5
        min_backoff: 5ms
    - url: http://[::1]:1/w
      protobuf_message: io.prometheus.write.v2.Request
      metadata_config: {send: false}
    rule_files: []
    """,
  ].map { WorkingCopy.File(path: "", content: Array($0.utf8)) }

  /// Breaks configurations for so long.
  static func run(_ seconds: Int, _ seed: UInt64) async throws {
    var mutator = Mutator(seed: seed)
    var options = Configuration.Options()
    options.readsJobFiles = false
    var rounds = 0
    var accepted = 0
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    while MonotonicClock.now < end {
      let seed = seeds[mutator.next(below: seeds.count)]
      let text = mutator.mutate(seed.content, beside: seeds)
      options.ignoresServerBlocks = mutator.next(below: 2) == 0
      do {
        try check(try Configuration.parse(text, file: "p.yml", options: options) { $0 == "X" ? "x: \"y" : nil })
        accepted += 1
      } catch let error as ConfigurationError {
        let isPlaced = error.problems.allSatisfy { $0.line > 0 && $0.column > 0 && !$0.reason.isEmpty }
        guard isPlaced, !error.problems.isEmpty else { throw Fault(description: "\(error)") }
      }
      rounds += 1
    }
    print("\(rounds) rounds, \(accepted) accepted")
  }

  private static func check(_ configuration: Configuration) throws {
    do throws(ConfigurationProblem) {
      _ = try YAMLParser.parse(Array(configuration.effective.utf8))
    } catch {
      throw Fault(description: "\(error) in\n\(configuration.effective)")
    }
    let labels = LabelSet([
      (name: "__address__", value: "a:1"), (name: "__meta_b", value: "c-7"), (name: "a", value: ""),
    ])
    for job in configuration.scrapeConfigs { _ = job.relabelRules.steps(labels) }
  }
}
