import Exposition
import Relabeling

/// Where one remote's `write_relabel_configs` send each series: asked once per series.
struct SeriesMap {
  private static let unknown = UInt32.max
  private static let dropped = UInt32.max - 1

  let rules: RelabelRules
  private var numbers: [UInt32] = []

  init(rules: RelabelRules) { self.rules = rules }

  /// The series under which samples of `number` are sent; nil when the rules drop it.
  mutating func number(for number: UInt32, in table: inout LabelTable) -> UInt32? {
    if numbers.count <= Int(number) {
      numbers += repeatElement(Self.unknown, count: max(table.numbers, Int(number) + 1) - numbers.count)
    }
    if numbers[Int(number)] == Self.unknown { numbers[Int(number)] = find(number, &table) }
    let mapped = numbers[Int(number)]
    return mapped == Self.dropped ? nil : mapped
  }

  private func find(_ number: UInt32, _ table: inout LabelTable) -> UInt32 {
    var labels = table.labels(of: number)
    guard rules.apply(to: &labels) else { return Self.dropped }
    labels.removeEmpty()
    labels.sort()
    return table.register(labels, table.metadata(of: number)) ?? Self.dropped
  }

  /// The series that were registered for others, once for each of these.
  var registered: [UInt32] { numbers.filter { $0 < Self.dropped } }

  /// The series is gone; gives the series that was registered for it.
  mutating func forget(_ number: UInt32) -> UInt32? {
    guard Int(number) < numbers.count else { return nil }
    let mapped = numbers[Int(number)]
    numbers[Int(number)] = Self.unknown
    return mapped < Self.dropped ? mapped : nil
  }
}
