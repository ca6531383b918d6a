import Exposition

/// What one remote has done so far, and how it stands.
struct RemoteStatistics: Sendable {
  /// Why samples were dropped before they were sent.
  enum DropReason: String, CaseIterable {
    case tooOld = "too_old"
    /// By `write_relabel_configs`.
    case relabeled = "dropped_series"
    /// A series in the log that the label table did not take.
    case refusedSeries = "unintentionally_dropped_series"
    /// There was no room in memory, and no log.
    case memory
    /// They were in memory only, because the log could not be written, and there was no more room.
    case unlogged
    /// Their segment was deleted to keep within the log's limits.
    case retention
    /// They stood in the damaged part of a segment.
    case damage

    init(_ gap: LogChunk.Gap) {
      switch gap {
      case .retention: self = .retention
      case .unlogged: self = .unlogged
      case .damage: self = .damage
      }
    }
  }

  /// Why a receiver did not take something.
  struct Refusal: Hashable, Sendable {
    var status: Int
    var reason: String
  }

  /// Numbers by kind.
  struct Kinds: Sendable {
    var samples: UInt64 = 0
    var histograms: UInt64 = 0
    var exemplars: UInt64 = 0

    mutating func add(_ content: RequestContent) {
      samples += UInt64(content.samples)
      histograms += UInt64(content.histograms)
      exemplars += UInt64(content.exemplars)
    }
  }

  var sent = Kinds()
  var retried = Kinds()
  /// Samples that were taken at a second or later attempt.
  var resent: UInt64 = 0
  /// Clusters of which another replica is elected.
  var standingBy = 0
  /// Samples that were not sent, or not stored, since another replica is elected.
  var withheld: UInt64 = 0
  /// Those of them that were sent when this replica was elected.
  var repeated: UInt64 = 0
  /// Samples refused for good; of requests that were taken in part, one each, since no more is known.
  var refused: [Refusal: UInt64] = [:]
  /// Requests that were not taken whole at the time, whatever became of them.
  var refusedRequests: [Refusal: UInt64] = [:]
  var dropped: [DropReason: UInt64] = [:]
  var bytes: UInt64 = 0
  var metadataSent: UInt64 = 0
  var metadataFailed: UInt64 = 0
  var metadataBytes: UInt64 = 0
  /// Milliseconds since the epoch.
  var highestSentTimestamp: Int64 = 0
  var requestDurations = DurationHistogram()

  /// The first sample that is not acknowledged.
  var acknowledged: Ordinal = 0
  /// Requests on their way, and how many there may be.
  var inFlight = 0
  var window = 1
  /// The timestamp of the oldest sample that is not acknowledged, milliseconds since the epoch; that of the batches and
  /// of what was read from the log, so it is of no use when the oldest one is in memory.
  var oldestUnsent: Int64?
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
