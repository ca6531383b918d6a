import HTTPClient
import Relabeling
import YAML

/// A label as the file states it. Names and values are compared as bytes.
public struct ConfiguredLabel: Sendable, Equatable {
  public var name: String
  public var value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  public static func == (left: ConfiguredLabel, right: ConfiguredLabel) -> Bool {
    left.name.utf8.elementsEqual(right.name.utf8) && left.value.utf8.elementsEqual(right.value.utf8)
  }
}

/// The `global` block.
public struct GlobalConfiguration: Sendable {
  public var scrapeInterval: Duration = .seconds(60)
  public var scrapeTimeout: Duration = .seconds(10)
  /// With variables of the environment filled in.
  public var externalLabels: [ConfiguredLabel] = []
  /// Nil when the file gives none.
  public var scrapeProtocols: [ScrapeProtocol]?
  public var scrapeNativeHistograms = false

  private static let keys = BlockKeys(
    served: [
      "scrape_interval", "scrape_timeout", "evaluation_interval", "external_labels", "scrape_protocols",
      "scrape_native_histograms",
    ],
    known: [
      "rule_query_offset", "query_log_file", "scrape_failure_log_file", "body_size_limit", "sample_limit",
      "target_limit", "label_limit", "label_name_length_limit", "label_value_length_limit",
      "keep_dropped_targets", "metric_name_validation_scheme", "metric_name_escaping_scheme",
      "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms", "extra_scrape_metrics",
    ])

  init() {}

  init(_ top: BlockReader, environment: (String) -> String?) {
    guard let block = top.block("global", Self.keys) else { return }
    if let interval = block.duration("scrape_interval"), interval > .zero { scrapeInterval = interval }
    if let timeout = block.duration("scrape_timeout"), timeout > .zero {
      scrapeTimeout = timeout
      if timeout > scrapeInterval {
        block.refuse("scrape_timeout", "global scrape timeout greater than scrape interval")
      }
    } else {
      scrapeTimeout = min(scrapeTimeout, scrapeInterval)
    }
    // Rules are evaluated by the receiver; the key is read for its form only.
    _ = block.duration("evaluation_interval")
    scrapeProtocols = block.scrapeProtocols("scrape_protocols")
    scrapeNativeHistograms = block.bool("scrape_native_histograms") ?? scrapeNativeHistograms
    externalLabels = block.labels("external_labels", refused: ["__name__"]).map { label in
      ConfiguredLabel(name: label.name, value: expand(label.value, environment))
    }
  }
}

/// One entry of `scrape_configs`.
public struct ScrapeConfiguration: Sendable {
  /// One entry of `static_configs`.
  public struct StaticTargets: Sendable {
    /// `host:port` each.
    public var targets: [String]
    public var labels: [ConfiguredLabel]
  }

  public var jobName: String
  public var scrapeInterval: Duration
  public var scrapeTimeout: Duration
  public var metricsPath = "/metrics"
  public var scheme = "http"
  /// TLS, credentials and proxy.
  public var httpClient = HTTPClientOptions()
  /// Parameters of the URL's query, each with its values.
  public var params: [(name: String, values: [String])] = []
  public var honorLabels = false
  public var honorTimestamps = true
  /// In the order of preference; not empty.
  public var scrapeProtocols = ScrapeProtocol.defaults
  /// How an answer is read whose Content-Type says nothing of use; nil: such an answer is an error.
  public var fallbackScrapeProtocol: ScrapeProtocol?
  public var scrapeNativeHistograms = false
  /// Whether targets are asked for gzip.
  public var enableCompression = true
  /// For the labels of targets.
  public var relabelRules = RelabelRules()
  /// For the labels of scraped series.
  public var metricRelabelRules = RelabelRules()
  public var staticConfigs: [StaticTargets] = []
  public var fileDiscoveries: [FileDiscoveryConfiguration] = []
  public var kubernetesDiscoveries: [KubernetesDiscoveryConfiguration] = []

