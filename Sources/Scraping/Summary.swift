import Exposition

/// A summary with quantiles of the last ten minutes, of so many observations at most.
struct Summary {
  private static let window = Duration.seconds(600)
  private static let limit = 1024

  private(set) var count = 0
  private(set) var sum = 0.0
  /// The newest; when there are `limit`, the next takes the place of the oldest.
  private var recent: [(value: Double, time: ContinuousClock.Instant)] = []

  mutating func observe(_ value: Double, at time: ContinuousClock.Instant) {
    if recent.count < Self.limit { recent.append((value, time)) } else { recent[count % Self.limit] = (value, time) }
    count += 1
    sum += value
  }

  /// The value that this share of the observations does not exceed; NaN without any.
  func quantiles(_ shares: [Double], at time: ContinuousClock.Instant) -> [Double] {
    let values = recent.lazy.filter { time - $0.time < Self.window }.map(\.value).sorted()
    return shares.map { share in
      values.isEmpty ? .nan : values[min(Int((share * Double(values.count)).rounded(.down)), values.count - 1)]
    }
  }
}

/// The family of summaries that differ in one label.
struct SummaryFamily {
  private static let shares: [(value: Double, text: StaticString)] = [
    (0.01, "0.01"), (0.05, "0.05"), (0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99"),
  ]

  private let family: MetricFamily
  private let label: String

  init(_ name: String, _ help: String, label: String) {
    family = MetricFamily(name, .summary, help)
    self.label = label
  }

  func write(_ summary: Summary, of value: String, to writer: MetricWriter) {
    let labels = [(name: label, value: value)]
    for (share, quantile) in zip(Self.shares, summary.quantiles(Self.shares.map(\.value), at: .now)) {
      writer.orderedLine(family, suffix: "", labels: labels + [(name: "quantile", value: "\(share.text)")], quantile)
    }
    writer.orderedLine(family, suffix: "_sum", labels: labels, summary.sum)
    writer.orderedLine(family, suffix: "_count", labels: labels, Double(summary.count))
  }
}

extension Duration {
  /// As Go writes a time.Duration: "15s", "1m0s", "1h0m0s", "500ms".
  var goText: String {
    let nanoseconds = nanoseconds
    if nanoseconds == 0 { return "0s" }
    let units: [(name: String, length: Int64)] = [("ns", 1), ("µs", 1000), ("ms", 1_000_000)]
    if let unit = units.last(where: { nanoseconds < 1_000_000_000 && nanoseconds >= $0.length }) {
      return Duration.nanoseconds(nanoseconds * (1_000_000_000 / unit.length)).secondsText + unit.name
    }
    let seconds = Duration.nanoseconds(nanoseconds % 60_000_000_000).secondsText + "s"
    let minutes = nanoseconds / 60_000_000_000
    if minutes == 0 { return seconds }
    return minutes < 60 ? "\(minutes)m\(seconds)" : "\(minutes / 60)h\(minutes % 60)m\(seconds)"
  }
}
