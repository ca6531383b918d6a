import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct SampleQueueTests {
  private func sample(_ series: UInt32, _ timestamp: Int64) -> Sample {
    Sample(series: SeriesID(rawValue: series), timestamp: timestamp, value: Double(timestamp))
  }

  @Test func theRingGrowsAndShrinks() {
    var ring = SampleRing()
    var next: Int64 = 0
    var expected: Int64 = 0
    for size in [10, 100, 5000, 20_000, 3, 0] {
      while ring.count < size {
        ring.append(sample(1, next))
        next += 1
      }
      while ring.count > size / 2 {
        let first = ring.popFirst()
        #expect(first?.timestamp == expected)
        expected += 1
      }
    }
    while let first = ring.popFirst() {
      #expect(first.timestamp == expected)
      expected += 1
    }
    #expect(expected == next && ring.isEmpty && ring.first == nil && ring.capacity <= 64)
  }

  @Test func aBusyLaneWaits() throws {
    var queue = SampleQueue(capacity: 1000, batchSize: 10)
    var dropped: [Sample] = []
    queue.append((0..<15).map { sample(0, $0) }, now: .now, dropped: &dropped)
    let first = try required(queue.take())
    #expect(first.samples.map(\.timestamp) == Array(0..<10))
    #expect(queue.ready == 0 && queue.waiting == 5)
    let none = queue.take()
    #expect(none?.samples.count == nil)
    queue.append([sample(64, 7)], now: .now, dropped: &dropped)
    let second = try required(queue.take())
    #expect(second.samples.map(\.series.rawValue) == [64])
    queue.finish(first)
    let third = try required(queue.take())
    #expect(third.samples.map(\.timestamp) == Array(10..<15))
    queue.finish(second)
    #expect(queue.ready == 0 && queue.waitingSince == nil && queue.readySince == nil && dropped.isEmpty)
  }

  @Test func oneBatchTakesFromAllLanes() throws {
    var queue = SampleQueue(capacity: 10_000, batchSize: 5000)
    var dropped: [Sample] = []
    queue.append((0..<4096).map { sample($0, 1) }, now: .now, dropped: &dropped)
    let batch = try required(queue.take())
    #expect(batch.samples.count == 4096)
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64]) func theOldestGoWhenItIsFull(seed: UInt64) {
    var random = SeededGenerator(seed)
    var queue = SampleQueue(capacity: 500, batchSize: 60)
    var batches: [SampleQueue.Batch] = []
    var lastTaken: [UInt32: Int64] = [:]
    var (appended, taken, dropped) = (0, 0, 0)
    for time in 0..<Int64(2000) {
      let samples = (0..<UInt32.random(in: 0...200, using: &random)).map { sample($0 &* 7 % 4000, time) }
      var gone: [Sample] = []
      queue.append(samples, now: .now, dropped: &gone)
      appended += samples.count
      dropped += gone.count
      #expect(queue.waiting + queue.inFlight <= 500)
      #expect(zip(gone, gone.dropFirst()).allSatisfy { $0.timestamp <= $1.timestamp }, "the oldest first")
      if Bool.random(using: &random), let batch = queue.take() {
        taken += batch.samples.count
        for one in batch.samples {
          #expect(lastTaken[one.series.rawValue].map { $0 < one.timestamp } ?? true)
          lastTaken[one.series.rawValue] = one.timestamp
        }
        batches.append(batch)
      }
      if batches.count > 4 || Bool.random(using: &random), !batches.isEmpty {
        queue.finish(batches.remove(at: Int.random(in: batches.indices, using: &random)))
      }
      #expect(appended == taken + dropped + queue.waiting)
      #expect(queue.batchesInFlight == batches.count)
    }
  }
}