  private static let keys = BlockKeys(
    served: [
      "job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params", "honor_labels",
      "honor_timestamps", "enable_compression", "scrape_protocols", "fallback_scrape_protocol",
      "scrape_native_histograms", "relabel_configs", "metric_relabel_configs", "static_configs", "file_sd_configs",
      "kubernetes_sd_configs",
    ] + httpClientKeys,
    known: [
      "track_timestamps_staleness", "body_size_limit", "sample_limit", "label_limit", "label_name_length_limit",
      "label_value_length_limit",
      "target_limit", "keep_dropped_targets", "native_histogram_bucket_limit", "native_histogram_min_bucket_factor",
      "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms", "extra_scrape_metrics",
      "metric_name_validation_scheme", "metric_name_escaping_scheme",
      "scrape_failure_log_file", "aws_sd_configs", "azure_sd_configs",
      "consul_sd_configs", "digitalocean_sd_configs", "dns_sd_configs", "docker_sd_configs", "dockerswarm_sd_configs",
      "ec2_sd_configs", "ecs_sd_configs", "eureka_sd_configs", "gce_sd_configs",
      "hetzner_sd_configs", "http_sd_configs", "ionos_sd_configs", "kuma_sd_configs",
      "lightsail_sd_configs", "linode_sd_configs", "marathon_sd_configs", "nerve_sd_configs", "nomad_sd_configs",
      "openstack_sd_configs", "ovhcloud_sd_configs", "puppetdb_sd_configs", "scaleway_sd_configs",
      "serverset_sd_configs", "stackit_sd_configs", "triton_sd_configs", "uyuni_sd_configs", "vultr_sd_configs",
    ])
  private static let staticKeys = BlockKeys(served: ["targets", "labels"])

