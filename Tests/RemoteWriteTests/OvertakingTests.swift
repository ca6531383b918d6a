import Exposition
import Kernel
import Relabeling
import Synchronization
import TestSupport
import Testing

@testable import RemoteWrite

/// What is known of a backlog.
@Suite struct SeriesFilterTests {
  private func fingerprint(_ number: UInt64) -> SeriesFingerprint {
    var fingerprint = SeriesFingerprint()
    fingerprint.combine(number)
    return fingerprint
  }

  @Test func whatIsInItIsNeverDenied() {
    var filter = SeriesFilter()
    for number in 0..<UInt64(50_000) { filter.insert(fingerprint(number)) }
    #expect((0..<50_000).allSatisfy { filter.contains(fingerprint($0)) })
    let mistaken = (50_000..<100_000).count { filter.contains(fingerprint($0)) }
    #expect(mistaken < 50, "fewer than one in a thousand")
  }

  @Test func aFileIsWholeOrNothing() throws {
    let folder = TemporaryDirectory()
    let path = folder.path + "/filter"
    #expect(SeriesFilter(path: path) == nil)
    var filter = SeriesFilter()
    for number in 0..<UInt64(1000) { filter.insert(fingerprint(number)) }
    #expect(filter.write(path: path))
    #expect(SeriesFilter(path: path) == filter)
    let bytes = try #require(fileBytes(path))
    for damage in [0, 100, bytes.count - 1] {
      var damaged = bytes
      damaged[damage] ^= 1
      folder.write("filter", bytes: damaged)
      #expect(SeriesFilter(path: path) == nil)
    }
    folder.write("filter", bytes: Array(bytes.dropLast()))
    #expect(SeriesFilter(path: path) == nil)
    #expect(!filter.write(path: folder.path + "/no/folder"))
  }

  @Test func theLogSaysWhichSeriesItHolds() throws {
    let folder = TemporaryDirectory()
    var scribe = LogScribe()
    var random = SeededGenerator(4)
    let series = (0..<300).map { scribe.series("s\($0)", [("job", "j\($0 % 7)"), ("pod", "p\($0)")]) }
    let absent = (0..<300).map { scribe.series("absent\($0)") }
    for time in 0..<Int64(60) {
      if time % 20 == 19 { scribe.encoder.endSegment() }
      let part = series[..<(Int(time) * 5 + 1)].filter { _ in Bool.random(using: &random) }
      if !part.isEmpty { scribe.append(part.map { Sample(series: $0, timestamp: time, value: 1) }) }
    }
    scribe.flush(to: folder)
    let logFolder = try LogFolder(path: folder.path, isLocked: true)
    for position in [1, scribe.next / 2, scribe.next - 1] {
      let filter = try #require(logFolder.series(of: position..<scribe.next))
      for told in scribe.told[Int(position - 1)...] {
        let number = scribe.table.register(told.labels) ?? 0
        let isHeld = filter.contains(scribe.table.fingerprint(of: number))
        #expect(isHeld)
      }
      let early = try #require(logFolder.series(of: 1..<2))
      #expect(!early.contains(scribe.table.fingerprint(of: series[200].rawValue)), "what comes later is not in it")
      let mistaken = absent.count { filter.contains(scribe.table.fingerprint(of: $0.rawValue)) }
      #expect(mistaken == 0)
    }
  }

  @Test func garbageSaysNothing() {
    var random = SeededGenerator(8)
    var filter = SeriesFilter()
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in UInt8.random(in: 0...16, using: &random) }
      var series = SegmentSeries()
      _ = series.read(bytes.span.bytes, before: .max, into: &filter)
    }
  }
}

/// A backlog in the log, and series that are not in it.
@Suite struct OvertakingTests {
  private static let old = 500
  private static let fresh = 20
  private static let rounds: Int64 = 40

  private func logOptions(_ folder: TemporaryDirectory) -> LogOptions {
    var log = LogOptions(path: folder.path)
    log.samplesInMemory = 1 << 12
    log.longBacklog = 1 << 13
    log.segmentBytes = 1 << 14
    return log
  }

  /// A log whose samples nobody took.
  private func writeBacklog(_ folder: TemporaryDirectory) async throws {
    let storage = try storage(
      [Remote(try options(), transport: FakeReceiver { _, _ in .status(503) }.respond)], log: logOptions(folder))
    try await storage.sending(within: .zero) { storage in
      let series = try storage.series(Self.old)
      for time in 0..<Self.rounds { storage.append(series, at: time) }
    }
  }

  private func filters(_ folder: TemporaryDirectory) -> [String] {
    ((try? Directory.names(folder.path)) ?? []).filter { $0.hasSuffix(".series") }
  }

  private func register(_ storage: RemoteStorage) throws -> [SeriesID] {
    try storage.series(Self.old) + (0..<Self.fresh).map { try storage.series("fresh\($0)") }
  }

