import HTTPClient
import Relabeling
import YAML

/// One entry of `scrape_configs`.
public struct ScrapeConfiguration: Sendable, Equatable {
  /// One entry of `static_configs`.
  public struct StaticTargets: Sendable, Equatable {
    /// `host:port` each.
    public var targets: [String]
    public var labels: [ConfiguredLabel]
  }

  /// A parameter of a URL's query, with its values.
  public struct Parameter: Sendable, Equatable {
    public var name: String
    public var values: [String]

    public init(name: String, values: [String]) {
      self.name = name
      self.values = values
    }
  }

  public var jobName: String
  public var scrapeInterval: Duration
  public var scrapeTimeout: Duration
  public var metricsPath = "/metrics"
  public var scheme = "http"
  /// TLS, credentials and proxy.
  public var httpClient = HTTPClientOptions()
  public var params: [Parameter] = []
  public var honorLabels = false
  public var honorTimestamps = true
  /// Whether series with the target's own timestamps get staleness markers too.
  public var trackTimestampsStaleness = false
  /// In the order of preference; not empty.
  public var scrapeProtocols = ScrapeProtocol.defaults
  /// How an answer is read whose Content-Type says nothing of use; nil: such an answer is an error.
  public var fallbackScrapeProtocol: ScrapeProtocol?
  public var scrapeNativeHistograms = false
  /// Whether classic histograms become native ones with custom buckets.
  public var convertClassicHistogramsToNHCB: Bool
  /// Whether a histogram's classic buckets are taken beside its native ones.
  public var alwaysScrapeClassicHistograms: Bool
  /// Buckets of a native histogram, which is made coarser until it has no more; zero: no limit.
  public var nativeHistogramBucketLimit = 0
  /// How much wider than the one before it a bucket is at least; histograms that are finer are made coarser.
  public var nativeHistogramMinBucketFactor = 0.0
  /// Whether there are `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes`.
  public var extraScrapeMetrics: Bool
  public var limits: ScrapeLimits
  public var names: NameRules
  /// Whether targets are asked for gzip.
  public var enableCompression = true
  /// For the labels of targets.
  public var relabelRules = RelabelRules()
  /// For the labels of scraped series.
  public var metricRelabelRules = RelabelRules()
  /// Files that the job names for credentials and TLS, those of its mechanisms of discovery included.
  public var namedFiles: [NamedFile] = []
  public var staticConfigs: [StaticTargets] = []
  public var fileDiscoveries: [FileDiscoveryConfiguration] = []
  public var httpDiscoveries: [HTTPDiscoveryConfiguration] = []
  public var ec2Discoveries: [EC2DiscoveryConfiguration] = []
  public var ecsDiscoveries: [ECSDiscoveryConfiguration] = []
  public var dnsDiscoveries: [DNSDiscoveryConfiguration] = []
  public var consulDiscoveries: [ConsulDiscoveryConfiguration] = []
  public var kubernetesDiscoveries: [KubernetesDiscoveryConfiguration] = []

  private static let keys = BlockKeys(
    served: [
      "job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params", "honor_labels",
      "honor_timestamps", "enable_compression", "scrape_protocols", "fallback_scrape_protocol",
      "scrape_native_histograms", "relabel_configs", "metric_relabel_configs", "static_configs", "file_sd_configs",
      "http_sd_configs", "dns_sd_configs", "consul_sd_configs", "kubernetes_sd_configs", "ec2_sd_configs",
      "ecs_sd_configs",
      "track_timestamps_staleness", "native_histogram_bucket_limit", "native_histogram_min_bucket_factor",
      "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms", "extra_scrape_metrics",
    ] + httpClientKeys + ScrapeLimits.keys + NameRules.keys,
    known: [
      "scrape_failure_log_file", "aws_sd_configs", "azure_sd_configs",
      "digitalocean_sd_configs", "docker_sd_configs", "dockerswarm_sd_configs",
      "eureka_sd_configs", "gce_sd_configs",
      "hetzner_sd_configs", "ionos_sd_configs", "kuma_sd_configs",
      "lightsail_sd_configs", "linode_sd_configs", "marathon_sd_configs", "nerve_sd_configs", "nomad_sd_configs",
      "openstack_sd_configs", "ovhcloud_sd_configs", "puppetdb_sd_configs", "scaleway_sd_configs",
      "serverset_sd_configs", "stackit_sd_configs", "triton_sd_configs", "uyuni_sd_configs", "vultr_sd_configs",
    ])
  private static let staticKeys = BlockKeys(served: ["targets", "labels"])

