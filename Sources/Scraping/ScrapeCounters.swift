import Synchronization

/// What all scrapes together had to leave out.
final class ScrapeCounters: Sendable {
  let duplicates = Atomic<Int>(0)
  let outOfOrder = Atomic<Int>(0)
  let outOfBounds = Atomic<Int>(0)
  let bodiesTooLarge = Atomic<Int>(0)

  func count(_ counts: SeriesCache.Counts, _ fault: ScrapeError?) {
    duplicates.add(counts.duplicates, ordering: .relaxed)
    outOfOrder.add(counts.outOfOrder, ordering: .relaxed)
    outOfBounds.add(counts.outOfBounds, ordering: .relaxed)
    if fault?.isBodyTooLarge == true { bodiesTooLarge.add(1, ordering: .relaxed) }
  }
}
