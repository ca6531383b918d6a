import Exposition

/// What targets say of their families, each text kept once, with the number of series that it belongs to.
struct MetadataTable {
  private struct Entry {
    var metadata: MetricMetadata
    var references: Int
    /// 1 + the number in the segment that is being written; 0: it is not in it.
    var logNumber: UInt32 = 0
  }

  private var entries: [Entry] = []
  private var numbers: [MetricMetadata: UInt32] = [:]
  private var free: [UInt32] = []

  /// The number of `metadata`, above 0, with one more reference.
  mutating func intern(_ metadata: MetricMetadata) -> UInt32 {
    if let known = numbers[metadata] {
      entries[Int(known) - 1].references += 1
      return known
    }
    let entry = Entry(metadata: metadata, references: 1)
    let number: UInt32
    if let reused = free.popLast() {
      number = reused
      entries[Int(number) - 1] = entry
    } else {
      entries.append(entry)
      number = UInt32(truncatingIfNeeded: entries.count)
    }
    numbers[metadata] = number
    return number
  }

  mutating func release(_ number: UInt32) {
    guard number > 0 else { return }
    entries[Int(number) - 1].references -= 1
    guard entries[Int(number) - 1].references == 0 else { return }
    numbers[entries[Int(number) - 1].metadata] = nil
    entries[Int(number) - 1].metadata = MetricMetadata(family: "")
    free.append(number)
  }

  func logNumber(_ number: UInt32) -> UInt32 { number == 0 ? 0 : entries[Int(number) - 1].logNumber }

  mutating func setLogNumber(_ value: UInt32, _ number: UInt32) {
    if number > 0 { entries[Int(number) - 1].logNumber = value }
  }

  mutating func forgetLogNumbers() {
    for index in entries.indices { entries[index].logNumber = 0 }
  }

  subscript(_ number: UInt32) -> MetricMetadata? { number == 0 ? nil : entries[Int(number) - 1].metadata }
}
