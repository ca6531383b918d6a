import Exposition
import Synchronization
import TestSupport
import Testing

@testable import RemoteWrite

/// Which series receivers judge together.
@Suite struct HAGroupTests {
  private func labels(_ pairs: [(String, String)]) -> LabelSet { LabelSet(pairs: [("__name__", "up")] + pairs) }

  @Test func aGroupIsClusterAndReplica() {
    var table = LabelTable()
    func group(_ pairs: [(String, String)]) -> UInt32 {
      table.register(labels(pairs)).map { table.group(of: $0) } ?? 0
    }
    for pairs in [[], [("cluster", "c")], [("job", "j"), ("cluster", "d")]] {
      let group = group(pairs)
      #expect(group == 0)
    }
    let isUsed = table.hasGroups
    #expect(!isUsed, "without __replica__ nothing is kept")
    let a = group([("__replica__", "a"), ("cluster", "c")])
    let same = group([("__replica__", "a"), ("cluster", "c"), ("job", "j")])
    let others = [("a", "d"), ("b", "c"), ("ac", ""), ("c", "a")].map {
      group([("__replica__", $0.0), ("cluster", $0.1)])
    }
    let alone = group([("__replica__", "a"), ("job", "j")])
    #expect(a != 0 && same == a && !others.contains(a) && Set(others).count == 4)
    #expect(alone == 0)
    var other = LabelTable(external: LabelSet(pairs: [("__replica__", "a"), ("cluster", "c")]))
    let again = other.register(labels([])).map { other.group(of: $0) }
    #expect(again == a, "the same in every process, and by external labels")
  }

  @Test func aNumberThatIsUsedAgainHasItsNewGroup() {
    var table = LabelTable()
    var random = SeededGenerator(7)
    var alive: [(number: UInt32, isGrouped: Bool)] = []
    for round in 0..<2000 {
      let isGrouped = Bool.random(using: &random)
      let pairs =
        [("cluster", "c\(round % 9)"), ("n", "\(round)")] + (isGrouped ? [("__replica__", "r\(round % 5)")] : [])
      alive.append((table.register(labels(pairs)) ?? 0, isGrouped))
      while alive.count > 50 || alive.count > 0 && round == 1999 {
        let last = alive.remove(at: Int.random(in: 0..<alive.count, using: &random))
        let group = table.group(of: last.number)
        #expect((group != 0) == last.isGrouped)
        _ = table.release(last.number)
        table.bury(last.number)
      }
    }
  }

  @Test func samplesOfAGroupStandSideBySide() {
    var random = SeededGenerator(3)
    for _ in 0..<200 {
      let count = Int.random(in: 1..<60, using: &random)
      var outgoing = Outgoing(
        samples: (0..<count).map {
          Sample(series: SeriesID(rawValue: UInt32.random(in: 0..<12, using: &random)), timestamp: Int64($0), value: 0)
        })
      for index in 0..<count where index % 3 == 0 { outgoing.attachments.append((index, .start(Int64(index)))) }
      let before = outgoing.samples
      outgoing.partition { $0.series.rawValue % 4 }
      #expect(outgoing.groups.first?.range.lowerBound == 0 && outgoing.groups.last?.range.upperBound == count)
      for (group, range) in outgoing.groups {
        let expected = before.filter { $0.series.rawValue % 4 == group }.map(\.timestamp)
        #expect(outgoing.samples[range].map(\.timestamp) == expected)
      }
      for (sample, content) in outgoing.attachments {
        guard case .start(let time) = content else { continue }
        #expect(outgoing.samples[sample].timestamp == time)
      }
      #expect(outgoing.attachments.map(\.sample) == outgoing.attachments.map(\.sample).sorted())
    }
  }
}

/// A receiver that takes the samples of one replica of each cluster, as Cortex does.
private final class Electorate: Sendable {
  let elected: Mutex<[String: String]>
  let mixed = Atomic(0)

  init(_ elected: [String: String]) { self.elected = Mutex(elected) }

  func elect(_ replica: String, _ cluster: String = "c") { elected.withLock { $0[cluster] = replica } }

