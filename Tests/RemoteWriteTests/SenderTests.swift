import Exposition
import Glibc
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RemoteWrite

/// Storages with a log, and receivers that fail in every way: nothing is lost, and each series stays in order.
@Suite(.serialized) struct SenderTests {
  private func log(_ directory: TemporaryDirectory, memory: Int = 1 << 12) -> LogOptions {
    var options = LogOptions(path: "\(directory.path)/log")
    options.segmentBytes = 16 << 10
    options.samplesInMemory = memory
    options.samplesInMemoryWithoutLog = 1 << 15
    return options
  }

  /// That `receiver` has all of the rounds of each series.
  private func expectAll(_ receiver: FakeReceiver, series: Int, rounds: Range<Int64>, but poisoned: Set<String> = []) {
    let taken = receiver.taken
    #expect(taken.count == series - poisoned.count)
    let wrong = taken.filter { inOrder($0.value) != Array(rounds) }.keys.sorted()
    #expect(wrong.isEmpty, "\(wrong.count) series, such as \(wrong.first ?? ""): \(taken[wrong.first ?? ""] ?? [])")
    #expect(receiver.malformed == 0)
  }

  private func receiver(_ random: sending SeededGenerator, slow: Int64) -> FakeReceiver {
    let random = Mutex(random)
    return FakeReceiver { number in
      .microseconds(Int64(number) * 7919 % slow)
    } answer: { _, request in
      if request.holds("s7") { return .status(400) }
      return switch random.withLock({ Int.random(in: 0..<24, using: &$0) }) {
      case 0: .takeAndReset
      case 1: .reset
      case 2: .status(503)
      case 3: .status(429, retryAfter: "0")
      case 4: .status([401, 403, 301].randomElement()!)
      case 5 where request.samples > 20: .status(413)
      default: .take
      }
    }
  }

  @Test(arguments: 1...2 as ClosedRange<UInt64>, [false, true]) func nothingIsLostOrReordered(
    seed: UInt64, isLogged: Bool
  ) async throws {
    let directory = TemporaryDirectory()
    let receivers = [50, 3000, 20_000].enumerated().map { index, slow in
      receiver(SeededGenerator(seed * 10 + UInt64(index)), slow: slow)
    }
    let remotes = try receivers.enumerated().map { index, receiver in
      var options = try options("r\(index)") {
        $0.maxSamplesPerSend = 100
        $0.maxShards = [1, 8, 30][index]
      }
      options.version = index == 1 ? .v2 : .v1
      return Remote(options, transport: receiver.respond)
    }
    let (count, rounds) = (80, Int64(30))
    let storage = try storage(remotes, log: isLogged ? log(directory) : nil)
    try await storage.sending { storage in
      try await withThrowingTaskGroup { group in
        for scraper in 0..<4 {
          group.addTask {
            let series = try (0..<count / 4).map { try storage.series("s\(scraper * count / 4 + $0)") }
            for round in 0..<rounds {
              storage.append(series, at: round)
              await Task.yield()
            }
            storage.release(series)
          }
        }
        try await group.waitForAll()
      }
    }
    for (index, receiver) in receivers.enumerated() {
      expectAll(receiver, series: count, rounds: 0..<rounds, but: ["s7"])
      #expect(
        storage.metric(
          #"pilotfish_remote_write_samples_refused_total{code="400",reason="bad_request",remote_name="r\#(index)""#)
          == Double(rounds))
      #expect(storage.metric(#"prometheus_remote_storage_samples_pending{remote_name="r\#(index)""#) == 0)
      for reason in RemoteStatistics.DropReason.allCases {
        #expect(storage.dropped(reason.rawValue, "r\(index)") == 0, "\(reason)")
      }
    }
  }

  @Test func aRestartSendsWhatWasNotSent() async throws {
    let directory = TemporaryDirectory()
    let away = FakeReceiver { _, _ in .status(503) }
    try await storage([Remote(try options(), transport: away.respond)], log: log(directory)).sending(within: .zero) {
      let series = try $0.series(300)
      for time in 0..<Int64(50) { $0.append(series, at: time) }
    }
    // Again, with nothing acknowledged at all, and more on top.
    try await storage([Remote(try options(), transport: away.respond)], log: log(directory)).sending(within: .zero) {
      let series = try $0.series(300)
      for time in 50..<Int64(60) { $0.append(series, at: time) }
    }
    #expect(away.takenCount == 0)
    let well = FakeReceiver()
    let last = try storage([Remote(try options(), transport: well.respond)], log: log(directory))
    try await last.sending {
      let series = try $0.series(300)
      for time in 60..<Int64(70) { $0.append(series, at: time) }
    }
    expectAll(well, series: 300, rounds: 0..<70)
    #expect(well.takenCount == 300 * 70, "nothing twice")
    let inspection = try LogInspection(path: "\(directory.path)/log")
    #expect(inspection.damages.isEmpty && inspection.missing == 0)
    #expect(inspection.remotes.map(\.unacknowledged) == [0])
  }

