import Bytes
import Exposition

/// Which series a receiver judges together when it takes the samples of one replica of several: those that agree in the
/// labels `cluster` and `__replica__` (https://cortexmetrics.io/docs/guides/ha-pair-handling/).
///
/// A group is a hash of the two, the same in every process; 0 for series that lack one of them, which nobody judges. As
/// long as there is no `__replica__` at all, nothing is kept.
struct HAGroups {
  /// The label pairs whose name is `__replica__`: one for most agents, or none.
  private var replicas: [UInt32] = []
  private var groups: [UInt32] = []

  /// Whether any series has, or had, a group.
  @inline(__always)
  var isEmpty: Bool { groups.isEmpty }

  @inline(__always)
  subscript(_ series: UInt32) -> UInt32 { Int(series) < groups.count ? groups[Int(series)] : 0 }

  mutating func added(pair: UInt32, name: RawSpan) { if name.equals("__replica__") { replicas.append(pair) } }

  mutating func removed(pair: UInt32) {
    if !replicas.isEmpty { replicas.removeAll { $0 == pair } }
  }

  /// Whether a series with these label pairs has a label `__replica__`.
  func hasReplica(among pairs: [UInt32]) -> Bool { !replicas.isEmpty && pairs.contains(where: replicas.contains) }

  mutating func added(series: UInt32, group: UInt32) {
    guard group != 0 || Int(series) < groups.count else { return }
    if groups.count <= Int(series) { groups += repeatElement(0, count: Int(series) + 1 - groups.count) }
    groups[Int(series)] = group
  }
}
