import YAML

/// One entry of `remote_write`.
public struct RemoteWriteConfiguration: Sendable {
  /// The `queue_config` block.
  public struct Queue: Sendable {
    public var capacity = 10_000
    public var maxShards = 50
    public var minShards = 1
    public var maxSamplesPerSend = 2000
    public var batchSendDeadline: Duration = .seconds(5)
    public var minBackoff: Duration = .milliseconds(30)
    public var maxBackoff: Duration = .seconds(5)
    /// True where Prometheus has false: what a receiver throttles must not be lost.
    public var retryOnHTTP429 = true
    /// Zero: no limit.
    public var sampleAgeLimit: Duration = .zero
  }

  public var url: String
  /// Empty when the file gives none.
  public var name: String
  public var remoteTimeout: Duration = .seconds(30)
  public var queue = Queue()

  private static let keys = BlockKeys(
    served: [
      "url", "name", "remote_timeout", "queue_config", "metadata_config", "send_exemplars", "send_native_histograms",
    ],
    known: httpClientKeys + [
      "headers", "write_relabel_configs", "round_robin_dns", "protobuf_message",
      "failed_request_logging", "sigv4", "azuread", "google_iam",
    ])
  private static let queueKeys = BlockKeys(
    served: [
      "capacity", "max_shards", "min_shards", "max_samples_per_send", "batch_send_deadline", "min_backoff",
      "max_backoff", "retry_on_http_429", "sample_age_limit",
    ])
  private static let metadataKeys = BlockKeys(served: ["send", "send_interval", "max_samples_per_send"])

  init(_ block: BlockReader) {
    url = block.string("url") ?? ""
    name = block.string("name") ?? ""
    if let fault = Self.fault(ofURL: url) { block.refuse("url", fault) }
    if let timeout = block.duration("remote_timeout") {
      remoteTimeout = timeout
      if timeout == .zero { block.refuse("remote_timeout", "must be greater than 0") }
    }
    // Neither exemplars nor native histograms are scraped yet: the keys are read for their form only.
    _ = block.bool("send_exemplars")
    _ = block.bool("send_native_histograms")
    if let metadata = block.block("metadata_config", Self.metadataKeys) {
      // Metadata is not sent yet.
      _ = metadata.bool("send")
      _ = metadata.duration("send_interval")
      _ = metadata.positive("max_samples_per_send")
    }
    if let block = block.block("queue_config", Self.queueKeys) { queue = Queue(block) }
  }

  /// Why the URL cannot be sent to; nil when it can. The URL itself is not repeated: a password may stand in it.
  private static func fault(ofURL url: String) -> String? {
    if url.isEmpty { return "a remote_write needs the URL of its receiver" }
    guard let separator = url.firstRange(of: "://") else { return "expected a URL such as http://HOST/api/v1/write" }
    switch url[..<separator.lowerBound].lowercased() {
    case "http": break
    case "https": return "https is not served by this version of pilotfish"
    default: return "expected a URL that begins with http://"
    }
    let authority = url[separator.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
    return host.isEmpty || host.hasPrefix(":") ? "the URL has no host" : nil
  }

  static func list(_ top: BlockReader) -> [RemoteWriteConfiguration] {
    var names: Set<[UInt8]> = []
    return top.blocks("remote_write", keys).map { block in
      let remote = RemoteWriteConfiguration(block)
      if !remote.name.isEmpty, !names.insert(Array(remote.name.utf8)).inserted {
        block.refuse("name", "found multiple remote write configs with job name \"\(shown(remote.name))\"")
      }
      return remote
    }
  }
}

extension RemoteWriteConfiguration.Queue {
  fileprivate init(_ block: BlockReader) {
    self.init()
    capacity = block.positive("capacity") ?? capacity
    maxShards = block.positive("max_shards") ?? maxShards
    minShards = block.positive("min_shards") ?? minShards
    maxSamplesPerSend = block.positive("max_samples_per_send") ?? maxSamplesPerSend
    batchSendDeadline = block.duration("batch_send_deadline") ?? batchSendDeadline
    minBackoff = block.duration("min_backoff") ?? minBackoff
    maxBackoff = block.duration("max_backoff") ?? maxBackoff
    retryOnHTTP429 = block.bool("retry_on_http_429") ?? retryOnHTTP429
    sampleAgeLimit = block.duration("sample_age_limit") ?? sampleAgeLimit
    for (key, value) in [
      ("batch_send_deadline", batchSendDeadline), ("min_backoff", minBackoff), ("max_backoff", maxBackoff),
    ] where value == .zero {
      block.refuse(key, "must be greater than 0")
    }
    if minShards > maxShards { block.refuse("min_shards", "must not be greater than max_shards (\(maxShards))") }
    if minBackoff > maxBackoff {
      block.refuse("min_backoff", "must not be greater than max_backoff (\(maxBackoff.prometheusText))")
    }
  }
}