  /// By the first series of a request, and by that one only.
  func judge(_ request: FakeReceiver.Request) -> FakeReceiver.Answer {
    let names = request.series.map { series in
      let pair = ["cluster", "__replica__"].map { name in series.labels.first { $0[0] == name }?[1] ?? "" }
      return pair.contains("") ? [] : pair
    }
    if Set(names).count > 1 { mixed.add(1, ordering: .relaxed) }
    guard let first = names.first, !first.isEmpty else { return .take }
    return elected.withLock { $0[first[0], default: first[1]] == first[1] } ? .take : .denied
  }

  var receiver: FakeReceiver { FakeReceiver { _, request in self.judge(request) } }
}

extension RemoteStorage {
  fileprivate func series(_ names: Range<Int>, cluster: String? = "c", replica: String? = "a") throws -> [SeriesID] {
    try names.map { name in
      var pairs = [("__name__", "s\(name)")]
      if let replica { pairs.insert(("__replica__", replica), at: 0) }
      if let cluster { pairs.append(("cluster", cluster)) }
      return try #require(register(LabelSet(pairs: pairs)))
    }
  }

  fileprivate func wait(_ condition: () -> Bool) async {
    while !condition() { await Task.yield() }
  }
}

/// Receivers that have elected another replica, and then this one: nothing is missing, and each series is in order.
@Suite(.serialized) struct StandbyTests {
  /// Timestamps are compared with the clock.
  private let base = WallClock.milliseconds

  private func log(_ directory: TemporaryDirectory, memory: Int = 1 << 12) -> LogOptions {
    var options = LogOptions(path: "\(directory.path)/log")
    options.segmentBytes = 16 << 10
    options.samplesInMemory = memory
    return options
  }

  private func remote(_ receiver: FakeReceiver, window: Duration = .seconds(3600)) throws -> Remote {
    var options = try options { $0.maxSamplesPerSend = 100 }
    options.standbyWindow = window
    return Remote(options, transport: receiver.respond)
  }

  /// The rounds that `receiver` has of a series; nil when they came out of order.
  private func rounds(_ receiver: FakeReceiver, _ name: String) -> [Int64]? {
    receiver.taken[name].flatMap(inOrder)?.map { $0 - base }
  }

  private func expectAll(_ receiver: FakeReceiver, _ series: Range<Int>, _ rounds: Range<Int64>) {
    for name in series {
      let taken = self.rounds(receiver, "s\(name)")
      #expect(taken == Array(rounds), "s\(name)")
    }
  }

  @Test(arguments: [false, true]) func noRequestHoldsTwoClusters(isFlaky: Bool) async throws {
    let electorate = Electorate([:])
    let random = Mutex(SeededGenerator(5))
    let receiver = FakeReceiver { _, request in
      let answer = electorate.judge(request)
      guard isFlaky, case .take = answer else { return answer }
      return switch random.withLock({ Int.random(in: 0..<12, using: &$0) }) {
      case 0: .takeAndReset
      case 1: .status(503)
      case 2: .status(403)
      case 3 where request.samples > 4: .status(413)
      default: .take
      }
    }
    try await storage([try remote(receiver)]).sending { storage in
      let clusters = try (0..<6).map { number in
        try storage.series(
          number * 20..<(number + 1) * 20, cluster: number == 4 ? nil : "c\(number)", replica: number == 5 ? nil : "a")
      }
      // The clusters take turns, sample by sample.
      let series = (0..<20).flatMap { place in clusters.map { $0[place] } }
      for round in 0..<Int64(30) {
        storage.append(series, at: base + round)
        if round % 7 == 0 { await Task.yield() }
      }
    }
    #expect(electorate.mixed.load(ordering: .relaxed) == 0)
    expectAll(receiver, 0..<120, 0..<30)
    #expect(receiver.malformed == 0)
  }

