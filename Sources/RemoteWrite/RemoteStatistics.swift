import Exposition

/// What one remote has done so far.
struct RemoteStatistics: Sendable {
  /// Why samples were dropped before they were sent.
  enum DropReason: String, CaseIterable {
    case queueFull = "queue_full"
    case shutdown
    case tooOld = "too_old"
  }

  var sent: UInt64 = 0
  /// Refused for good, by status.
  var refused: [Int: UInt64] = [:]
  var retried: UInt64 = 0
  var dropped: [DropReason: UInt64] = [:]
  var bytes: UInt64 = 0
  /// Milliseconds since the epoch.
  var highestSentTimestamp: Int64 = 0
  var requestDurations = DurationHistogram()
}

/// Counts durations in Prometheus' default buckets and those it adds for sending.
struct DurationHistogram: Sendable {
  /// In seconds.
  static let bounds: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300]
  private static let boundNames = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25", "60", "120", "300",
  ]

  /// By bucket, not cumulative; the last is beyond all bounds.
  private var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  private var sum = 0.0

  mutating func observe(_ duration: Duration) {
    let seconds = duration.inSeconds
    counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
    sum += seconds
  }

  func write(_ family: MetricFamily, labels: [(name: String, value: String)], to writer: MetricWriter) {
    var total: UInt64 = 0
    for (count, bound) in zip(counts, Self.boundNames + ["+Inf"]) {
      total += count
      writer.orderedLine(family, suffix: "_bucket", labels: labels + [(name: "le", value: bound)], Double(total))
    }
    writer.orderedLine(family, suffix: "_sum", labels: labels, sum)
    writer.orderedLine(family, suffix: "_count", labels: labels, Double(total))
  }
}

extension Duration {
  /// In seconds.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
