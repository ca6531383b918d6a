/// A summary with quantiles of the last ten minutes, of so many observations at most.
public struct Summary: Sendable {
  private static let window = Duration.seconds(600)
  private static let limit = 1024

  public private(set) var count = 0
  public private(set) var sum = 0.0
  /// When the last observation was.
  public private(set) var last: ContinuousClock.Instant?
  /// The newest; when there are `limit`, the next takes the place of the oldest.
  private var recent: [(value: Double, time: ContinuousClock.Instant)] = []

  public init() {}

  public mutating func observe(_ value: Double, at time: ContinuousClock.Instant = .now) {
    if recent.count < Self.limit { recent.append((value, time)) } else { recent[count % Self.limit] = (value, time) }
    count &+= 1
    sum += value
    last = time
  }

  /// The values that these shares of the observations do not exceed; NaN without any.
  public func quantiles(_ shares: [Double], at time: ContinuousClock.Instant = .now) -> [Double] {
    let values = recent.lazy.filter { time - $0.time < Self.window }.map(\.value).sorted()
    return shares.map { share in
      values.isEmpty ? .nan : values[min(Int((share * Double(values.count)).rounded(.down)), values.count - 1)]
    }
  }

  /// - Parameters:
  ///   - shares: those whose quantiles are shown, as the label `quantile` has them.
  ///   - labels: of the summary.
  public func write(
    to writer: MetricWriter, _ family: MetricFamily, shares: [Double], _ labels: [(name: String, value: String)]
  ) {
    for (share, value) in zip(shares, quantiles(shares)) {
      writer.orderedLine(family, suffix: "", labels: labels + [(name: "quantile", value: "\(share)")], value)
    }
    writer.orderedLine(family, suffix: "_sum", labels: labels, sum)
    writer.orderedLine(family, suffix: "_count", labels: labels, Double(count))
  }
}
