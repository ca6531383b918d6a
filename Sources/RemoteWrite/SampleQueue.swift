import Exposition

/// Samples on their way to one remote, in a fixed number of lanes.
///
/// A series belongs to one lane for its life. A batch takes the oldest samples of lanes that are idle, and these are
/// busy until the batch is finished, however often it is sent again: so the samples of one series are never on
/// their way twice at a time, and arrive in order. When few samples wait, one batch takes those of all lanes.
struct SampleQueue {
  /// Samples taken out to be sent together, and the lanes they hold.
  struct Batch: Sendable {
    var samples: [Sample]
    fileprivate var lanes: UInt64
  }

  private struct Lane {
    var waiting = SampleRing()
    var isBusy = false
    /// When the oldest waiting sample came, or an older one.
    var since: ContinuousClock.Instant?
  }

  private static let laneCount = 64

  let capacity: Int
  let batchSize: Int
  private var lanes = Array(repeating: Lane(), count: laneCount)
  private var nextLane = 0
  private var spare: [[Sample]] = []

  /// Samples that wait.
  private(set) var waiting = 0
  /// Samples that wait in lanes that are idle.
  private(set) var ready = 0
  /// Samples and batches on their way.
  private(set) var inFlight = 0
  private(set) var batchesInFlight = 0

  /// - Parameters:
  ///   - capacity: samples that may be held, those on their way included.
  ///   - batchSize: samples of a full batch.
  init(capacity: Int, batchSize: Int) {
    self.capacity = max(capacity, 1)
    self.batchSize = max(batchSize, 1)
  }

  var isEmpty: Bool { waiting + inFlight == 0 }

  /// Neighbours by number stay together: they come from one target, and share labels that compress well.
  private static func lane(of series: SeriesID) -> Int { Int(series.rawValue >> 6) & (laneCount - 1) }

  /// Appends samples; of all that wait, the oldest beyond the capacity are moved to `dropped`.
  mutating func append(_ samples: [Sample], now: ContinuousClock.Instant, dropped: inout [Sample]) {
    for sample in samples {
      let lane = Self.lane(of: sample.series)
      if lanes[lane].waiting.isEmpty { lanes[lane].since = now }
      lanes[lane].waiting.append(sample)
      waiting += 1
      if !lanes[lane].isBusy { ready += 1 }
    }
    dropOldest(waiting + inFlight - capacity, into: &dropped)
  }

  /// Drops waiting samples, by age over all lanes: runs of one time from one lane.
  private mutating func dropOldest(_ excess: Int, into dropped: inout [Sample]) {
    var excess = excess
    while excess > 0, waiting > 0 {
      var oldest = 0
      var oldestTime = Int64.max
      for lane in lanes.indices {
        if let first = lanes[lane].waiting.first, first.timestamp <= oldestTime {
          (oldest, oldestTime) = (lane, first.timestamp)
        }
      }
      while excess > 0, let first = lanes[oldest].waiting.first, first.timestamp <= oldestTime {
        _ = pop(oldest)
        dropped.append(first)
        excess -= 1
      }
    }
  }

  private mutating func pop(_ lane: Int) -> Sample? {
    guard let sample = lanes[lane].waiting.popFirst() else { return nil }
    waiting -= 1
    if !lanes[lane].isBusy { ready -= 1 }
    if lanes[lane].waiting.isEmpty { lanes[lane].since = nil }
    return sample
  }

  /// When the oldest sample came that an idle lane holds; nil when none does.
  var readySince: ContinuousClock.Instant? {
    lanes.reduce(nil) { oldest, lane in
      guard !lane.isBusy, let since = lane.since else { return oldest }
      return oldest.map { min($0, since) } ?? since
    }
  }

  /// When the oldest waiting sample came; nil when none waits.
  var waitingSince: ContinuousClock.Instant? { lanes.compactMap(\.since).min() }

  /// Takes up to a full batch from the idle lanes; nil when they hold nothing. The lanes are taken in turn.
  mutating func take() -> Batch? {
    guard ready > 0 else { return nil }
    var batch = Batch(samples: spare.popLast() ?? [], lanes: 0)
    var lane = nextLane
    for _ in lanes.indices where batch.samples.count < batchSize {
      if !lanes[lane].isBusy, !lanes[lane].waiting.isEmpty {
        while batch.samples.count < batchSize, let sample = pop(lane) { batch.samples.append(sample) }
        lanes[lane].isBusy = true
        ready -= lanes[lane].waiting.count
        batch.lanes |= 1 << UInt64(lane)
      }
      lane = (lane + 1) % Self.laneCount
    }
    nextLane = lane
    inFlight += batch.samples.count
    batchesInFlight += 1
    return batch
  }

  /// The batch is done with, sent or dropped: its lanes are idle again.
  mutating func finish(_ batch: consuming Batch) {
    for lane in lanes.indices where batch.lanes & (1 << UInt64(lane)) != 0 {
      lanes[lane].isBusy = false
      ready += lanes[lane].waiting.count
    }
    inFlight -= batch.samples.count
    batchesInFlight -= 1
    if spare.count < 2 {
      batch.samples.removeAll(keepingCapacity: true)
      spare.append(batch.samples)
    }
  }
}
