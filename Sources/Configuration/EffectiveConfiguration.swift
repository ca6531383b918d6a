// The configuration as it is in force: what the file says, with the defaults filled in, in the order in which
// Prometheus shows its own (https://prometheus.io/docs/prometheus/latest/querying/api/#config).

import Relabeling
import YAML

/// Writes the main file of a configuration that has no faults.
struct EffectiveConfiguration {
  private let top: BlockReader
  private let directory: String

  /// - Parameter directory: the folder of the file, from which relative paths count.
  init(_ top: BlockReader, _ directory: String) {
    self.top = top
    self.directory = directory
  }

  func text(
    _ global: GlobalConfiguration, _ jobs: [ScrapeConfiguration], _ remotes: [RemoteWriteConfiguration]
  ) -> String {
    var members = Members()
    members.add("global", global.members, source: top.node("global"), directory)
    for key in UnusedBlocks.keys + UnusedBlocks.serverKeys + ["scrape_config_files"] {
      if let node = top.node(key) { members.add(key, Masking.masked(node, key, directory)) }
    }
    for (key, entries) in [("scrape_configs", jobs.map(\.members)), ("remote_write", remotes.map(\.members))]
    where !entries.isEmpty {
      let sources = top.elements(key).map(\.node)
      let nodes = zip(entries, sources).map { $0.completed(by: $1, directory) }
      members.add(key, .list(nodes))
    }
    return members.node.document
  }
}

/// The members of a block, in the order in which they are shown.
private struct Members {
  private var list: [(key: String, value: YAMLNode)] = []
  /// Keys that are shown as they were read, or left out because of their value.
  private var keys: Set<String> = []

  var node: YAMLNode { .block(list) }

  mutating func add(_ key: String, _ value: YAMLNode?) {
    keys.insert(key)
    if let value { list.append((key, value)) }
  }

  mutating func add(_ key: String, _ members: Members, source: YAMLNode?, _ directory: String) {
    add(key, members.completed(by: source ?? .block([]), directory))
  }

  mutating func add(_ key: String, _ text: String?) { add(key, text.flatMap { $0.isEmpty ? nil : YAMLNode.text($0) }) }
  mutating func add(_ key: String, _ time: Duration) { add(key, YAMLNode.plain(time.prometheusText)) }
  mutating func add(_ key: String, _ value: Bool) { add(key, YAMLNode.bool(value)) }
  mutating func add(_ key: String, _ number: Int) { add(key, YAMLNode.plain("\(number)")) }
  mutating func add(_ key: String, unlessFalse value: Bool) { add(key, value ? YAMLNode.bool(value) : nil) }
  mutating func add(_ key: String, unlessZero number: Int) { add(key, number == 0 ? nil : YAMLNode.plain("\(number)")) }
  mutating func add(_ key: String, unlessZero time: Duration) {
    add(key, time == .zero ? nil : YAMLNode.plain(time.prometheusText))
  }
  mutating func add(_ key: String, unlessEmpty elements: [YAMLNode]) {
    add(key, elements.isEmpty ? nil : .list(elements))
  }
  mutating func add(_ key: String, unlessEmpty members: [(key: String, value: YAMLNode)]) {
    add(key, members.isEmpty ? nil : .block(members))
  }

  /// With what else stands in the file, as it stands there.
  func completed(by source: YAMLNode, _ directory: String) -> YAMLNode {
    var all = self
    if case .mapping(let given) = source.content {
      for member in given where !keys.contains(member.key) {
        let shown = Masking.masked(member.value, member.key, directory)
        all.add(member.key, DiscoveryDefaults.completed(shown, member.key))
      }
    }
    all.addHTTPDefaults()
    return all.node
  }

  // MARK: HTTP

  /// Keys of Prometheus' HTTP client whose defaults are shown, if the block has such a client.
  private var httpDefaults: [(key: String, value: Bool)] = []

  mutating func addHTTPClient(http2: Bool) { httpDefaults = [("follow_redirects", true), ("enable_http2", http2)] }

  private mutating func addHTTPDefaults() {
    for (key, value) in httpDefaults where !keys.contains(key) { add(key, value) }
  }
}

// MARK: - Blocks

extension GlobalConfiguration {
  fileprivate var members: Members {
    var members = Members()
    members.add("scrape_interval", scrapeInterval)
    members.add("scrape_timeout", scrapeTimeout)
    members.add("scrape_protocols", unlessEmpty: (scrapeProtocols ?? []).map { .text($0.rawValue) })
    members.add("evaluation_interval", evaluationInterval)
    members.add("external_labels", unlessEmpty: externalLabels.map { ($0.name, .text($0.value)) })
    members.add(limits)
    members.add("metric_name_validation_scheme", names.scheme.rawValue)
    members.add("metric_name_escaping_scheme", names.escaping.rawValue)
    members.add("scrape_native_histograms", scrapeNativeHistograms)
    members.add("convert_classic_histograms_to_nhcb", unlessFalse: convertClassicHistogramsToNHCB)
    members.add("always_scrape_classic_histograms", unlessFalse: alwaysScrapeClassicHistograms)
    members.add("extra_scrape_metrics", unlessFalse: extraScrapeMetrics)
    return members
  }
}

