import YAML

extension RemoteWriteConfiguration {
  /// The `queue_config` block.
  public struct Queue: Sendable, Equatable {
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
}

extension RemoteWriteConfiguration.Queue {
  private static let keys = BlockKeys(
    served: [
      "capacity", "max_shards", "min_shards", "max_samples_per_send", "batch_send_deadline", "min_backoff",
      "max_backoff", "retry_on_http_429", "sample_age_limit",
    ])

  /// - Parameter remote: the entry of `remote_write`.
  init(of remote: BlockReader) {
    self.init()
    guard let block = remote.block("queue_config", Self.keys) else { return }
    capacity = block.queueSize("capacity") ?? capacity
    maxShards = block.queueSize("max_shards") ?? maxShards
    minShards = block.queueSize("min_shards") ?? minShards
    maxSamplesPerSend = block.queueSize("max_samples_per_send") ?? maxSamplesPerSend
    batchSendDeadline = block.queueTime("batch_send_deadline") ?? batchSendDeadline
    minBackoff = block.queueTime("min_backoff") ?? minBackoff
    maxBackoff = block.queueTime("max_backoff") ?? maxBackoff
    retryOnHTTP429 = block.bool("retry_on_http_429") ?? retryOnHTTP429
    sampleAgeLimit = block.duration("sample_age_limit") ?? sampleAgeLimit
    if minShards > maxShards {
      block.refuse("min_shards", "remote write queue min_shards must not be greater than max_shards (\(maxShards))")
    }
    if minBackoff > maxBackoff {
      block.refuse(
        "min_backoff",
        "remote write queue min_backoff must not be greater than max_backoff (\(maxBackoff.prometheusText))")
    }
  }
}

extension BlockReader {
  /// A number above 0; nil when the key is absent or wrong.
  fileprivate func queueSize(_ key: String) -> Int? {
    guard let number = integer(key) else { return nil }
    if number > 0 { return number }
    refuse(key, "remote write queue \(key) must be positive")
    return nil
  }

  /// The same for a time.
  fileprivate func queueTime(_ key: String) -> Duration? {
    guard let time = duration(key) else { return nil }
    if time > .zero { return time }
    refuse(key, "remote write queue \(key) must be positive")
    return nil
  }
}
