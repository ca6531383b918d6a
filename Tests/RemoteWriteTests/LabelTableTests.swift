import Bytes
import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct LabelTableTests {
  private func decoded(_ table: borrowing LabelTable, _ number: UInt32) -> [[String]] {
    let labels = table.labels(of: number)
    return (0..<labels.count).map { [String(utf8: labels.name(at: $0)), String(utf8: labels.value(at: $0))] }
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
    let merged = decoded(table, number)
    #expect(
      merged == [
        ["Z", "z"], ["__name__", "up"], ["a", "1"], ["cluster", "c"], ["job", "own"], ["été", "é"],
      ])
    let bare = try required(table.register(LabelSet(pairs: [("__name__", "up"), ("job", "")])))
    let filled = decoded(table, bare)
    #expect(filled.contains(["job", "outer"]))
  }

  @Test func findingRegistersNothing() throws {
    var table = LabelTable(external: LabelSet(pairs: [("cluster", "c")]))
    let labels = LabelSet(pairs: [("__name__", "up"), ("job", "a")])
    let before = table.find(labels)
    #expect(before == nil && table.count == 0 && table.pairCount == 0)
    let number = try required(table.register(labels))
    let pairs = table.pairCount
    for _ in 0..<3 {
      let found = table.find(labels)
      #expect(found == number)
    }
    for other in [LabelSet(pairs: [("__name__", "up"), ("job", "b")]), LabelSet(pairs: [("job", "a")]), LabelSet()] {
      let found = table.find(other)
      #expect(found == nil)
    }
    #expect(table.count == 1 && table.pairCount == pairs)
    // One that nobody has registered any more, though samples of it are in memory.
    let wasLast = table.release(number)
    let released = table.find(labels)
    #expect(wasLast && released == nil)
    table.bury(number)
    #expect(table.count == 0 && table.pairCount == 0)
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

  @Test func aSeriesLivesWhileASampleIsOnItsWayOrInMemory() throws {
    var table = LabelTable()
    let labels = LabelSet(pairs: [("__name__", "up")])
    let number = try required(table.register(labels))
    table.hold(number)
    table.hold(number)
    expectFlag(table.release(number), true, "it wants a burial")
    expectFlag(table.isRegistered(number), false, "a released series takes no samples")
    let revived = table.register(labels)
    #expect(revived == number, "it revives under its number")
    expectFlag(table.release(number), true, "and wants another burial")
    table.letGo(number)
    table.letGo(number)
    expectCounts(table, 1, 1)
    table.bury(number)
    expectCounts(table, 1, 1)
    #expect(reclaimed(&table) == [])
    table.bury(number)
    expectCounts(table, 0, 0)
    #expect(reclaimed(&table) == [number])
    expectFlag(table.release(number), false, "it is gone")
    expectFlag(table.release(77), false, "nobody knows it")
    expectFlag(table.isRegistered(77), false, "nobody knows it")
    let next = table.register(LabelSet(pairs: [("__name__", "down")]))
    #expect(next == number, "its number is used again")
  }

  @Test func whatWasSaidLastOfAFamilyHolds() throws {
    var table = LabelTable()
    let labels = LabelSet(pairs: [("__name__", "up")])
    let first = MetricMetadata(family: "up", type: .gauge, help: "Is it?")
    let number = try required(table.register(labels, first))
    expectMetadata(table, number, first)
    let second = MetricMetadata(family: "up", type: .counter, help: "Was it?", unit: "times")
    _ = table.register(labels, second)
    expectMetadata(table, number, second)
    _ = table.register(labels, nil)
    expectMetadata(table, number, second)
  }

  private func expectMetadata(_ table: borrowing LabelTable, _ number: UInt32, _ expected: MetricMetadata) {
    let metadata = table.metadata(of: number)
    #expect(metadata == expected)
  }

  private func expectFlag(_ flag: Bool, _ expected: Bool, _ why: Comment) { #expect(flag == expected, why) }

  private func reclaimed(_ table: inout LabelTable) -> [UInt32] {
    defer { table.reclaimed = [] }
    return table.reclaimed
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
        for number in alive.prefix(500) { release(number, &table) }
        alive.removeFirst(500)
      }
      most = max(most, table.storedBytes)
    }
    let count = table.count
    #expect(count == alive.count && count <= 2500)
    #expect(most < 1_000_000, "100,000 series passed through, 2,500 lived at a time: \(most) bytes")
    for number in alive {
      let labels = decoded(table, number)
      #expect(labels.count == 3)
    }
    for number in alive { release(number, &table) }
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
        release(known.number, &table)
        model[labels] = known.references == 1 ? nil : (known.number, known.references - 1)
      }
      if table.count != model.count {
        Issue.record("\(table.count) series instead of \(model.count)")
        return
      }
    }
    #expect(Set(model.values.map(\.number)).count == model.count)
    for (labels, known) in model {
      let value = decoded(table, known.number)[1][1]
      #expect(value == self.value(labels, 1))
    }
  }

  /// Releases a series that has no samples in memory.
  private func release(_ number: UInt32, _ table: inout LabelTable) {
    if table.release(number) { table.bury(number) }
    table.reclaimed.removeAll(keepingCapacity: true)
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