extension ScrapeConfiguration {
  fileprivate var members: Members {
    var members = Members()
    members.add("job_name", jobName)
    members.add("honor_labels", unlessFalse: honorLabels)
    members.add("honor_timestamps", honorTimestamps)
    members.add("track_timestamps_staleness", trackTimestampsStaleness)
    members.add("params", unlessEmpty: params.map { ($0.name, .list($0.values.map(YAMLNode.text))) })
    members.add("scrape_interval", scrapeInterval)
    members.add("scrape_timeout", scrapeTimeout)
    members.add("scrape_protocols", unlessEmpty: scrapeProtocols.map { .text($0.rawValue) })
    members.add("fallback_scrape_protocol", fallbackScrapeProtocol?.rawValue)
    members.add("scrape_native_histograms", scrapeNativeHistograms)
    members.add("always_scrape_classic_histograms", alwaysScrapeClassicHistograms)
    members.add("convert_classic_histograms_to_nhcb", convertClassicHistogramsToNHCB)
    members.add("metrics_path", metricsPath)
    members.add("scheme", scheme)
    members.add("enable_compression", enableCompression)
    members.add(limits)
    members.add("native_histogram_bucket_limit", unlessZero: nativeHistogramBucketLimit)
    let factor = nativeHistogramMinBucketFactor
    members.add("native_histogram_min_bucket_factor", factor == 0 ? nil : YAMLNode.plain("\(factor)"))
    members.add("metric_name_validation_scheme", names.scheme.rawValue)
    members.add("metric_name_escaping_scheme", names.escaping.rawValue)
    members.add("extra_scrape_metrics", extraScrapeMetrics)
    members.add("relabel_configs", unlessEmpty: relabelRules.nodes)
    members.add("metric_relabel_configs", unlessEmpty: metricRelabelRules.nodes)
    members.addHTTPClient(http2: true)
    return members
  }
}

extension RemoteWriteConfiguration {
  fileprivate var members: Members {
    var members = Members()
    members.add("url", Masking.withoutPassword(url))
    members.add("remote_timeout", remoteTimeout)
    members.add("headers", unlessEmpty: headers.map { ($0.name, .text(Masking.header($0.name, $0.value))) })
    members.add("write_relabel_configs", unlessEmpty: writeRelabelRules.nodes)
    members.add("name", name)
    members.add("send_exemplars", unlessFalse: sendExemplars)
    members.add("send_native_histograms", unlessFalse: sendNativeHistograms)
    members.add("round_robin_dns", unlessFalse: httpClient.spreadsConnections)
    members.add("protobuf_message", message.rawValue)
    members.add("queue_config", queue.node)
    members.add("metadata_config", metadata.node)
    members.addHTTPClient(http2: false)
    return members
  }
}

extension RemoteWriteConfiguration.Queue {
  fileprivate var node: YAMLNode {
    var members = Members()
    members.add("capacity", capacity)
    members.add("max_shards", maxShards)
    members.add("min_shards", minShards)
    members.add("max_samples_per_send", maxSamplesPerSend)
    members.add("batch_send_deadline", batchSendDeadline)
    members.add("min_backoff", minBackoff)
    members.add("max_backoff", maxBackoff)
    members.add("retry_on_http_429", retryOnHTTP429)
    members.add("sample_age_limit", unlessZero: sampleAgeLimit)
    return members.node
  }
}

extension RemoteWriteConfiguration.Metadata {
  fileprivate var node: YAMLNode {
    var members = Members()
    members.add("send", send)
    members.add("send_interval", sendInterval)
    members.add("max_samples_per_send", maxSamplesPerSend)
    return members.node
  }
}

extension Members {
  mutating func add(_ limits: ScrapeLimits) {
    add("body_size_limit", limits.bodySize == 0 ? nil : YAMLNode.text(limits.bodySize.prometheusBytes))
    for (key, field) in ScrapeLimits.counts { add(key, unlessZero: limits[keyPath: field]) }
  }
}

extension RelabelRules {
  fileprivate var nodes: [YAMLNode] {
    rules.map(\.definition).map { rule in
      var members = Members()
      members.add("source_labels", unlessEmpty: rule.sourceLabels.map(YAMLNode.text))
      members.add("separator", rule.separator)
      members.add("regex", rule.regex)
      members.add("modulus", rule.modulus == 0 ? nil : YAMLNode.plain("\(rule.modulus)"))
      members.add("target_label", rule.targetLabel)
      members.add("replacement", rule.replacement)
      members.add("action", rule.action.rawValue)
      return members.node
    }
  }
}
