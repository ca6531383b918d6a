import Exposition

/// A first-in, first-out queue of samples, 24 bytes each, that grows with a backlog and shrinks again behind it.
struct SampleRing {
  private static let none = Sample(series: SeriesID(rawValue: 0), timestamp: 0, value: 0)
  private static let smallest = 64

  /// A power of two long, or empty.
  private var storage: [Sample] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }
  var first: Sample? { count == 0 ? nil : storage[head] }
  /// Samples that there is room for without growing.
  var capacity: Int { storage.count }

  @inline(__always)
  mutating func append(_ sample: Sample) {
    if count == storage.count { resize(to: max(Self.smallest, storage.count * 2)) }
    storage[(head + count) & (storage.count - 1)] = sample
    count += 1
  }

  mutating func popFirst() -> Sample? {
    guard count > 0 else { return nil }
    let sample = storage[head]
    head = (head + 1) & (storage.count - 1)
    count -= 1
    if storage.count > Self.smallest, count * 8 <= storage.count { resize(to: storage.count / 4) }
    return sample
  }

  private mutating func resize(to size: Int) {
    let size = max(size, Self.smallest)
    guard size != storage.count else { return }
    var moved: [Sample] = []
    moved.reserveCapacity(size)
    for index in 0..<count { moved.append(storage[(head + index) & (storage.count - 1)]) }
    moved.append(contentsOf: repeatElement(Self.none, count: size - count))
    storage = moved
    head = 0
  }
}
