import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct WriteRequestsTests {
  private func sample(_ name: String, _ timestamp: Int64, _ value: Double) -> WriteRequests.Sample {
    WriteRequests.Sample(labels: LabelSet(pairs: [("__name__", name)]), timestamp: timestamp, value: value)
  }

  private func decoded(_ requests: WriteRequests) throws -> [[DecodedSeries]] {
    try requests.bodies.map { try decodeWriteRequest(decodeSnappy($0)) }
  }

  @Test func nothingIsNoRequest() throws {
    #expect(try WriteRequests([]).bodies.isEmpty)
  }

  @Test func samplesOfASeriesStandTogetherInOrderOfTime() throws {
    let requests = try WriteRequests([sample("b", 3, 1), sample("a", 2, 2), sample("b", 1, 3)])
    let series = try decoded(requests)
    #expect(series.count == 1)
    #expect(series[0].map(\.name) == ["b", "a"])
    #expect(series[0][0].points.map(\.timestamp) == [1, 3])
    #expect(series[0][0].points.map(\.bits) == [Double(3), 1].map(\.bitPattern))
  }

  @Test func labelsAreOrderedAndEmptyOnesLeftOut() throws {
    let labels = LabelSet(pairs: [("z", "1"), ("a", ""), ("__name__", "up")])
    let series = try decoded(try WriteRequests([.init(labels: labels, timestamp: 1, value: 1)]))
    #expect(series[0][0].labels == [["__name__", "up"], ["z", "1"]])
  }

  /// By number, and by size.
  @Test(arguments: [(5000, 1), (300, 4000)]) func manyAreCut(count: Int, length: Int) throws {
    let value = String(repeating: "x", count: length)
    let samples = (0..<count).map { number in
      WriteRequests.Sample(
        labels: LabelSet(pairs: [("__name__", "m\(number)"), ("v", value)]), timestamp: 1, value: Double(number))
    }
    let requests = try WriteRequests(samples)
    #expect(requests.bodies.count > 1)
    let series = try decoded(requests)
    #expect(series.allSatisfy { $0.count <= 2000 })
    #expect(series.flatMap { $0 }.map(\.name) == samples.indices.map { "m\($0)" })
  }

  @Test(
    arguments: [
      [("a", "b")], [("__name__", "up"), ("a", "1"), ("a", "2")], [("__name__", "up"), ("", "1")], [],
    ] as [[(String, String)]])
  func whatIsNoSeriesIsRefused(labels: [(String, String)]) {
    let labels = LabelSet(pairs: labels)
    #expect(throws: WriteRequests.Refusal.self) {
      try WriteRequests([.init(labels: labels, timestamp: 1, value: 1)])
    }
  }
}