  /// With the log, what was withheld has left memory.
  @Test(arguments: [false, true]) func whatWasWithheldIsSentInOrder(isLogged: Bool) async throws {
    let directory = TemporaryDirectory()
    let electorate = Electorate(["c": "b"])
    let receiver = electorate.receiver
    let storage = try storage([try remote(receiver)], log: isLogged ? log(directory) : nil)
    let (count, rounds) = (200, Int64(60))
    try await storage.sending { storage in
      let series = try storage.series(0..<count)
      for round in 0..<rounds { storage.append(series, at: base + round) }
      await storage.wait {
        storage.metric("pilotfish_remote_write_ha_samples_withheld_total") == Double(count) * Double(rounds)
      }
      await storage.wait {
        storage.metric("pilotfish_remote_write_ha_standby") == 1
          && storage.metric("prometheus_remote_storage_samples_pending") == 0
      }
      let asked = receiver.requests.count
      await storage.wait { receiver.requests.count > asked + 3 }
      #expect(receiver.requests[asked...].allSatisfy { $0.samples == 1 }, "a standby only asks")
      #expect(receiver.takenCount == 0)
      electorate.elect("a")
      for round in rounds..<rounds + 10 { storage.append(series, at: base + round) }
      await storage.wait { receiver.takenCount >= count * Int(rounds + 10) }
      await storage.wait { storage.metric("pilotfish_remote_write_ha_standby") == 0 }
    }
    expectAll(receiver, 0..<count, 0..<rounds + 10)
    #expect(receiver.takenCount == count * Int(rounds + 10) + 1, "only the question is there twice")
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 0)
  }

  @Test func whatTheOtherReplicaHasDeliveredIsLetGo() async throws {
    let electorate = Electorate(["c": "b"])
    let receiver = electorate.receiver
    let storage = try storage([try remote(receiver, window: .zero)])
    try await storage.sending { storage in
      let series = try storage.series(0..<50)
      // Hours ago, as after an outage; then now.
      for round in 0..<Int64(30) { storage.append(series, at: base + round - 7_200_000) }
      var time = base
      await storage.wait {
        let now = WallClock.milliseconds
        if now > time { storage.append(series, at: now) }
        time = max(time, now)
        return receiver.requests.last?.series[0].points[0].timestamp ?? 0 > base + 20
      }
      electorate.elect("a")
      storage.append(series, at: time + 1)
      await storage.wait { receiver.taken["s49"]?.last?.timestamp == time + 1 }
    }
    let taken = try #require(receiver.taken["s49"])
    #expect((inOrder(taken)?[0] ?? 0) >= base)
    #expect(storage.metric("pilotfish_remote_write_ha_samples_withheld_total") ?? 0 > 50 * 30)
  }

  @Test func aRestartKeepsWhatWasWithheld() async throws {
    let directory = TemporaryDirectory()
    let electorate = Electorate(["c": "b"])
    let receiver = electorate.receiver
    for part in 0..<Int64(3) {
      try await storage([try remote(receiver)], log: log(directory)).sending(within: .zero) { storage in
        let series = try storage.series(0..<100)
        for round in 0..<Int64(10) { storage.append(series, at: base + part * 10 + round) }
        await storage.wait { (storage.metric("pilotfish_remote_write_ha_samples_withheld_total") ?? 0) >= 1000 }
      }
    }
    #expect(receiver.takenCount == 0)
    #expect(try LogInspection(path: "\(directory.path)/log").remotes.map(\.unacknowledged) == [3000])
    electorate.elect("a")
    try await storage([try remote(receiver)], log: log(directory)).sending { storage in
      storage.append(try storage.series(0..<100), at: base + 30)
    }
    expectAll(receiver, 0..<100, 0..<31)
    #expect(receiver.takenCount == 3100, "nothing twice")
    #expect(try LogInspection(path: "\(directory.path)/log").remotes.map(\.unacknowledged) == [0])
  }

  /// Each cluster has its election: one does not wait for another, and only what was withheld is sent again.
  @Test(arguments: 1...2 as ClosedRange<UInt64>, [false, true]) func clustersAreElectedByThemselves(
    seed: UInt64, isLogged: Bool
  ) async throws {
    let directory = TemporaryDirectory()
    var random = SeededGenerator(seed)
    let electorate = Electorate(["c1": "b", "c3": "b"])
    let slow = Int64(seed) * 300
    let receiver = FakeReceiver { number in
      .microseconds(Int64(number) * 7919 % slow)
    } answer: { _, request in
      electorate.judge(request)
    }
    var remote = try remote(receiver)
    remote.options.queue.maxShards = 8
    let storage = try storage([remote], log: isLogged ? log(directory) : nil)
    let rounds = Int64(80)
    try await storage.sending { storage in
      let clusters = try (0..<4).map { try storage.series($0 * 25..<($0 + 1) * 25, cluster: "c\($0)") }
      let series = (0..<25).flatMap { place in clusters.map { $0[place] } }
      for round in 0..<rounds {
        storage.append(series, at: base + round)
        for _ in 0..<Int.random(in: 0..<60, using: &random) { await Task.yield() }
        if round < rounds - 1, Int.random(in: 0..<8, using: &random) == 0 {
          electorate.elect(["a", "b"].randomElement(using: &random)!, "c\(Int.random(in: 1..<4, using: &random))")
        }
      }
      await storage.wait { receiver.taken["s0"]?.count == Int(rounds) }
      for cluster in 1..<4 { electorate.elect("a", "c\(cluster)") }
      await storage.wait {
        storage.metric("pilotfish_remote_write_ha_standby") == 0
          && (0..<100).allSatisfy { Set((receiver.taken["s\($0)"] ?? []).map(\.timestamp)).count == Int(rounds) }
      }
    }
    expectAll(receiver, 0..<100, 0..<rounds)
    #expect(receiver.takenCount - receiver.taken.values.reduce(0) { $0 + Set($1.map(\.timestamp)).count } < 8000)
    #expect(receiver.taken["s0"]?.count == Int(rounds), "a cluster without an election sees nothing of it")
    #expect(electorate.mixed.load(ordering: .relaxed) == 0)
    for reason in RemoteStatistics.DropReason.allCases { #expect(storage.dropped(reason.rawValue) == 0, "\(reason)") }
  }

  /// The other replica's newer samples are there already: receivers refuse the older ones, and store the rest.
  @Test func whatIsRefusedOnTheWayIsNotSearched() async throws {
    let electorate = Electorate(["c": "b"])
    let receiver = FakeReceiver { _, request in
      let answer = electorate.judge(request)
      guard case .take = answer, request.series[0].points[0].timestamp < 2_000_000_000_000 else { return answer }
      return .status(400)
    }
    let storage = try storage([try remote(receiver)])
    try await storage.sending { storage in
      let series = try storage.series(0..<50)
      for round in 0..<Int64(10) { storage.append(series, at: base + round) }
      await storage.wait { storage.metric("pilotfish_remote_write_ha_samples_withheld_total") == 500 }
      let asked = receiver.requests.count
      electorate.elect("a")
      await storage.wait { storage.metric("pilotfish_remote_write_ha_samples_resent_total") == 500 }
      await storage.wait { storage.metric("prometheus_remote_storage_samples_pending") == 0 }
      #expect(receiver.requests[asked...].reduce(0) { $0 + $1.samples } < 600)
    }
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 0)
  }

  /// A receiver that says by 202 that it has taken samples; and one whose answers name no replica.
  @Test(arguments: [nil, "a"]) func a202MayBeASuccess(replica: String?) async throws {
    let receiver = FakeReceiver { _, request in
      request.series.isEmpty ? .take : replica == nil ? .denied : .status(202)
    }
    let storage = try storage([try remote(receiver)])
    try await storage.sending { storage in
      let series = try storage.series(0..<10, replica: replica)
      for round in 0..<Int64(10) { storage.append(series, at: base + round) }
    }
    #expect(receiver.requests.reduce(0) { $0 + $1.samples } == 100)
    #expect(storage.metric("prometheus_remote_storage_samples_total") == 100)
    #expect(storage.metric("pilotfish_remote_write_ha_standby") == 0)
  }

  /// A standby whose receiver is away keeps what it withheld before, and all that comes.
  @Test func anOutageWhileStandingBy() async throws {
    let directory = TemporaryDirectory()
    let electorate = Electorate(["c": "b"])
    let isAway = Atomic(false)
    let receiver = FakeReceiver { _, request in
      isAway.load(ordering: .relaxed) ? .status(503) : electorate.judge(request)
    }
    let storage = try storage([try remote(receiver)], log: log(directory))
    try await storage.sending { storage in
      let series = try storage.series(0..<50)
      storage.append(series, at: base)
      await storage.wait { storage.metric("pilotfish_remote_write_ha_standby") == 1 }
      isAway.store(true, ordering: .relaxed)
      let asked = receiver.requests.count
      for round in 1..<Int64(100) { storage.append(series, at: base + round) }
      await storage.wait { receiver.requests.count > asked + 2 }
      electorate.elect("a")
      isAway.store(false, ordering: .relaxed)
      await storage.wait { (0..<50).allSatisfy { receiver.taken["s\($0)"]?.last?.timestamp == base + 99 } }
    }
    expectAll(receiver, 0..<50, 0..<100)
  }
}
