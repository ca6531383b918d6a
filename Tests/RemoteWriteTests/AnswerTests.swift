import HTTPClient
import Testing

@testable import RemoteWrite

/// Receivers of which more is known than the protocol says.
@Suite struct AnswerTests {
  private func remote(
    _ receiver: FakeReceiver, _ verdict: Verdict, on status: Int, _ change: (inout QueueOptions) -> Void = { _ in }
  ) throws -> Remote {
    let meaning = AnswerMeaning(verdict, reason: "why", text: "no", remedy: "do")
    return Remote(
      try options("test", change), transport: receiver.respond, readAnswer: { $0.status == status ? meaning : nil })
  }

  private func refused(_ storage: RemoteStorage, _ what: String, _ status: Int) -> Double? {
    storage.metric(#"pilotfish_remote_write_\#(what)_refused_total{code="\#(status)",reason="why""#)
  }

  @Test func whatIsStoredInPartIsNotSentAgain() async throws {
    let receiver = FakeReceiver { number, _ in number == 0 ? .status(400) : .take }
    let storage = try storage([remote(receiver, .takenInPart, on: 400) { $0.maxSamplesPerSend = 10 }])
    try await storage.sending { storage in
      let series = try storage.series(10)
      for time in 0..<Int64(3) { storage.append(series, at: time) }
    }
    #expect(receiver.requests.map(\.samples) == [10, 10, 10])
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == [1, 2] })
    #expect(refused(storage, "samples", 400) == 1 && refused(storage, "requests", 400) == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_total") == 29)
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_pending") == 0)
  }

  /// As it is for 404 and for 415, which the protocol drops.
  @Test(arguments: [(404, Verdict.hold), (415, .otherVersion), (400, .hold)])
  func whatIsHeldArrives(status: Int, verdict: Verdict) async throws {
    let receiver = FakeReceiver { number, _ in number < 4 ? .status(status) : .take }
    let storage = try storage([remote(receiver, verdict, on: status) { $0.maxSamplesPerSend = 10 }])
    try await storage.sending { storage in
      let series = try storage.series(20)
      for time in 0..<Int64(5) { storage.append(series, at: time) }
    }
    #expect(receiver.taken.count == 20)
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == Array(0..<5) })
    #expect(refused(storage, "samples", status) == nil)
    #expect(refused(storage, "requests", status) == 4)
  }

  @Test(arguments: [3, 1000]) func whatIsSlowLetsOthersThrough(refusals: Int) async throws {
    let receiver = FakeReceiver { number, request in request.holds("s0") && number < refusals ? .status(429) : .take }
    let storage = try storage([
      remote(receiver, .slow, on: 429) {
        $0.maxSamplesPerSend = 10
        $0.minShards = 4
      }
    ])
    try await storage.sending { storage in
      storage.append(try storage.series(10), at: 0)
      let others = try (10..<20).map { try storage.series("s\($0)") }
      for time in 0..<Int64(3) { storage.append(others, at: time) }
    }
    #expect(receiver.taken["s10"]?.map(\.timestamp) == [0, 1, 2])
    let isTaken = refusals == 3
    #expect(receiver.taken["s0"]?.map(\.timestamp) == (isTaken ? [0] : nil))
    #expect(refused(storage, "samples", 429) == (isTaken ? nil : 1))
    #expect(isTaken || receiver.requests.count { $0.holds("s0") } == Sender.mostSlowAttempts + 1)
  }

  @Test func throttlingFollowsTheOption() async throws {
    let receiver = FakeReceiver { _, _ in .status(429) }
    let storage = try storage([remote(receiver, .slow, on: 429) { $0.retryOnHTTP429 = false }])
    try await storage.sending { $0.append([try $0.series("up")], at: 1) }
    #expect(receiver.requests.count == 1)
    #expect(refused(storage, "samples", 429) == 1)
  }

  @Test func theTimeUntilSamplesAreTooOldIsShown() async throws {
    let receiver = FakeReceiver { _, _ in .status(503) }
    let storage = try storage([
      Remote(try options { $0.sampleAgeLimit = .seconds(3600) }, transport: receiver.respond),
      Remote(try options("other"), transport: FakeReceiver().respond),
    ])
    let metric = "pilotfish_remote_write_seconds_until_too_old"
    try await storage.sending(within: .zero) { storage in
      #expect(storage.metric(metric) == 3600)
      storage.append([try storage.series("up")], at: WallClock.milliseconds - 1_000_000)
      storage.append([try storage.series("up")], at: WallClock.milliseconds)
      let left = try #require(storage.metric(metric))
      #expect(left > 0 && left <= 2600)
      #expect(try #require(storage.metric(#"pilotfish_remote_write_oldest_unsent_seconds{remote_name="test""#)) >= 1000)
      #expect(storage.metric(metric + #"{remote_name="other""#) == nil)
    }
  }
}
