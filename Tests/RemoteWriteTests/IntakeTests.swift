import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct IntakeTests {
  private func samples(_ range: Range<Ordinal>) -> [Sample] {
    range.map { Sample(series: SeriesID(rawValue: UInt32($0)), timestamp: Int64($0), value: Double($0)) }
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func theRingHoldsTheNewest(seed: UInt64) {
    var random = SeededGenerator(seed)
    let begin = Ordinal.random(in: 1...1 << 40, using: &random)
    var ring = SampleRing(end: begin, limit: 1 << Int.random(in: 13...15, using: &random))
    var wanted = begin
    var exemplars: [Ordinal] = []
    for _ in 0..<400 {
      let count = Int.random(in: 1...3000, using: &random)
      var carried: [Exposition.Attachment] = []
      for index in 0..<count where Int.random(in: 0..<200, using: &random) == 0 {
        carried.append(Exposition.Attachment(sample: index + 5, .histogram([UInt8(index & 0xff)])))
        exemplars.append(ring.end + Ordinal(index))
      }
      let new = (0..<count).map {
        Sample(series: SeriesID(rawValue: 0), timestamp: Int64(ring.end) + Int64($0), value: 0)
      }
      ring.append(new[...], carried[...], offset: 5, wanted: wanted)
      #expect(ring.capacity <= ring.limit)
      #expect(ring.start >= wanted || ring.end - ring.start >= Ordinal(ring.limit) - 1, "nothing goes that has room")
      #expect(Int(ring.end - ring.start) <= ring.capacity)
      let places = [ring.start, ring.end - 1, Ordinal.random(in: ring.start..<ring.end, using: &random)]
      for place in places { #expect(ring[place].timestamp == Int64(place)) }
      let range = Ordinal.random(in: ring.start..<ring.end, using: &random)..<ring.end
      #expect(ring.attachments(in: range).map(\.ordinal) == exemplars.filter(range.contains))
      if Bool.random(using: &random) { wanted = Ordinal.random(in: max(wanted, ring.start)...ring.end, using: &random) }
      if Int.random(in: 0..<10, using: &random) == 0 {
        ring.shrink(wanted: wanted)
        if ring.start < ring.end { #expect(ring[ring.start].timestamp == Int64(ring.start)) }
      }
    }
    ring.shrink(wanted: ring.end)
    #expect(ring.capacity == 1 << 12)
  }

  private func intake(readers: Int, limit: Int = 1 << 12, isLogged: Bool = true) -> Intake {
    var intake = Intake(
      table: LabelTable(), ring: SampleRing(end: 1, limit: limit), isLogged: isLogged, segmentBytes: 4096)
    for _ in 0..<readers { intake.add(Intake.Reader(position: 1)) }
    return intake
  }

  /// While a sample is in memory or on its way, its number means its series.
  @Test(arguments: 1...6 as ClosedRange<UInt64>) func noNumberIsUsedAgainTooEarly(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    var intake = intake(readers: 2, isLogged: seed % 2 == 0)
    var registered: [(number: SeriesID, name: String)] = []
    var names: [Ordinal: String] = [:]
    var held: [(number: UInt32, name: String)] = []
    func name(_ number: UInt32, _ intake: borrowing Intake) -> String {
      String(decoding: intake.table.labels(of: number).value(at: 0).withUnsafeBytes { Array($0) }, as: UTF8.self)
    }
    for round in 0..<1200 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<3:
        let name = "m\(Int.random(in: 0..<60, using: &random))"
        let number = intake.register(LabelSet(pairs: [("__name__", name)]), nil)
        registered.append((try required(number), name))
      case 3..<5 where !registered.isEmpty:
        let gone = registered.remove(at: Int.random(in: registered.indices, using: &random))
        intake.release(gone.number.rawValue)
      case 5..<8 where !registered.isEmpty:
        let chosen = (0..<Int.random(in: 1...60, using: &random)).map { _ in registered.randomElement(using: &random)! }
        for (index, one) in chosen.enumerated() { names[intake.ring.end + Ordinal(index)] = one.name }
        _ = intake.append(
          chosen.map { Sample(series: $0.number, timestamp: Int64(round), value: 1) }, [], now: Int64(round))
      case 8:
        // A remote takes samples, which are on their way from then on.
        let reader = Int.random(in: 0..<2, using: &random)
        let start = max(intake.readers[reader].position, intake.ring.start)
        let end = min(start + Ordinal.random(in: 0...50, using: &random), intake.ring.end)
        for place in start..<max(start, end) {
          let number = intake.ring[place].series.rawValue
          intake.table.hold(number)
          held.append((number, names[place]!))
        }
        intake.readers[reader].position = max(start, end)
      default:
        for _ in 0..<min(held.count, 30) {
          let one = held.remove(at: Int.random(in: held.indices, using: &random))
          #expect(name(one.number, intake) == one.name)
          intake.table.letGo(one.number)
        }
        intake.forgetReclaimed()
      }
      guard round % 100 == 99 else { continue }
      var wrong: Ordinal?
      for place in intake.ring.start..<intake.ring.end
      where name(intake.ring[place].series.rawValue, intake) != names[place] { wrong = place }
      #expect(wrong == nil, "round \(round)")
      if wrong != nil { return }
      for one in held where name(one.number, intake) != one.name { Issue.record("on its way: \(one.name)") }
    }
    // All goes: so do the series.
    for one in held { intake.table.letGo(one.number) }
    for one in registered { intake.release(one.number.rawValue) }
    for index in intake.readers.indices { intake.readers[index].position = .max }
    let last = try required(intake.register(LabelSet(pairs: [("__name__", "last")]), nil))
    for round in 0..<2 { _ = intake.append([Sample(series: last, timestamp: Int64(round), value: 1)], [], now: 0) }
    let left = intake.table.count
    #expect(left == 1)
  }

  @Test func readersAreWokenAtTheirMark() throws {
    var intake = intake(readers: 2)
    let series = try required(intake.register(LabelSet(pairs: [("__name__", "a")]), nil))
    intake.readers[0].wakeAt = 3
    let woken = (0..<4).map { intake.append([Sample(series: series, timestamp: $0, value: 0)], [], now: 0) }
    #expect(woken == [[], [0], [], []])
  }

  @Test func aLargeAppendIsSeveralRecords() throws {
    var intake = intake(readers: 1, limit: 1 << 18)
    let series = try required(intake.register(LabelSet(pairs: [("__name__", "a")]), nil))
    let samples = (0..<Int64(150_000)).map { Sample(series: series, timestamp: $0, value: Double($0)) }
    let attachments = [0, 65_535, 65_536, 149_999].map { Exposition.Attachment(sample: $0, .histogram([7])) }
    _ = intake.append(samples, attachments, now: 0)
    let ordinals = intake.ring.attachments(in: 1..<150_001).map(\.ordinal)
    #expect(ordinals == [1, 65_536, 65_537, 150_000])
    let last = intake.ring[150_000].timestamp
    #expect(last == 149_999)
  }
}

@Suite struct BatchTests {
  private func batch(_ series: [UInt32]) -> Batch {
    let samples = series.enumerated().map {
      Sample(series: SeriesID(rawValue: $1), timestamp: Int64($0), value: 0)
    }
    return Batch(
      1..<Ordinal(series.count + 1), Outgoing(samples: samples), mark: 1, overtakes: false,
      backoff: Backoff(least: .milliseconds(1), most: .milliseconds(1)))
  }

  /// Sends the batch to a receiver that refuses requests with one of `bad`; gives what it took, and the requests.
  private func send(_ batch: Batch, refusing bad: Set<Int>, longest: Int = .max) -> (taken: [Int], requests: Int) {
    var taken: [Int] = []
    var requests = 0
    repeat {
      if batch.part.range.count > longest, batch.split(batch.part, isSearch: false) { continue }
      requests += 1
      if batch.part.range.contains(where: bad.contains) {
        batch.refuse()
      } else {
        taken += batch.part.range
        batch.take()
      }
    } while batch.advance()
    return (taken, requests)
  }

  @Test(arguments: [1, 2, 3, 64, 2000]) func oneRefusedSampleIsFound(count: Int) {
    for bad in Set([0, count / 3, count - 1]) {
      let batch = batch((0..<UInt32(count)).map { $0 })
      let (taken, requests) = send(batch, refusing: [bad])
      #expect(batch.dropped == [bad..<bad + 1])
      #expect(taken.sorted() == (0..<count).filter { $0 != bad })
      #expect(requests <= 2 * 12 + 1)
    }
  }

  @Test func aBatchOfWhichAllIsRefusedIsNotAskedAboutForLong() {
    let batch = batch((0..<1000).map { $0 })
    let (taken, requests) = send(batch, refusing: Set(0..<1000))
    #expect(taken.isEmpty && requests == 3)
    #expect(batch.dropped.reduce(0) { $0 + $1.count } == 1000)
  }

  /// Cutting for length is no search: in each piece the refused sample is found.
  @Test func whatWasCutForItsLengthIsSearchedPieceByPiece() {
    let batch = batch((0..<1024).map { $0 })
    let (taken, _) = send(batch, refusing: [5, 700], longest: 300)
    #expect(batch.dropped.sorted { $0.lowerBound < $1.lowerBound } == [5..<6, 700..<701])
    #expect(taken.sorted() == (0..<1024).filter { $0 != 5 && $0 != 700 })
  }

  @Test func aSeriesStaysWhole() {
    // Three series: of 1, 7 and 2 samples.
    let batch = batch([1] + Array(repeating: 2, count: 7) + [3, 3])
    #expect(batch.split(batch.part) && batch.rest.map(\.range) == [8..<10, 0..<8])
    let one = self.batch([1, 1, 1, 1])
    // A search would send the later samples first; what is only too long is sent in order.
    #expect(!one.split(one.part))
    #expect(one.split(one.part, isSearch: false) && one.rest.map(\.range) == [2..<4, 0..<2])
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>) func everySampleIsTakenOrDroppedOnce(seed: UInt64) {
    var random = SeededGenerator(seed)
    for _ in 0..<fuzzRounds {
      var series: [UInt32] = []
      while series.count < 40, series.isEmpty || Int.random(in: 0..<20, using: &random) > 0 {
        series += Array(repeating: UInt32(series.count), count: Int.random(in: 1...4, using: &random))
      }
      let batch = batch(series)
      var seen: [Int] = []
      repeat {
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<3:
          seen += batch.part.range
          batch.take()
        case 3..<5: batch.refuse()
        case 5: if !batch.split(batch.part, isSearch: false) { batch.refuse() }
        case 6: batch.giveUp()
        default: batch.refuse()
        }
        seen += batch.dropped.flatMap { $0 }
        batch.dropped = []
      } while batch.advance()
      #expect(seen.sorted() == Array(series.indices))
    }
  }

  @Test func groupingKeepsTimeAndCompany() {
    var outgoing = Outgoing(
      samples: [3, 1, 3, 2, 1].enumerated().map {
        Sample(series: SeriesID(rawValue: $1), timestamp: Int64($0), value: 0)
      })
    outgoing.attachments = [(0, .histogram([0])), (2, .histogram([2])), (4, .histogram([4]))]
    outgoing.groupBySeries()
    #expect(outgoing.samples.map(\.timestamp) == [1, 4, 3, 0, 2])
    #expect(outgoing.attachments.map(\.sample) == [1, 3, 4])
  }
}
