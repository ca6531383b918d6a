import Exposition
import HTTPClient
import NIOCore
import Relabeling
import Synchronization
import TestSupport
import Testing

@testable import RemoteWrite

/// One storage without a log, and a receiver: what an answer leads to.
@Suite struct RemoteStorageTests {
  @Test func aQuietAgentSendsOneRequest() async throws {
    let receiver = FakeReceiver()
    let storage = try storage([
      Remote(try options { $0.batchSendDeadline = .seconds(600) }, transport: receiver.respond)
    ])
    try await storage.sending { $0.append(try $0.series(1000), at: 5) }
    #expect(receiver.requests.map(\.samples) == [1000])
  }

  @Test func thePartialBatchGoesAtItsDeadline() async throws {
    let receiver = FakeReceiver()
    let storage = try storage([Remote(try options(), transport: receiver.respond)])
    try await storage.sending { storage in
      let series = try storage.series("up")
      for time in 0..<Int64(20) {
        storage.append([series], at: time)
        await receiver.wait(for: Int(time) + 1)
      }
    }
    #expect(receiver.taken["up"]?.map(\.timestamp) == Array(0..<20))
  }

  @Test func whatFindsNoRoomIsCounted() async throws {
    let receiver = FakeReceiver()
    let storage = try storage([
      Remote(
        try options {
          $0.capacity = 1 << 12
          $0.maxShards = 1
        }, transport: receiver.respond)
    ])
    let series = try storage.series(1 << 10)
    for time in 0..<Int64(30) { storage.append(series, at: time) }
    try await storage.sending()
    #expect(storage.dropped("memory") == Double(26 << 10))
    #expect(storage.metric("prometheus_remote_storage_samples_in_total") == Double(30 << 10))
    #expect(receiver.takenCount == 4 << 10)
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == [26, 27, 28, 29] }, "the newest are kept")
  }

  @Test func stoppingEndsAtItsBound() async throws {
    let failing = FakeReceiver { _, _ in .status(503) }
    let well = FakeReceiver()
    let storage = try storage([
      Remote(try options("down"), transport: failing.respond), Remote(try options("well"), transport: well.respond),
    ])
    try await storage.sending(within: .milliseconds(1)) { storage in
      storage.append([try storage.series("up")], at: 1)
      await well.wait(for: 1)
    }
    #expect(failing.takenCount == 0)
    #expect(storage.metric(#"prometheus_remote_storage_samples_pending{remote_name="down""#) == 1)
  }

  @Test func aRemoteThatHangsDoesNotSlowTheOthers() async throws {
    let hanging = FakeReceiver { _, _ in .never }
    let well = FakeReceiver()
    let storage = try storage([
      Remote(try options("hanging"), transport: hanging.respond), Remote(try options("well"), transport: well.respond),
    ])
    try await storage.sending(within: .zero) { storage in
      let series = try storage.series("up")
      for time in 0..<Int64(50) { storage.append([series], at: time) }
      await well.wait(for: 50)
    }
    #expect(hanging.takenCount == 0)
  }

  /// Neither those that its rules made, nor those of its requests on their way.
  @Test func aRemoteThatGoesKeepsNoSeries() async throws {
    let hanging = FakeReceiver { _, _ in .never }
    var options = try options("hanging")
    var rule = RelabelRule.Definition()
    rule.targetLabel = "added"
    rule.replacement = "1"
    options.rules = RelabelRules([try RelabelRule(rule)])
    let well = FakeReceiver()
    let stays = Remote(try RemoteWriteTests.options("well"), transport: well.respond)
    let storage = try storage([Remote(options, transport: hanging.respond), stays])
    try await storage.sending { storage in
      let series = try storage.series(10)
      let other = try storage.series("other")
      storage.append(series, at: 0)
      await well.wait(for: 10)
      while hanging.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
      #expect(storage.metric("prometheus_agent_active_series") == 21)
      storage.apply([stays])
      storage.release(series)
      for time in 1..<Int64(10_000) {
        storage.append([other], at: time)
        try await Task.sleep(for: .milliseconds(1))
        if storage.metric("prometheus_agent_active_series") == 1 { break }
      }
      #expect(storage.metric("prometheus_agent_active_series") == 1)
    }
  }

  @Test(arguments: [400, 404, 409, 415, 422, 429]) func whatIsRefusedIsNotSentAgain(status: Int) async throws {
    let receiver = FakeReceiver { number, _ in number == 0 ? .status(status) : .take }
    let storage = try storage([Remote(try options { $0.retryOnHTTP429 = false }, transport: receiver.respond)])
    try await storage.sending { $0.append([try $0.series("up")], at: 1) }
    #expect(receiver.requests.count == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 1)
    #expect(storage.metric(#"pilotfish_remote_write_samples_refused_total{code="\#(status)""#) == 1)
  }

  @Test(arguments: [301, 401, 403, 408, 429, 500, 503]) func whatMayBeTakenLaterIsSentAgain(status: Int) async throws {
    let receiver = FakeReceiver { number, _ in number < 3 ? .status(status, retryAfter: "0") : .take }
    let storage = try storage([Remote(try options(), transport: receiver.respond)])
    try await storage.sending { $0.append([try $0.series("up")], at: 1) }
    let requests = receiver.requests
    #expect(requests.count == 4 && Set(requests.map { $0.series[0].points.count }) == [1])
    #expect(receiver.takenCount == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_retried_total") == 3)
    if ![301, 401, 403].contains(status) {
      let attempts = requests.map { $0.headers.first { $0.name == "Retry-Attempt" }?.value }
      #expect(attempts == [nil, "1", "2", "3"])
    }
  }

  @Test func tooMuchIsSentInHalves() async throws {
    let receiver = FakeReceiver { _, request in request.samples > 10 ? .status(413) : .take }
    let storage = try storage([Remote(try options(), transport: receiver.respond)])
    try await storage.sending { storage in
      let series = try storage.series(20)
      for time in 0..<Int64(10) { storage.append(series, at: time) }
    }
    #expect(receiver.taken.count == 20)
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == Array(0..<10) })
  }

  @Test func aRequestKeepsToItsBytes() async throws {
    let receiver = FakeReceiver()
    let storage = try storage([Remote(try options { $0.maxRequestBytes = 100 }, transport: receiver.respond)])
    try await storage.sending { storage in
      let series = try (0..<64).map { try storage.series("a_name_of_some_length_\($0)") }
      storage.append(series.map { Sample(series: $0, timestamp: 1, value: Double($0.rawValue) / 3) })
    }
    #expect(receiver.takenCount == 64 && receiver.requests.count > 10)
  }

  @Test func samplesTooOldAreDroppedBeforeSending() async throws {
    let receiver = FakeReceiver()
    let storage = try storage([
      Remote(try options { $0.sampleAgeLimit = .seconds(3600) }, transport: receiver.respond)
    ])
    let now = WallClock.milliseconds
    try await storage.sending { storage in
      let series = try storage.series("up")
      storage.append([series], at: now - 7_200_000)
      storage.append([series], at: now)
    }
    #expect(receiver.taken["up"]?.map(\.timestamp) == [now])
    #expect(storage.dropped("too_old") == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_total") == 1)
  }

  /// Also those of a request that was cut in two.
  @Test func samplesThatBecomeTooOldOnTheirWayAreCountedOnce() async throws {
    let isWell = Atomic(false)
    let receiver = FakeReceiver { number, _ in
      number == 0 ? .status(413) : isWell.load(ordering: .relaxed) ? .take : .status(503)
    }
    let storage = try storage([
      Remote(try options { $0.sampleAgeLimit = .seconds(3600) }, transport: receiver.respond)
    ])
    let now = WallClock.milliseconds
    try await storage.sending { storage in
      let series = try storage.series(20)
      storage.append(series, at: now - 3_599_500)
      storage.append(series, at: now)
      while try #require(storage.dropped("too_old")) < 10 { try await Task.sleep(for: .milliseconds(10)) }
      isWell.store(true, ordering: .relaxed)
    }
    #expect(receiver.taken.values.allSatisfy { $0.last?.timestamp == now })
    let dropped = try #require(storage.dropped("too_old"))
    #expect(Int(dropped) + receiver.takenCount == 40 && dropped >= 10)
    #expect(storage.metric("prometheus_remote_storage_samples_total") == Double(receiver.takenCount))
  }

  @Test func requestsCarryTheProtocolsHeadersAndTheDecoratorsOwn() async throws {
    let receiver = FakeReceiver()
    let failures = Atomic(2)
    var choice = try options()
    choice.headers = [(name: "X-Scope-OrgID", value: "tenant")]
    let remote = Remote(choice, transport: receiver.respond) { request in
      if failures.subtract(1, ordering: .relaxed).newValue >= 0 { throw Reset() }
      request.headers.append((name: "Authorization", value: "signed"))
    }
    let storage = try storage([remote])
    try await storage.sending { $0.append([try $0.series("up")], at: 1) }
    let headers = try #require(receiver.requests.first).headers.map { "\($0.name): \($0.value)" }
    #expect(
      headers == [
        "Content-Encoding: snappy", "Content-Type: application/x-protobuf", "User-Agent: pilotfish/test",
        "X-Prometheus-Remote-Write-Version: 0.1.0", "Retry-Attempt: 2", "X-Scope-OrgID: tenant",
        "Authorization: signed",
      ])
  }

  @Test func unknownSeriesAndRefusedLabelsAreCounted() throws {
    let storage = try storage([Remote(try options(), transport: FakeReceiver().respond)])
    #expect(storage.register(LabelSet(pairs: [("job", "nameless")])) == nil)
    let series = try storage.series("up")
    storage.append([
      Sample(series: series, timestamp: 1, value: 1), Sample(series: SeriesID(rawValue: 99), timestamp: 1, value: 1),
      Sample(series: series, timestamp: 2, value: 1),
    ])
    #expect(storage.metric("pilotfish_series_refused_total") == 1)
    #expect(storage.metric("pilotfish_samples_unknown_series_total") == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_pending") == 2)
  }

  @Test func theReceiversWordsAreMadePrintable() {
    let body = ByteBuffer(string: "out of order\n\u{1b}[31m" + String(repeating: "x", count: 1000))
    let reason = RemoteJournal.text(400, body: body)
    #expect(reason.hasPrefix("status 400: out of order  [31mxxx") && reason.utf8.count < 300)
    #expect(RemoteJournal.text(500, body: ByteBuffer()) == "status 500")
  }
}
