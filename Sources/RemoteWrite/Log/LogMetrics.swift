import Exposition

/// How the log fares.
enum LogMetrics {
  private static let bytes = MetricFamily.gauge("pilotfish_log_bytes", "Bytes of all segments of the log.")
  private static let segments = MetricFamily.gauge("pilotfish_log_segments", "Segments of the log.")
  private static let written = MetricFamily.counter("pilotfish_log_written_bytes_total", "Bytes written to the log.")
  private static let failing = MetricFamily.gauge(
    "pilotfish_log_failing", "1 while the log cannot be written and samples are in memory only.")
  private static let failures = MetricFamily.counter("pilotfish_log_failures_total", "Failed writes to the log.")
  private static let syncs = MetricFamily.counter(
    "pilotfish_log_syncs_total", "How often the log was brought to the disk.")
  private static let oldest = MetricFamily.gauge(
    "pilotfish_log_oldest_segment_timestamp_seconds", "When the oldest segment of the log was begun; 0 without any.")
  private static let remaining = MetricFamily.gauge(
    "pilotfish_log_seconds_until_retention",
    "How long until the oldest segment reaches the limit of age and is dropped, sent or not.")

  static func write(_ log: LogWriter, to writer: MetricWriter) {
    let status = log.status
    let segments = log.folder.segments
    writer.sample(bytes, Double(log.folder.bytes))
    writer.sample(Self.segments, Double(segments.count))
    writer.sample(written, status.written)
    writer.sample(failing, status.isFailing ? 1.0 : 0.0)
    writer.sample(failures, status.failures)
    writer.sample(syncs, status.syncs)
    let created = segments.first?.created ?? 0
    writer.sample(oldest, Double(created) / 1000)
    let left = created == 0 ? log.retentionMaximum : created + log.retentionMaximum - WallClock.milliseconds
    writer.sample(remaining, Double(max(0, left)) / 1000)
  }
}
