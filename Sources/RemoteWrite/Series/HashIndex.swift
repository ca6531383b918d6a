/// Finds records by content: an open-addressed table of record numbers, 4 bytes a slot.
///
/// The records, and how two of them compare, belong to the owner; this holds only where to look. Linear probing;
/// a removal moves the followers up, so that no slot is lost to churn.
struct HashIndex {
  /// What is indexed: a record that keeps its hash.
  protocol Record {
    var hash: UInt32 { get }
  }

  private static let empty = UInt32.max
  private var slots: [UInt32] = Array(repeating: empty, count: 16)
  private(set) var count = 0

  /// Forgets all records, keeps the memory.
  mutating func removeAll() {
    guard count > 0 else { return }
    for slot in slots.indices { slots[slot] = Self.empty }
    count = 0
  }

  /// The record with that hash that `matches` takes; nil when there is none.
  func find(_ hash: UInt32, where matches: (UInt32) -> Bool) -> UInt32? {
    let mask = slots.count - 1
    var slot = Int(hash) & mask
    while slots[slot] != Self.empty {
      if matches(slots[slot]) { return slots[slot] }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// Adds record number `record` of `records`, which is not there yet.
  mutating func insert(_ record: UInt32, of records: [some Record]) {
    if (count + 1) * 4 > slots.count * 3 { resize(to: slots.count * 2, records) }
    place(record, records[Int(record)].hash)
    count += 1
  }

  /// Removes a record if it is there; it must still have its hash.
  mutating func remove(_ record: UInt32, of records: [some Record]) {
    let mask = slots.count - 1
    var hole = Int(records[Int(record)].hash) & mask
    while slots[hole] != record {
      if slots[hole] == Self.empty { return }
      hole = (hole + 1) & mask
    }
    var next = (hole + 1) & mask
    while slots[next] != Self.empty {
      let home = Int(records[Int(slots[next])].hash) & mask
      // A follower may move into the hole unless its home lies behind the hole.
      if (next &- home) & mask >= (next &- hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole] = Self.empty
    count -= 1
    if slots.count > 64, count * 8 < slots.count { resize(to: slots.count / 4, records) }
  }

  private mutating func place(_ record: UInt32, _ hash: UInt32) {
    let mask = slots.count - 1
    var slot = Int(hash) & mask
    while slots[slot] != Self.empty { slot = (slot + 1) & mask }
    slots[slot] = record
  }

  private mutating func resize(to size: Int, _ records: [some Record]) {
    let numbers = slots.filter { $0 != Self.empty }
    slots = Array(repeating: Self.empty, count: size)
    for number in numbers { place(number, records[Int(number)].hash) }
  }
}
