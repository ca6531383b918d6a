import Exposition
import Testing

@testable import RemoteWrite

@Suite struct LabelTableTests {
  private func decoded(_ table: borrowing LabelTable, _ number: UInt32) throws -> [[String]] {
    var encoder = WriteRequestEncoder()
    let samples = [Sample(series: SeriesID(rawValue: number), timestamp: 1, value: 1)]
    _ = encoder.encode(samples[...], labels: table)
    return try #require(try decodeWriteRequest(encoder.messageBytes).first).labels
  }

  @Test func equalLabelsGiveTheSameNumber() {
    var table = LabelTable()
    let first = table.register(LabelSet([("__name__", "up"), ("job", "a")]))
    let second = table.register(LabelSet([("job", "a"), ("__name__", "up")]))
    let other = table.register(LabelSet([("__name__", "up"), ("job", "b")]))
    #expect(first != nil && first == second && other != first)
    #expect(table.count == 2 && table.pairCount == 3)
  }

  @Test func externalLabelsFillGapsInByteOrder() throws {
    let external = LabelSet([("cluster", "c"), ("job", "outer"), ("Z", "z"), ("zz", ""), ("été", "é")])
    var table = LabelTable(external: external)
    let number = try #require(table.register(LabelSet([("__name__", "up"), ("job", "own"), ("a", "1")])))
    #expect(
      try decoded(table, number) == [
        ["Z", "z"], ["__name__", "up"], ["a", "1"], ["cluster", "c"], ["job", "own"], ["été", "é"],
      ])
    let bare = try #require(table.register(LabelSet([("__name__", "up"), ("job", "")])))
    #expect(try decoded(table, bare).contains(["job", "outer"]))
  }

  @Test func invalidLabelSetsAreRefused() {
    var limits = LabelLimits()
    limits.nameBytes = 10
    limits.valueBytes = 10
    limits.labels = 3
    var table = LabelTable(limits: limits)
    let long = String(repeating: "x", count: 11)
    var notUTF8 = LabelSet([("__name__", "up")])
    notUTF8.append("a".utf8.span.bytes, [0xff, 0xfe].span.bytes)
    var twice = LabelSet([("__name__", "up"), ("a", "1")])
    twice.append("a".utf8.span.bytes, "2".utf8.span.bytes)
    var unordered = LabelSet([("b", "1")])
    unordered.append("__name__".utf8.span.bytes, "up".utf8.span.bytes)
    let refused = [
      LabelSet(), LabelSet([("a", "1")]), LabelSet([("", "x"), ("__name__", "up")]),
      LabelSet([("__name__", long)]), LabelSet([("__name__", "up"), (long, "1")]), LabelSet([("__name__", "")]),
      LabelSet([("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")]), notUTF8, twice, unordered,
    ]
    for labels in refused { #expect(table.register(labels) == nil, "\(labels)") }
    #expect(table.count == 0 && table.pairCount == 0)
  }

  @Test func aSeriesLivesWhileASampleIsQueued() throws {
    var table = LabelTable()
    let number = try #require(table.register(LabelSet([("__name__", "up")])))
    #expect(table.hold(number, copies: 2))
    table.release(number)
    #expect(table.count == 1)
    #expect(!table.hold(number, copies: 1), "a released series takes no samples")
    #expect(table.register(LabelSet([("__name__", "up")])) == number, "it revives under its number")
    table.release(number)
    table.letGo(number)
    #expect(table.count == 1)
    table.letGo(number)
    #expect(table.count == 0 && table.pairCount == 0)
    table.release(number)
    table.letGo(number)
    table.release(77)
    table.letGo(77)
    #expect(!table.hold(77, copies: 1) && table.count == 0)
  }

  @Test func churnReusesMemory() throws {
    var table = LabelTable()
    var alive: [UInt32] = []
    var most = 0
    for round in 0..<200 {
      for index in 0..<500 {
        let labels = LabelSet([("__name__", "metric_\(index % 50)"), ("instance", "\(round)-\(index)"), ("job", "j")])
        alive.append(try #require(table.register(labels)))
      }
      if alive.count > 2000 {
        for number in alive.prefix(500) { table.release(number) }
        alive.removeFirst(500)
      }
      most = max(most, table.storedBytes)
    }
    #expect(table.count == alive.count && table.count == 2000)
    #expect(most < 1_000_000, "100,000 series passed through, 2,500 lived at a time: \(most) bytes")
    for number in alive { #expect(try decoded(table, number).count == 3) }
    for number in alive { table.release(number) }
    #expect(table.count == 0 && table.pairCount == 0)
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func tableAgreesWithADictionary(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var table = LabelTable()
    var model: [LabelSet: (number: UInt32, references: Int)] = [:]
    for _ in 0..<20_000 {
      let labels = LabelSet([
        ("__name__", "m\(Int.random(in: 0..<20, using: &random))"), ("x", "\(Int.random(in: 0..<20, using: &random))"),
      ])
      if Bool.random(using: &random) {
        let number = try #require(table.register(labels))
        if let known = model[labels] { #expect(known.number == number) }
        model[labels] = (number, (model[labels]?.references ?? 0) + 1)
      } else if let known = model[labels] {
        table.release(known.number)
        model[labels] = known.references == 1 ? nil : (known.number, known.references - 1)
      }
      if table.count != model.count {
        Issue.record("\(table.count) series instead of \(model.count)")
        return
      }
    }
    #expect(Set(model.values.map(\.number)).count == model.count)
    for (labels, known) in model { #expect(try decoded(table, known.number)[1][1] == value(labels, 1)) }
  }

  private func value(_ labels: LabelSet, _ index: Int) -> String {
    labels.value(at: index).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
