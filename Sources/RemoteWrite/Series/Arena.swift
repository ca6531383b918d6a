/// Many short runs of elements in one array. A run is given up by counting its elements as garbage; when that is
/// more than half, the owner moves the live runs into a new arena.
struct Arena<Element> {
  private(set) var elements: [Element] = []
  private var garbage = 0

  /// Whether so much is given up that moving the live runs pays.
  var wantsCompaction: Bool { garbage > 4096 && garbage * 2 > elements.count }

  /// Stores a run; nil when the arena's 32-bit offsets are used up.
  mutating func append(_ run: some Collection<Element>) -> UInt32? {
    guard let offset = UInt32(exactly: elements.count), elements.count + run.count <= Int(UInt32.max) else {
      return nil
    }
    elements.append(contentsOf: run)
    return offset
  }

  mutating func giveUp(_ count: Int) { garbage += count }

  /// A new arena for the live runs.
  func emptied() -> Arena {
    var arena = Arena()
    arena.elements.reserveCapacity(elements.count - garbage)
    return arena
  }

  /// Moves a run from `old` behind the others and says where it stands now.
  mutating func move(_ range: Range<Int>, from old: borrowing Arena) -> UInt32 {
    let offset = UInt32(truncatingIfNeeded: elements.count)
    elements.append(contentsOf: old.elements[range])
    return offset
  }
}
