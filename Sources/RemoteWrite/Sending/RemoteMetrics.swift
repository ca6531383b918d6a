import Exposition

/// A remote at one moment, as its metrics show it.
struct RemoteSnapshot {
  var name: String
  var url: String
  var statistics: RemoteStatistics
  var queue: QueueOptions
  /// Samples that are not acknowledged.
  var pending: Ordinal
  /// Of what came in for it, milliseconds since the epoch.
  var highestTimestamp: Int64

  /// Requests that what waits would fill.
  var shardsDesired: Int {
    let wanted = pending / Ordinal(max(queue.maxSamplesPerSend, 1)) + 1
    return min(max(Int(min(wanted, 1 << 20)), queue.minShards), queue.maxShards)
  }

  /// The timestamp of the oldest sample that is not acknowledged, when memory still has it.
  var oldestInMemory: Int64?

  /// The age of the oldest sample that is not acknowledged, in seconds.
  var oldestUnsent: Double {
    guard pending > 0, let oldest = oldestInMemory ?? statistics.oldestUnsent else { return 0 }
    return max(0, Double(WallClock.milliseconds - oldest) / 1000)
  }

  /// Seconds until samples that wait are too old to be sent; nil when they never are.
  var timeUntilTooOld: Double? {
    queue.sampleAgeLimit.map { max(0, $0.inSeconds - oldestUnsent) }
  }
}

/// Remote write's own metrics, under Prometheus' names where it has them.
enum RemoteMetrics {
  private static let labels = ["remote_name", "url"]

  private static func counter(_ name: String, _ help: String) -> MetricFamily { .counter(name, help, labels) }
  private static func gauge(_ name: String, _ help: String) -> MetricFamily { .gauge(name, help, labels) }

  /// One sample a remote.
  private static let table: [(family: MetricFamily, value: @Sendable (RemoteSnapshot) -> Double)] = [
    (
      counter("prometheus_remote_storage_samples_total", "Total number of samples sent to remote storage."),
      { Double($0.statistics.sent.samples) }
    ),
    (
      counter(
        "prometheus_remote_storage_samples_failed_total",
        "Total number of samples which failed on send to remote storage, non-recoverable errors."),
      { Double($0.statistics.refused.values.reduce(0, +)) }
    ),
    (
      counter(
        "prometheus_remote_storage_samples_retried_total",
        "Total number of samples which failed on send to remote storage but were retried because the send error was "
          + "recoverable."),
      { Double($0.statistics.retried.samples) }
    ),
    (
      gauge(
        "prometheus_remote_storage_samples_pending",
        "The number of samples pending in the queues shards to be sent to the remote storage."),
      { Double($0.pending) }
    ),
    (
      counter(
        "prometheus_remote_storage_bytes_total",
        "The total number of bytes of data (not metadata) sent by the queue after compression. Note that when "
          + "exemplars over remote write is enabled the exemplars included in a remote write request count towards "
          + "this metric."),
      { Double($0.statistics.bytes) }
    ),
    (
      gauge(
        "prometheus_remote_storage_queue_highest_timestamp_seconds",
        "Highest timestamp that was enqueued, in seconds since epoch. Initialized to 0 when no data has been received "
          + "yet."),
      { Double($0.highestTimestamp) / 1000 }
    ),
    (
      gauge(
        "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
        "Timestamp from a WAL sample, the highest timestamp successfully sent by this queue, in seconds since epoch. "
          + "Initialized to 0 when no data has been sent yet."),
      { Double($0.statistics.highestSentTimestamp) / 1000 }
    ),
    (
      counter(
        "prometheus_remote_storage_enqueue_retries_total",
        "Total number of times enqueue has failed because a shards queue was full."),
      { _ in 0 }
    ),
    (
      gauge(
        "prometheus_remote_storage_shards",
        "The number of shards used for parallel sending to the remote storage."),
      { Double($0.statistics.window) }
    ),
    (
      gauge(
        "prometheus_remote_storage_shards_max",
        "The maximum number of shards that the queue is allowed to run."),
      { Double($0.queue.maxShards) }
    ),
    (
      gauge(
        "prometheus_remote_storage_shards_min",
        "The minimum number of shards that the queue is allowed to run."),
      { Double($0.queue.minShards) }
    ),
    (
      gauge(
        "prometheus_remote_storage_shards_desired",
        "The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. "
          + "samples out."),
      { Double($0.shardsDesired) }
    ),
    (
      gauge(
        "prometheus_remote_storage_shard_capacity",
        "The capacity of each shard of the queue used for parallel sending to the remote storage."),
      { Double($0.queue.capacity) }
    ),
    (
      gauge(
        "prometheus_remote_storage_max_samples_per_send",
        "The maximum number of samples to be sent, in a single request, to the remote storage. Note that, when "
          + "sending of exemplars over remote write is enabled, exemplars count towards this limt."),
      { Double($0.queue.maxSamplesPerSend) }
    ),
    (
      counter("prometheus_remote_storage_histograms_total", "Total number of histograms sent to remote storage."),
      { Double($0.statistics.sent.histograms) }
    ),
    (
      counter("prometheus_remote_storage_exemplars_total", "Total number of exemplars sent to remote storage."),
      { Double($0.statistics.sent.exemplars) }
    ),
    (
      counter(
        "prometheus_remote_storage_metadata_total", "Total number of metadata entries sent to remote storage."),
      { Double($0.statistics.metadataSent) }
    ),
    (
      counter(
        "prometheus_remote_storage_metadata_failed_total",
        "Total number of metadata entries which failed on send to remote storage, non-recoverable errors."),
      { Double($0.statistics.metadataFailed) }
    ),
    (
      counter(
        "prometheus_remote_storage_metadata_bytes_total",
        "The total number of bytes of metadata sent by the queue after compression."),
      { Double($0.statistics.metadataBytes) }
    ),
    (
      counter(
        "prometheus_remote_storage_histograms_retried_total",
        "Total number of histograms which failed on send to remote storage but were retried because the send error "
          + "was recoverable."),
      { Double($0.statistics.retried.histograms) }
    ),
    (
      counter(
        "prometheus_remote_storage_exemplars_retried_total",
        "Total number of exemplars which failed on send to remote storage but were retried because the send error "
          + "was recoverable."),
      { Double($0.statistics.retried.exemplars) }
    ),
    (
      counter(
        "pilotfish_remote_write_samples_resent_total",
        "Samples that the receiver took at a second or later attempt."),
      { Double($0.statistics.resent) }
    ),
    (
      gauge(
        "pilotfish_remote_write_ha_standby",
        "Clusters of which the receiver has elected another replica: 0, or 1 unless series have a label cluster of "
          + "their own."),
      { Double($0.statistics.standingBy) }
    ),
    (
      counter(
        "pilotfish_remote_write_ha_samples_withheld_total",
        "Samples that were not sent, or answered 202, since the receiver has elected another replica."),
      { Double($0.statistics.withheld) }
    ),
    (
      counter(
        "pilotfish_remote_write_ha_samples_resent_total",
        "Withheld samples that were sent when the receiver elected this replica."),
      { Double($0.statistics.repeated) }
    ),
    (
      gauge("pilotfish_remote_write_requests_in_flight", "Requests on their way."),
      { Double($0.statistics.inFlight) }
    ),
    (
      gauge(
        "pilotfish_remote_write_oldest_unsent_seconds",
        "The age of the oldest sample that the receiver has not taken yet."),
      { $0.oldestUnsent }
    ),
  ]