  /// Appends samples when the backlog is known, and waits for a fresh one.
  private func awaitFresh(
    _ storage: RemoteStorage, _ receiver: FakeReceiver, _ folder: TemporaryDirectory, at time: Int64
  ) async throws {
    while filters(folder).isEmpty { await receiver.wait(for: receiver.takenCount + 1) }
    storage.append(try register(storage), at: time)
    while receiver.taken["fresh0"] == nil { await receiver.wait(for: receiver.takenCount + 1) }
  }

  @Test func freshSeriesDoNotWait() async throws {
    let folder = TemporaryDirectory()
    try await writeBacklog(folder)
    // It is slow until there is something fresh: the backlog lasts so long.
    let isFresh = Mutex(false)
    let receiver = FakeReceiver(
      delay: { _ in isFresh.withLock { $0 } ? .zero : .seconds(1) },
      answer: { _, request in
        if request.holds("fresh0") { isFresh.withLock { $0 = true } }
        return .take
      })
    let storage = try storage(
      [Remote(try options { $0.maxSamplesPerSend = 100 }, transport: receiver.respond)], log: logOptions(folder))
    let end = Self.rounds + 21
    try await storage.sending { storage in
      try await awaitFresh(storage, receiver, folder, at: Self.rounds)
      #expect((receiver.taken["s0"]?.count ?? 0) < Int(Self.rounds), "the backlog was not sent yet")
      let series = try register(storage)
      for time in Self.rounds + 1..<end { storage.append(series, at: time) }
    }
    let taken = receiver.taken
    #expect(taken.count == Self.old + Self.fresh)
    for (name, points) in taken {
      let first = name.hasPrefix("fresh") ? Self.rounds : 0
      #expect(points.map(\.timestamp) == Array(first..<end), "\(name): each once, in order")
    }
    #expect(filters(folder).isEmpty, "what was known of the backlog is forgotten")
  }

  /// Ends in the midst of it, again and again, and goes on with a receiver that takes, refuses and breaks off.
  @Test(arguments: [1, 2, 3, 4, 5, 6]) func nothingIsLostOrOutOfOrder(seed: UInt64) async throws {
    let folder = TemporaryDirectory()
    try await writeBacklog(folder)
    let random = Mutex(SeededGenerator(seed))
    let receiver = FakeReceiver(
      delay: { _ in .microseconds(random.withLock { Int64.random(in: 0..<1500, using: &$0) }) },
      answer: { _, _ in
        switch random.withLock({ Int.random(in: 0..<20, using: &$0) }) {
        case 0: .status(503)
        case 1: .takeAndReset
        case 2: .status(401)
        case 3: .status(429, retryAfter: "0")
        default: .take
        }
      })
    var end = Self.rounds
    for round in 0..<4 {
      let storage = try storage(
        [Remote(try options { $0.maxSamplesPerSend = 100 }, transport: receiver.respond)], log: logOptions(folder))
      try await storage.sending(within: round < 3 ? Duration.zero : Duration.seconds(60)) { storage in
        let series = try register(storage)
        for time in end..<end + 6 {
          storage.append(series, at: time)
          await receiver.wait(for: receiver.takenCount + 400)
        }
        end += 6
      }
    }
    let taken = receiver.taken
    #expect(taken.count == Self.old + Self.fresh)
    for (name, points) in taken {
      let first = name.hasPrefix("fresh") ? Self.rounds : 0
      #expect(inOrder(points) == Array(first..<end), "\(name)")
    }
    let sent = taken.values.reduce(0) { $0 + $1.count }
    let different = Self.old * Int(end) + Self.fresh * Int(end - Self.rounds)
    #expect(sent < different * 3 / 2, "few are sent twice")
  }

  /// What overtakes is newer than what waits in the log.
  @Test func theBacklogIsTheOldest() async throws {
    let folder = TemporaryDirectory()
    try await writeBacklog(folder)
    let receiver = FakeReceiver(delay: { _ in .seconds(1) }, answer: { _, _ in .take })
    let storage = try storage(
      [Remote(try options { $0.maxSamplesPerSend = 100 }, transport: receiver.respond)], log: logOptions(folder))
    try await storage.sending(within: .zero) { storage in
      try await awaitFresh(storage, receiver, folder, at: WallClock.milliseconds)
      #expect(try #require(storage.metric("pilotfish_remote_write_oldest_unsent_seconds")) > 1e9)
    }
  }

  @Test func rulesThatChangeLabelsForbidIt() async throws {
    let folder = TemporaryDirectory()
    try await writeBacklog(folder)
    var remote = try options { $0.maxSamplesPerSend = 100 }
    var rule = RelabelRule.Definition()
    rule.action = .labeldrop
    rule.regex = "pod"
    remote.rules = RelabelRules([try RelabelRule(rule)])
    let receiver = FakeReceiver()
    let storage = try storage([Remote(remote, transport: receiver.respond)], log: logOptions(folder))
    try await storage.sending { storage in
      let series = try register(storage)
      storage.append(series, at: Self.rounds)
      await receiver.wait(for: Self.old)
      #expect(filters(folder).isEmpty)
    }
    #expect(receiver.takenCount == Self.old * Int(Self.rounds + 1) + Self.fresh)
  }
}
