import Exposition
import Synchronization

/// The label table that scrapers and all remotes share, behind its lock.
final class SeriesTable: Sendable {
  private let table: Mutex<LabelTable>

  init(external: LabelSet, limits: LabelLimits) {
    table = Mutex(LabelTable(external: external, limits: limits))
  }

  var count: Int { table.withLock { $0.count } }

  func register(_ labels: LabelSet) -> SeriesID? {
    table.withLock { $0.register(labels) }.map(SeriesID.init(rawValue:))
  }

  func release(_ series: [SeriesID]) {
    table.withLock { table in
      for series in series { table.release(series.rawValue) }
    }
  }

  /// Notes that each of `copies` queues is about to hold the samples; gives back those whose series is registered.
  func hold(_ samples: [Sample], copies: Int) -> [Sample] {
    table.withLock { table in
      for (index, sample) in samples.enumerated() where !table.hold(sample.series.rawValue, copies: UInt32(copies)) {
        // A caller's error, and rare: only now is there a copy.
        var known = Array(samples[..<index])
        for sample in samples[index...] where table.hold(sample.series.rawValue, copies: UInt32(copies)) {
          known.append(sample)
        }
        return known
      }
      return samples
    }
  }

  /// Notes that one queue has done with the samples.
  func letGo(_ samples: [Sample]) {
    guard !samples.isEmpty else { return }
    table.withLock { table in
      for sample in samples { table.letGo(sample.series.rawValue) }
    }
  }

  func withLabels<R: Sendable>(_ body: (borrowing LabelTable) -> R) -> R { table.withLock { body($0) } }
}