  @Test func aRestartKnowsWhatWasAcknowledgedOutOfOrder() async throws {
    let directory = TemporaryDirectory()
    let count = 400
    // Those that hold s0 never get an answer; others go on behind them.
    let first = FakeReceiver { _, request in request.holds("s0") ? .never : .take }
    let remote = Remote(
      try options {
        $0.maxSamplesPerSend = 100
        $0.minShards = 10
      }, transport: first.respond)
    try await storage([remote], log: log(directory)).sending(within: .zero) {
      $0.append(try $0.series(count), at: 1)
      while $0.metric("prometheus_remote_storage_samples_total") != Double(count - 100) { await Task.yield() }
    }
    let second = FakeReceiver()
    let restarted = try storage([Remote(remote.options, transport: second.respond)], log: log(directory))
    try await restarted.sending { $0.append(try $0.series(count), at: 2) }
    #expect(first.takenCount == count - 100)
    #expect(second.takenCount == count + 100, "only what was not acknowledged comes again")
    #expect(second.taken["s0"]?.map(\.timestamp) == [1, 2] && second.taken["s399"]?.map(\.timestamp) == [2])
  }

  @Test func whatLeavesMemoryIsReadFromTheLogWhileAppendingGoesOn() async throws {
    let directory = TemporaryDirectory()
    let isWell = Atomic(false)
    let receiver = FakeReceiver { _, _ in isWell.load(ordering: .relaxed) ? .take : .status(503) }
    let quick = FakeReceiver()
    let storage = try storage(
      [Remote(try options("a"), transport: receiver.respond), Remote(try options("b"), transport: quick.respond)],
      log: log(directory))
    let count = 500
    try await storage.sending { storage in
      let series = try storage.series(count)
      for time in 0..<Int64(60) { storage.append(series, at: time) }
      await quick.wait(for: count * 60)
      #expect(storage.metric("pilotfish_log_segments") ?? 0 > 1, "what a has not taken is kept")
      isWell.store(true, ordering: .relaxed)
      for time in 60..<Int64(120) {
        storage.append(series, at: time)
        await quick.wait(for: count * Int(time))
      }
    }
    expectAll(receiver, series: count, rounds: 0..<120)
    expectAll(quick, series: count, rounds: 0..<120)
  }

  /// Refused credentials take the batches back, also those that came from the log.
  @Test func whatIsHeldComesFromTheLogAgain() async throws {
    let directory = TemporaryDirectory()
    let receiver = FakeReceiver { number, _ in number < 5 || number % 3 == 1 ? .status(401) : .take }
    let away = FakeReceiver { _, _ in .status(503) }
    try await storage([Remote(try options(), transport: away.respond)], log: log(directory)).sending(within: .zero) {
      let series = try $0.series(100)
      for time in 0..<Int64(100) { $0.append(series, at: time) }
    }
    let remote = Remote(
      try options {
        $0.maxSamplesPerSend = 200
        $0.minShards = 4
      }, transport: receiver.respond)
    let storage = try storage([remote], log: log(directory))
    try await storage.sending { $0.append(try $0.series(100), at: 100) }
    expectAll(receiver, series: 100, rounds: 0..<101)
    #expect(RemoteStatistics.DropReason.allCases.allSatisfy { storage.dropped($0.rawValue) == 0 })
  }

  @Test(arguments: [FakeReceiver.Answer.status(415), .ignore]) func anOldReceiverGetsTheOldVersion(
    answer: FakeReceiver.Answer
  ) async throws {
    let receiver = FakeReceiver { _, request in request.isVersion2 ? answer : .take }
    var choice = try options {
      $0.maxSamplesPerSend = 50
      $0.minShards = 8
    }
    choice.version = .v2
    let storage = try storage([Remote(choice, transport: receiver.respond)])
    let series = try storage.series(400)
    for time in 0..<Int64(10) { storage.append(series, at: time) }
    try await storage.sending()
    expectAll(receiver, series: 400, rounds: 0..<10)
    #expect(receiver.requests.first?.isVersion2 == true && receiver.requests.last?.isVersion2 == false)
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 0)
  }

  /// The folder is taken away under the log: samples go on from memory, and the log comes back with the folder.
  @Test func aLogThatCannotBeWrittenCostsNothing() async throws {
    let directory = TemporaryDirectory()
    let receiver = FakeReceiver()
    var log = log(directory)
    log.retryInterval = .milliseconds(1)
    log.segmentBytes = 1
    let storage = try storage([Remote(try options(), transport: receiver.respond)], log: log)
    try await storage.sending { storage in
      let series = try storage.series(50)
      storage.append(series, at: 0)
      await receiver.wait(for: 50)
      directory.move("log", to: "away")
      var time: Int64 = 1
      while storage.metric("pilotfish_log_failing") == 0 {
        storage.append(series, at: time)
        await receiver.wait(for: 50 * Int(time + 1))
        time += 1
      }
      directory.move("away", to: "log")
      while storage.metric("pilotfish_log_failing") == 1 { await Task.yield() }
      let written = storage.metric("pilotfish_log_written_bytes_total") ?? 0
      while storage.metric("pilotfish_log_written_bytes_total") == written {
        storage.append(series, at: time)
        await receiver.wait(for: 50 * Int(time + 1))
        time += 1
      }
      let end = time
      expectAll(receiver, series: 50, rounds: 0..<end)
    }
    #expect(try LogInspection(path: log.path).damages.isEmpty)
  }
}
