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
    var durations: [Key: Summary] = [:]
    /// By who shows them.
    var gauges: [ObjectIdentifier: (family: MetricFamily, values: [[String]: Double])] = [:]
  }

  private static let shares = [0.5, 0.9, 0.99]

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
  func observe(_ family: MetricFamily, _ labels: [String], _ time: Duration) {
    state.withLock { state in
      if !state.summaries.contains(where: { $0 === family }) { state.summaries.append(family) }
      state.durations[Key(family: ObjectIdentifier(family), labels: labels), default: Summary()].observe(
        time / .seconds(1))
    }
  }

  /// Makes these, by their labels, the values of a gauge that `owner` shows. Several may show the same.
  func show(_ family: MetricFamily, by owner: ObjectIdentifier, _ values: [[String]: Double]) {
    state.withLock { $0.gauges[owner] = values.isEmpty ? nil : (family, values) }
  }

  /// Forgets what has the label `config` of a job that is gone, or that has a mechanism no more.
  ///
  /// - Parameter mechanism: the value of the label `mechanism`; nil: any.
  func forget(jobName: String, mechanism: String? = nil) {
    state.withLock { state in
      for family in state.counters + state.summaries {
        guard let job = family.labels.firstIndex(of: "config") else { continue }
        let place = family.labels.firstIndex(of: "mechanism")
        if mechanism != nil, place == nil { continue }
        let isGone = { (key: Key) in
          key.family == ObjectIdentifier(family) && key.labels[job] == jobName
            && (mechanism == nil || place.map { key.labels[$0] } == mechanism)
        }
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
    var shown: Set<Key> = []
    for (family, values) in state.gauges.values {
      for (labels, value) in values
      where shown.insert(Key(family: ObjectIdentifier(family), labels: labels)).inserted {
        writer.begin(family)
        for label in labels { writer.label(label) }
        writer.end(value)
      }
    }
    for family in state.summaries {
      let own = state.durations.filter { $0.key.family == ObjectIdentifier(family) }
      for (key, summary) in own.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }) {
        summary.write(
          to: writer, family, shares: Self.shares, zip(family.labels, key.labels).map { (name: $0, value: $1) })
      }
    }
  }
}
