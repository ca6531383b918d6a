import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct LabelTableTests {
  private func decoded(_ table: borrowing LabelTable, _ number: UInt32) throws -> [[String]] {
    let encoder = WriteRequestEncoder()
    let samples = [Sample(series: SeriesID(rawValue: number), timestamp: 1, value: 1)]
    _ = encoder.encode(samples[...], labels: table)
    return try #require(try decodeWriteRequest(encoder.messageBytes).first).labels
  }

  private func expectCounts(_ table: borrowing LabelTable, _ series: Int, _ pairs: Int) {
    let counts = [table.count, table.pairCount]
    #expect(counts == [series, pairs])
  }

  @Test func equalLabelsGiveTheSameNumber() {
    var table = LabelTable()
    let first = table.register(LabelSet(pairs: [("__name__", "up"), ("job", "a")]))
    let second = table.register(LabelSet(pairs: [("job", "a"), ("__name__", "up")]))
    let other = table.register(LabelSet(pairs: [("__name__", "up"), ("job", "b")]))
    #expect(first != nil && first == second && other != first)
    expectCounts(table, 2, 3)
  }

  @Test func externalLabelsFillGapsInByteOrder() throws {
    let external = LabelSet(pairs: [("cluster", "c"), ("job", "outer"), ("Z", "z"), ("zz", ""), ("été", "é")])
    var table = LabelTable(external: external)
    let number = try required(table.register(LabelSet(pairs: [("__name__", "up"), ("job", "own"), ("a", "1")])))
    let merged = try decoded(table, number)
    #expect(
      merged == [
        ["Z", "z"], ["__name__", "up"], ["a", "1"], ["cluster", "c"], ["job", "own"], ["été", "é"],
      ])
    let bare = try required(table.register(LabelSet(pairs: [("__name__", "up"), ("job", "")])))
    let filled = try decoded(table, bare)
    #expect(filled.contains(["job", "outer"]))
  }

  @Test func invalidLabelSetsAreRefused() {
    var limits = LabelLimits()
    limits.nameBytes = 10
    limits.valueBytes = 10
    limits.labels = 3
    var table = LabelTable(limits: limits)
    let long = String(repeating: "x", count: 11)
    var notUTF8 = LabelSet(pairs: [("__name__", "up")])
    notUTF8.append("a".utf8.span.bytes, [0xff, 0xfe].span.bytes)
    var twice = LabelSet(pairs: [("__name__", "up"), ("a", "1")])
    twice.append("a".utf8.span.bytes, "2".utf8.span.bytes)
    var unordered = LabelSet(pairs: [("b", "1")])
    unordered.append("__name__".utf8.span.bytes, "up".utf8.span.bytes)
    let refused = [
      LabelSet(), LabelSet(pairs: [("a", "1")]), LabelSet(pairs: [("", "x"), ("__name__", "up")]),
      LabelSet(pairs: [("__name__", long)]), LabelSet(pairs: [("__name__", "up"), (long, "1")]),
      LabelSet(pairs: [("__name__", "")]),
      LabelSet(pairs: [("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")]), notUTF8, twice, unordered,
    ]
    for labels in refused {
      let number = table.register(labels)
      #expect(number == nil, "\(labels)")
    }
    expectCounts(table, 0, 0)
  }

  @Test func aSeriesLivesWhileASampleIsQueued() throws {
    var table = LabelTable()
    let number = try required(table.register(LabelSet(pairs: [("__name__", "up")])))
    let held = table.hold(number, copies: 2)
    table.release(number)
    let heldAfterRelease = table.hold(number, copies: 1)
    #expect(held && !heldAfterRelease, "a released series takes no samples")
    let revived = table.register(LabelSet(pairs: [("__name__", "up")]))
    #expect(revived == number, "it revives under its number")
    table.release(number)
    table.letGo(number)
    expectCounts(table, 1, 1)
    table.letGo(number)
    expectCounts(table, 0, 0)
    table.release(number)
    table.letGo(number)
    table.release(77)
    table.letGo(77)
    let heldUnknown = table.hold(77, copies: 1)
    #expect(!heldUnknown)
    expectCounts(table, 0, 0)
  }

  @Test func churnReusesMemory() throws {
    var table = LabelTable()
    var alive: [UInt32] = []
    var most = 0
    for round in 0..<200 {
      for index in 0..<500 {
        let labels = LabelSet(pairs: [
          ("__name__", "metric_\(index % 50)"), ("instance", "\(round)-\(index)"), ("job", "j"),
        ])
        alive.append(try required(table.register(labels)))
      }
      if alive.count > 2000 {
        for number in alive.prefix(500) { table.release(number) }
        alive.removeFirst(500)
      }
      most = max(most, table.storedBytes)
    }
    let count = table.count
    #expect(count == alive.count && count <= 2500)
    #expect(most < 1_000_000, "100,000 series passed through, 2,500 lived at a time: \(most) bytes")
    for number in alive {
      let labels = try decoded(table, number)
      #expect(labels.count == 3)
    }
    for number in alive { table.release(number) }
    expectCounts(table, 0, 0)
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func tableAgreesWithADictionary(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    var table = LabelTable()
    var model: [LabelSet: (number: UInt32, references: Int)] = [:]
    for _ in 0..<20_000 {
      let labels = LabelSet(pairs: [
        ("__name__", "m\(Int.random(in: 0..<20, using: &random))"), ("x", "\(Int.random(in: 0..<20, using: &random))"),
      ])
      if Bool.random(using: &random) {
        let number = try required(table.register(labels))
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
    for (labels, known) in model {
      let value = try decoded(table, known.number)[1][1]
      #expect(value == self.value(labels, 1))
    }
  }

  private func value(_ labels: LabelSet, _ index: Int) -> String {
    labels.value(at: index).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }
}

/// `#require` for what a mutating method gives.
func required<T>(_ value: T?) throws -> T {
  let value = value
  return try #require(value)
}

extension LabelSet {
  init(pairs: [(String, String)]) { self.init(pairs.map { (name: $0.0, value: $0.1) }) }
}
