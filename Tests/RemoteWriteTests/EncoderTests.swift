import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct EncoderTests {
  private func sample(_ series: UInt32, _ timestamp: Int64, _ value: Double) -> Sample {
    Sample(series: SeriesID(rawValue: series), timestamp: timestamp, value: value)
  }

  private func encode(
    _ samples: [Sample], notBefore cutoff: Int64 = .min, _ encoder: inout WriteRequest1Encoder,
    _ table: borrowing LabelTable
  ) -> [UInt8] {
    let outgoing = Outgoing(samples: samples)
    let content = encoder.encode(outgoing, samples.indices, notBefore: cutoff, SendingOptions(), table)
    #expect(content.samples == samples.count { $0.timestamp >= cutoff })
    return encoder.message.withUnsafeBytes { Array($0) }
  }

  /// Bytes written out by hand from the specification of the wire format.
  @Test func theBytesAreThoseOfTheSpecification() throws {
    var table = LabelTable()
    let up = try required(table.register(LabelSet(pairs: [("__name__", "up"), ("a", "b")])))
    var encoder = WriteRequest1Encoder()
    let message = encode([sample(up, 1000, 1)], &encoder, table)
    let labels: [UInt8] =
      [0x0a, 0x0e, 0x0a, 0x08] + Array("__name__".utf8) + [0x12, 0x02] + Array("up".utf8)
      + [0x0a, 0x06, 0x0a, 0x01] + Array("a".utf8) + [0x12, 0x01] + Array("b".utf8)
    let point: [UInt8] = [0x12, 0x0c, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xe8, 0x07]
    #expect(message == [0x0a, UInt8(labels.count + point.count)] + labels + point)
  }

  @Test func everyBitOfAValueArrives() throws {
    var table = LabelTable()
    let number = try required(table.register(LabelSet(pairs: [("__name__", "up")])))
    let values: [Double] = [
      0, -0.0, 1, .infinity, -.infinity, .staleMarker, Double(bitPattern: 0x7ff8_0000_0000_0001),
      Double(bitPattern: 0xfff1_2345_6789_abcd), .leastNonzeroMagnitude, .greatestFiniteMagnitude,
    ]
    let times: [Int64] = [0, 1, -1, .min, .max, 127, 128, 1_795_237_691_123]
    var samples: [Sample] = []
    for time in times { for value in values { samples.append(sample(number, time, value)) } }
    var encoder = WriteRequest1Encoder()
    let series = try decodeWriteRequest(encode(samples, &encoder, table))
    #expect(series.count == 1)
    #expect(series[0].points == samples.map { .init(timestamp: $0.timestamp, bits: $0.value.bitPattern) })
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func requestsReadBackAsWhatWasPutIn(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    var table = LabelTable(external: LabelSet(pairs: [("cluster", "c")]))
    var labels: [UInt32: [[String]]] = [:]
    for index in 0..<50 {
      let long = String(repeating: "v", count: Int.random(in: 0...300, using: &random))
      let set = LabelSet(pairs: [("__name__", "m\(index)"), ("long", "x" + long)])
      let number = try required(table.register(set))
      labels[number] = [["__name__", "m\(index)"], ["cluster", "c"], ["long", "x" + long]]
    }
    var encoder = WriteRequest1Encoder()
    for _ in 0..<20 {
      var samples: [Sample] = []
      for time in 0..<Int64.random(in: 1...20, using: &random) {
        for _ in 0..<Int.random(in: 1...30, using: &random) {
          samples.append(sample(labels.keys.randomElement(using: &random)!, time, Double(samples.count)))
        }
      }
      let cutoff = Int64.random(in: 0...5, using: &random)
      var outgoing = Outgoing(samples: samples)
      outgoing.groupBySeries()
      let series = try decodeWriteRequest(encode(outgoing.samples, notBefore: cutoff, &encoder, table))
      var expected: [[[String]]: [DecodedSeries.Point]] = [:]
      for one in samples where one.timestamp >= cutoff {
        expected[labels[one.series.rawValue]!, default: []]
          .append(.init(timestamp: one.timestamp, bits: one.value.bitPattern))
      }
      #expect(series.count == expected.count, "each series stands once")
      for one in series { #expect(expected[one.labels] == one.points) }
    }
  }
}