  init(_ block: BlockReader, _ global: GlobalConfiguration, _ directory: String) {
    jobName = block.string("job_name") ?? ""
    scrapeInterval = block.duration("scrape_interval").flatMap { $0 > .zero ? $0 : nil } ?? global.scrapeInterval
    scrapeTimeout = min(global.scrapeTimeout, scrapeInterval)
    if jobName.isEmpty { block.refuse("job_name", "a job needs a name") }
    if let timeout = block.duration("scrape_timeout"), timeout > .zero {
      scrapeTimeout = timeout
      if timeout > scrapeInterval {
        block.refuse(
          "scrape_timeout",
          "scrape timeout greater than scrape interval for scrape config with job name \"\(shown(jobName))\"")
      }
    }
    if let path = block.string("metrics_path") { metricsPath = path }
    if let scheme = block.string("scheme") {
      self.scheme = scheme
      if scheme != "http", scheme != "https" { block.refuse("scheme", "expected http or https") }
    }
    httpClient = block.httpClientOptions(directory)
    honorLabels = block.bool("honor_labels") ?? honorLabels
    honorTimestamps = block.bool("honor_timestamps") ?? honorTimestamps
    enableCompression = block.bool("enable_compression") ?? enableCompression
    scrapeNativeHistograms = block.bool("scrape_native_histograms") ?? global.scrapeNativeHistograms
    scrapeProtocols =
      block.scrapeProtocols("scrape_protocols") ?? global.scrapeProtocols
      ?? (scrapeNativeHistograms ? ScrapeProtocol.protobufFirst : ScrapeProtocol.defaults)
    fallbackScrapeProtocol = block.scrapeProtocol("fallback_scrape_protocol", job: jobName)
    params = Self.params(block)
    relabelRules = block.relabelRules(
      "relabel_configs", null: "empty or null target relabeling rule in scrape config")
    metricRelabelRules = block.relabelRules(
      "metric_relabel_configs", null: "empty or null metric relabeling rule in scrape config")
    // Rules may make an address of what is none yet.
    let mustBeAddresses = relabelRules.isEmpty
    staticConfigs = block.blocks("static_configs", Self.staticKeys).map {
      Self.staticTargets($0, mustBeAddresses: mustBeAddresses)
    }
    fileDiscoveries = FileDiscoveryConfiguration.list(block, directory)
    kubernetesDiscoveries = KubernetesDiscoveryConfiguration.list(block, directory)
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(
    _ top: BlockReader, _ global: GlobalConfiguration, _ directory: String
  ) -> [ScrapeConfiguration] {
    var names: Set<[UInt8]> = []
    return top.blocks("scrape_configs", keys).map { block in
      let job = ScrapeConfiguration(block, global, directory)
      if !job.jobName.isEmpty, !names.insert(Array(job.jobName.utf8)).inserted {
        block.refuse("job_name", "found multiple scrape configs with job name \"\(shown(job.jobName))\"")
      }
      return job
    }
  }

  private static func params(_ block: BlockReader) -> [(name: String, values: [String])] {
    block.pairs("params").map { pair in
      if case .null = pair.value.content { return (pair.key, []) }
      let path = block.path(of: "params", pair.key)
      guard case .sequence(let values) = pair.value.content else {
        block.problems.add(pair.value.position, path, "expected a list of values, found \(pair.value.kind)")
        return (pair.key, [])
      }
      return (
        pair.key,
        values.compactMap { value in
          if case .scalar(let text, _) = value.content { return text }
          if case .null = value.content { return "" }
          block.problems.add(value.position, path, "expected a text, found \(value.kind)")
          return nil
        }
      )
    }
  }

  private static func staticTargets(_ block: BlockReader, mustBeAddresses: Bool) -> StaticTargets {
    let targets = block.strings("targets") { target in
      if target.isEmpty { return "a target is HOST:PORT, not an empty text" }
      guard mustBeAddresses, target.utf8.contains(UInt8(ascii: "/")) else { return nil }
      return "\"\(shown(target))\" is not a valid hostname: a target is HOST:PORT, without scheme and path"
    }
    return StaticTargets(targets: targets, labels: block.labels("labels"))
  }
}

/// Puts variables of the environment in the place of `$NAME` and `${NAME}` as Go's os.Expand does; `$$` is a dollar
/// sign. A variable that is not there is empty, as Prometheus has it.
private func expand(_ text: String, _ environment: (String) -> String?) -> String {
  func isDigit(_ scalar: UnicodeScalar) -> Bool { ("0"..."9").contains(scalar) }
  func isName(_ scalar: UnicodeScalar) -> Bool {
    scalar == "_" || isDigit(scalar) || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
  }
  var expanded = String.UnicodeScalarView()
  var rest = text.unicodeScalars[...]
  while let scalar = rest.popFirst() {
    guard scalar == "$", let next = rest.first else {
      expanded.append(scalar)
      continue
    }
    if next == "$" {
      rest.removeFirst()
      expanded.append("$")
    } else if next == "{", let end = rest.firstIndex(of: "}") {
      expanded += (environment(String(rest[rest.index(after: rest.startIndex)..<end])) ?? "").unicodeScalars
      rest = rest[rest.index(after: end)...]
    } else {
      // A name that begins with a digit ends with it.
      let name = isDigit(next) ? rest.prefix(1) : rest.prefix(while: isName)
      rest = rest[name.endIndex...]
      expanded += (name.isEmpty ? "$" : environment(String(name)) ?? "").unicodeScalars
    }
  }
  return String(expanded)
}

extension BlockReader {
  /// A mapping of label names to values.
  ///
  /// - Parameter refused: names that may not stand there.
  fileprivate func labels(_ key: String, refused: Set<String> = []) -> [ConfiguredLabel] {
    texts(key).map { label in
      if label.key.isEmpty || refused.contains(label.key) {
        problems.add(label.position, path(of: key, label.key), "\"\(label.key)\" is not a valid label name")
      }
      return ConfiguredLabel(name: label.key, value: label.text)
    }
  }
}
