import Exposition
import Synchronization

/// What mechanisms of discovery count, under Prometheus' names. A mechanism declares its families itself.
public final class DiscoveryMetrics: MetricSource {
  private struct Key: Hashable {
    let family: ObjectIdentifier
    let labels: [String]
  }

  private struct State {
    /// In the order in which they were first used.
    var counters: [MetricFamily] = []
    var counts: [Key: UInt64] = [:]
    var summaries: [MetricFamily] = []
    var durations: [Key: DurationSummary] = [:]
  }

  private let state = Mutex(State())

  public init() {}

  /// Adds to a counter; by 0, it is shown from now on.
  ///
  /// - Parameter labels: values of the family's labels, in its order.
  func count(_ family: MetricFamily, _ labels: [String] = [], by number: UInt64 = 1) {
    state.withLock { state in
      if !state.counters.contains(where: { $0 === family }) { state.counters.append(family) }
      state.counts[Key(family: ObjectIdentifier(family), labels: labels), default: 0] &+= number
    }
  }

  /// Takes how long something took, for a summary.
  func observe(_ family: MetricFamily, _ labels: [String] = [], _ time: Duration) {
    state.withLock { state in
      if !state.summaries.contains(where: { $0 === family }) { state.summaries.append(family) }
      state.durations[Key(family: ObjectIdentifier(family), labels: labels), default: DurationSummary()].take(time)
    }
  }

  /// Forgets what has the label `config` of a job that is gone.
  func forget(jobName: String) {
    state.withLock { state in
      for family in state.counters + state.summaries {
        guard let place = family.labels.firstIndex(of: "config") else { continue }
        let isGone = { (key: Key) in key.family == ObjectIdentifier(family) && key.labels[place] == jobName }
        state.counts = state.counts.filter { !isGone($0.key) }
        state.durations = state.durations.filter { !isGone($0.key) }
      }
    }
  }

  public func write(to writer: MetricWriter) {
    let state = state.withLock { $0 }
    for family in state.counters {
      for (key, count) in state.counts where key.family == ObjectIdentifier(family) {
        writer.begin(family)
        for label in key.labels { writer.label(label) }
        writer.end(count)
      }
    }
    for family in state.summaries {
      let own = state.durations.filter { $0.key.family == ObjectIdentifier(family) }
      for (key, summary) in own.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }) {
        summary.write(to: writer, family, zip(family.labels, key.labels).map { (name: $0, value: $1) })
      }
    }
  }
}

/// Quantiles of the durations of the last ten minutes, as client_golang's summaries show them.
struct DurationSummary: Sendable {
  private static let quantiles = [0.5, 0.9, 0.99]
  private static let window = Duration.seconds(600)
  /// So many are looked at.
  private static let limit = 500

  private var recent: [(seconds: Double, since: ContinuousClock.Instant)] = []
  /// The place in `recent` that the next one takes, once it is full.
  private var next = 0
  private var sum = 0.0
  private var count: UInt64 = 0

  mutating func take(_ time: Duration) {
    let seconds = time / .seconds(1)
    let entry = (seconds, ContinuousClock.now)
    if recent.count < Self.limit { recent.append(entry) } else { recent[next] = entry }
    next = (next + 1) % Self.limit
    sum += seconds
    count &+= 1
  }

  func write(to writer: MetricWriter, _ family: MetricFamily, _ labels: [(name: String, value: String)]) {
    let oldest = ContinuousClock.now - Self.window
    let sorted = recent.filter { $0.since > oldest }.map(\.seconds).sorted()
    for quantile in Self.quantiles {
      let rank = Int((quantile * Double(sorted.count)).rounded(.up))
      writer.orderedLine(
        family, suffix: "", labels: labels + [(name: "quantile", value: "\(quantile)")],
        sorted.isEmpty ? .nan : sorted[max(rank, 1) - 1])
    }
    writer.orderedLine(family, suffix: "_sum", labels: labels, sum)
    writer.orderedLine(family, suffix: "_count", labels: labels, Double(count))
  }
}