  private static let dropped = MetricFamily.counter(
    "prometheus_remote_storage_samples_dropped_total",
    "Total number of samples which were dropped after being read from the WAL before being sent via remote write, "
      + "either via relabelling, due to being too old or unintentionally because of an unknown reference ID.",
    ["reason", "remote_name", "url"])
  private static let refused = MetricFamily.counter(
    "pilotfish_remote_write_samples_refused_total",
    "Samples that the receiver refused for good, by the status it answered and what that means. Of requests that it "
      + "stored in part one sample is counted, the one that it names.",
    ["code", "reason", "remote_name", "url"])
  private static let refusedRequests = MetricFamily.counter(
    "pilotfish_remote_write_requests_refused_total",
    "Requests that the receiver did not take whole, by the status it answered and what that means. Most of them are "
      + "sent again.",
    ["code", "reason", "remote_name", "url"])
  private static let timeUntilTooOld = gauge(
    "pilotfish_remote_write_seconds_until_too_old",
    "Seconds until the oldest sample that the receiver has not taken yet is older than sample_age_limit, and dropped.")
  private static let duration = MetricFamily(
    "prometheus_remote_storage_sent_batch_duration_seconds", .histogram,
    "Duration of send calls to the remote storage.", labels: labels)

  static func write(_ remotes: [RemoteSnapshot], to writer: MetricWriter) {
    for (family, value) in table {
      for remote in remotes {
        writer.begin(family)
        writer.label(remote.name)
        writer.label(remote.url)
        writer.end(value(remote))
      }
    }
    for remote in remotes {
      for reason in RemoteStatistics.DropReason.allCases {
        writer.begin(dropped)
        writer.label(reason.rawValue)
        writer.label(remote.name)
        writer.label(remote.url)
        writer.end(remote.statistics.dropped[reason] ?? 0)
      }
    }
    for remote in remotes {
      write(remote.statistics.refused, refused, of: remote, to: writer)
      write(remote.statistics.refusedRequests, refusedRequests, of: remote, to: writer)
      guard let time = remote.timeUntilTooOld else { continue }
      writer.begin(timeUntilTooOld)
      writer.label(remote.name)
      writer.label(remote.url)
      writer.end(time)
    }
    for remote in remotes {
      let labels = [(name: "remote_name", value: remote.name), (name: "url", value: remote.url)]
      remote.statistics.requestDurations.write(duration, labels: labels, to: writer)
    }
  }

  private static func write(
    _ counts: [RemoteStatistics.Refusal: UInt64], _ family: MetricFamily, of remote: RemoteSnapshot,
    to writer: MetricWriter
  ) {
    for (refusal, count) in counts {
      writer.begin(family)
      writer.label(refusal.status)
      writer.label(refusal.reason)
      writer.label(remote.name)
      writer.label(remote.url)
      writer.end(count)
    }
  }
}
