import Exposition
import HTTPClient
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct RemoteStorageTests {
  /// Whatever the network does: every sample arrives, in order within its series; what comes twice is what was sent
  /// again, with equal values.
  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func nothingIsLostOrReordered(seed: UInt64) async throws {
    let random = Mutex(SeededGenerator(seed))
    let receiver = FakeReceiver { _, _ in
      switch random.withLock({ Int.random(in: 0..<10, using: &$0) }) {
      case 0..<5: .take
      case 5: .takeAndReset
      case 6: .reset
      case 7: .status(503)
      case 8: .status(429)
      default: .status(403)
      }
    }
    let remote = Remote(
      try options {
        $0.maxSamplesPerSend = 100
        $0.maxShards = 8
        $0.retryOnHTTP429 = true
      }, transport: receiver.respond)
    let storage = RemoteStorage([remote], log: quietLog())
    let (scrapers, seriesOfOne, rounds) = (6, 120, 40)
    try await sending(storage) {
      try await withThrowingTaskGroup { group in
        for scraper in 0..<scrapers {
          group.addTask {
            let series = try (0..<seriesOfOne).map { try storage.series("s\(scraper)_\($0)") }
            for round in 0..<rounds {
              storage.append(
                series.map { Sample(series: $0, timestamp: Int64(round), value: Double($0.rawValue) + 0.5) })
              await Task.yield()
            }
            storage.release(series)
          }
        }
        try await group.waitForAll()
      }
      await storage.drain(within: .seconds(60))
    }
    let taken = receiver.taken
    #expect(taken.count == scrapers * seriesOfOne)
    for (name, points) in taken {
      var first: [DecodedSeries.Point] = []
      for point in points where point.timestamp > first.last?.timestamp ?? -1 { first.append(point) }
      #expect(first.map(\.timestamp) == (0..<Int64(rounds)).map { $0 }, "\(name)")
      #expect(Set(points.map(\.bits)).count == 1, "\(name)")
    }
    #expect(storage.metric("prometheus_remote_storage_samples_total") == Double(scrapers * seriesOfOne * rounds))
    #expect(storage.metric("prometheus_remote_storage_samples_pending") == 0)
    #expect(storage.metric("pilotfish_remote_write_series ") == 0, "released and sent: nothing is left")
  }

  @Test func aQuietAgentSendsOneRequest() async throws {
    let receiver = FakeReceiver()
    let storage = RemoteStorage(
      [Remote(try options { $0.batchSendDeadline = .seconds(600) }, transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try (0..<1000).map { try storage.series("s\($0)") }
      storage.append(series.map { Sample(series: $0, timestamp: 5, value: 1) })
      await storage.drain(within: .seconds(60))
    }
    #expect(receiver.requests.map(\.samples) == [1000])
  }

  @Test func thePartialBatchGoesAtItsDeadline() async throws {
    let receiver = FakeReceiver()
    let storage = RemoteStorage([Remote(try options(), transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      for time in 0..<Int64(20) {
        storage.append([Sample(series: series, timestamp: time, value: 1)])
        await receiver.wait(for: Int(time) + 1)
      }
    }
    #expect(receiver.taken["up"]?.map(\.timestamp) == Array(0..<20))
  }

  @Test func whatFindsNoRoomIsCounted() async throws {
    let receiver = FakeReceiver()
    let storage = RemoteStorage(
      [
        Remote(
          try options {
            $0.capacity = 50
            $0.maxShards = 4
            $0.maxSamplesPerSend = 10
          }, transport: receiver.respond)
      ], log: quietLog())
    let series = try (0..<100).map { try storage.series("s\($0)") }
    for time in 0..<Int64(30) { storage.append(series.map { Sample(series: $0, timestamp: time, value: 0) }) }
    let dropped = storage.metric(#"prometheus_remote_storage_samples_dropped_total{reason="queue_full""#)
    #expect(dropped == 2800)
    #expect(storage.metric("prometheus_remote_storage_samples_in_total") == 3000)
    await sending(storage) { await storage.drain(within: .seconds(60)) }
    #expect(receiver.takenCount == 200)
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == [28, 29] }, "the newest are kept")
  }

  @Test func drainEndsAtItsBoundAndCountsTheLoss() async throws {
    let receiver = FakeReceiver { _, _ in .status(503) }
    let well = FakeReceiver()
    let storage = RemoteStorage(
      [
        Remote(try options("down"), transport: receiver.respond),
        Remote(try options("well"), transport: well.respond),
      ], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      storage.append([Sample(series: series, timestamp: 1, value: 1)])
      await well.wait(for: 1)
      await storage.drain(within: .milliseconds(50))
    }
    func lost(_ name: String) -> Double? {
      storage.metric(
        #"prometheus_remote_storage_samples_dropped_total{reason="shutdown",remote_name="\#(name)""#)
    }
    #expect(lost("down") == 1)
    #expect(lost("well") == 0)
  }

  @Test func aRemoteThatHangsDoesNotSlowTheOthers() async throws {
    let hanging = FakeReceiver { _, _ in .never }
    let well = FakeReceiver()
    let storage = RemoteStorage(
      [
        Remote(try options("hanging"), transport: hanging.respond),
        Remote(try options("well"), transport: well.respond),
      ], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      for time in 0..<Int64(50) { storage.append([Sample(series: series, timestamp: time, value: 1)]) }
      await well.wait(for: 50)
    }
    #expect(hanging.takenCount == 0)
  }

  @Test(arguments: [400, 404, 409, 415, 422, 429]) func whatIsRefusedIsNotSentAgain(status: Int) async throws {
    let receiver = FakeReceiver { number, _ in number == 0 ? .status(status) : .take }
    let storage = RemoteStorage([Remote(try options(), transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      storage.append([Sample(series: series, timestamp: 1, value: 1)])
      await storage.drain(within: .seconds(60))
    }
    #expect(receiver.requests.count == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_failed_total") == 1)
    #expect(storage.metric(#"pilotfish_remote_write_samples_refused_total{code="\#(status)""#) == 1)
  }

  @Test(arguments: [301, 401, 403, 408, 500, 503]) func whatMayBeTakenLaterIsSentAgain(status: Int) async throws {
    let receiver = FakeReceiver { number, _ in number < 3 ? .status(status, retryAfter: "0") : .take }
    let storage = RemoteStorage([Remote(try options(), transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      storage.append([Sample(series: series, timestamp: 1, value: 1)])
      await storage.drain(within: .seconds(60))
    }
    let requests = receiver.requests
    #expect(requests.count == 4 && Set(requests.map { $0.series[0].points.count }) == [1])
    let attempts = requests.map { $0.headers.first { $0.name == "Retry-Attempt" }?.value }
    #expect(attempts == [nil, "1", "2", "3"])
    #expect(storage.metric("prometheus_remote_storage_samples_retried_total") == 3)
  }

  @Test func tooMuchIsSentInHalves() async throws {
    let receiver = FakeReceiver { _, request in request.samples > 10 ? .status(413) : .take }
    let storage = RemoteStorage([Remote(try options(), transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try (0..<20).map { try storage.series("s\($0)") }
      for time in 0..<Int64(10) { storage.append(series.map { Sample(series: $0, timestamp: time, value: 1) }) }
      await storage.drain(within: .seconds(60))
    }
    #expect(receiver.taken.count == 20)
    #expect(receiver.taken.values.allSatisfy { $0.map(\.timestamp) == Array(0..<10) })
  }

  @Test func aRequestKeepsToItsBytes() async throws {
    let receiver = FakeReceiver()
    let storage = RemoteStorage(
      [Remote(try options { $0.maxRequestBytes = 100 }, transport: receiver.respond)], log: quietLog())
    try await sending(storage) {
      let series = try (0..<64).map { try storage.series("a_name_of_some_length_\($0)") }
      storage.append(series.map { Sample(series: $0, timestamp: 1, value: Double($0.rawValue) / 3) })
      await storage.drain(within: .seconds(60))
    }
    #expect(receiver.takenCount == 64 && receiver.requests.count > 10)
  }

  @Test func samplesTooOldAreDroppedBeforeSending() async throws {
    let receiver = FakeReceiver()
    let storage = RemoteStorage(
      [Remote(try options { $0.sampleAgeLimit = .seconds(3600) }, transport: receiver.respond)], log: quietLog())
    let now = WallClock.milliseconds
    try await sending(storage) {
      let series = try storage.series("up")
      storage.append([
        Sample(series: series, timestamp: now - 7_200_000, value: 1), Sample(series: series, timestamp: now, value: 2),
      ])
      await storage.drain(within: .seconds(60))
      let old = try storage.series("old")
      #expect(old != series)
    }
    #expect(receiver.taken["up"]?.map(\.timestamp) == [now])
    #expect(storage.metric(#"prometheus_remote_storage_samples_dropped_total{reason="too_old""#) == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_total") == 1)
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
    let storage = RemoteStorage([remote], log: quietLog())
    try await sending(storage) {
      let series = try storage.series("up")
      storage.append([Sample(series: series, timestamp: 1, value: 1)])
      await storage.drain(within: .seconds(60))
    }
    let headers = try #require(receiver.requests.first).headers.map { "\($0.name): \($0.value)" }
    #expect(
      headers == [
        "Content-Encoding: snappy", "Content-Type: application/x-protobuf", "User-Agent: pilotfish/test",
        "X-Prometheus-Remote-Write-Version: 0.1.0", "Retry-Attempt: 2", "X-Scope-OrgID: tenant",
        "Authorization: signed",
      ])
  }

  @Test func unknownSeriesAndRefusedLabelsAreCounted() throws {
    let storage = RemoteStorage([Remote(try options(), transport: FakeReceiver().respond)], log: quietLog())
    #expect(storage.register(LabelSet(pairs: [("job", "nameless")])) == nil)
    let series = try storage.series("up")
    storage.append([
      Sample(series: series, timestamp: 1, value: 1), Sample(series: SeriesID(rawValue: 99), timestamp: 1, value: 1),
      Sample(series: series, timestamp: 2, value: 1),
    ])
    #expect(storage.metric("pilotfish_remote_write_series_refused_total") == 1)
    #expect(storage.metric("pilotfish_remote_write_samples_unknown_series_total") == 1)
    #expect(storage.metric("prometheus_remote_storage_samples_pending") == 2)
  }

  @Test func theReceiversWordsAreMadePrintable() {
    let body = ByteBuffer(string: "out of order\n\u{1b}[31m" + String(repeating: "x", count: 1000))
    let reason = RemoteJournal.reason(400, body: body)
    #expect(reason.hasPrefix("status 400: out of order  [31mxxx") && reason.utf8.count < 300)
    #expect(RemoteJournal.reason(500, body: ByteBuffer()) == "status 500")
  }
}