  /// A job with the defaults.
  public init(jobName: String) {
    self.jobName = jobName
    let global = GlobalConfiguration()
    scrapeInterval = global.scrapeInterval
    scrapeTimeout = global.scrapeTimeout
    limits = global.limits
    names = global.names
    convertClassicHistogramsToNHCB = global.convertClassicHistogramsToNHCB
    alwaysScrapeClassicHistograms = global.alwaysScrapeClassicHistograms
    extraScrapeMetrics = global.extraScrapeMetrics
  }

  init(_ block: BlockReader, _ global: GlobalConfiguration, _ directory: String) {
    jobName = block.string("job_name") ?? ""
    scrapeInterval = block.duration("scrape_interval").flatMap { $0 > .zero ? $0 : nil } ?? global.scrapeInterval
    scrapeTimeout = min(global.scrapeTimeout, scrapeInterval)
    limits = ScrapeLimits(block, inherited: global.limits)
    names = NameRules(block, inherited: global.names)
    convertClassicHistogramsToNHCB =
      block.bool("convert_classic_histograms_to_nhcb") ?? global.convertClassicHistogramsToNHCB
    alwaysScrapeClassicHistograms =
      block.bool("always_scrape_classic_histograms") ?? global.alwaysScrapeClassicHistograms
    extraScrapeMetrics = block.bool("extra_scrape_metrics") ?? global.extraScrapeMetrics
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
    trackTimestampsStaleness = block.bool("track_timestamps_staleness") ?? trackTimestampsStaleness
    scrapeNativeHistograms = block.bool("scrape_native_histograms") ?? global.scrapeNativeHistograms
    nativeHistogramBucketLimit = block.unsigned("native_histogram_bucket_limit").map { Int(clamping: $0) } ?? 0
    nativeHistogramMinBucketFactor = block.number("native_histogram_min_bucket_factor") ?? 0
    scrapeProtocols =
      block.scrapeProtocols("scrape_protocols") ?? global.scrapeProtocols
      ?? (scrapeNativeHistograms ? ScrapeProtocol.protobufFirst : ScrapeProtocol.defaults)
    fallbackScrapeProtocol = block.scrapeProtocol("fallback_scrape_protocol", job: jobName)
    params = Self.params(block)
    relabelRules = block.relabelRules(
      "relabel_configs", names.scheme, null: "empty or null target relabeling rule in scrape config")
    metricRelabelRules = block.relabelRules(
      "metric_relabel_configs", names.scheme, null: "empty or null metric relabeling rule in scrape config")
    // Rules may make an address of what is none yet.
    let mustBeAddresses = relabelRules.isEmpty
    staticConfigs = block.blocks("static_configs", Self.staticKeys).map {
      Self.staticTargets($0, mustBeAddresses: mustBeAddresses)
    }
    namedFiles = NamedFile.all(in: block.node, directory)
    fileDiscoveries = FileDiscoveryConfiguration.list(block, directory)
    httpDiscoveries = HTTPDiscoveryConfiguration.list(block, directory)
    dnsDiscoveries = DNSDiscoveryConfiguration.list(block)
    consulDiscoveries = ConsulDiscoveryConfiguration.list(block, directory)
    ec2Discoveries = EC2DiscoveryConfiguration.list(block, directory)
    ecsDiscoveries = ECSDiscoveryConfiguration.list(block, directory)
    kubernetesDiscoveries = KubernetesDiscoveryConfiguration.list(block, directory)
  }

  /// - Parameters:
  ///   - directory: the folder of the file.
  ///   - names: the jobs that there are already, to which these are added.
  static func list(
    _ top: BlockReader, _ global: GlobalConfiguration, _ directory: String, _ names: inout JobNames, in file: String
  ) -> [ScrapeConfiguration] {
    top.blocks("scrape_configs", keys, null: "empty or null scrape config section").map { block in
      let job = ScrapeConfiguration(block, global, directory)
      if !job.jobName.isEmpty, let other = names.add(job.jobName, in: file) {
        block.refuse(
          "job_name",
          "found multiple scrape configs with job name \"\(shown(job.jobName))\""
            + (other == file ? "" : ", first found in \(other)"))
      }
      return job
    }
  }

  private static func params(_ block: BlockReader) -> [Parameter] {
    block.pairs("params").map { pair in
      if case .null = pair.value.content { return Parameter(name: pair.key, values: []) }
      let path = block.path(of: "params", pair.key)
      guard case .sequence(let values) = pair.value.content else {
        block.problems.add(pair.value.position, path, "expected a list of values, found \(pair.value.kind)")
        return Parameter(name: pair.key, values: [])
      }
      return Parameter(
        name: pair.key,
        values: values.compactMap { value in
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
