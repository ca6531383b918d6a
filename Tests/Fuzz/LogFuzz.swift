// Feeds the agent's storage what a damaged disk and a strange receiver may give it:
//
//     swift run -c release Fuzz log --seconds 60         segments and cursor files that are mutated, cut and spliced
//     swift run -c release Fuzz answers --seconds 60     statuses, headers and bodies of a receiver
//
// What must never happen: a crash, memory without bound, an inspection that does not end, or a storage that does not
// deliver a fresh sample after it has read what is damaged.

import Bytes
import Compression
import Exposition
import Glibc
import HTTPClient
import Kernel
import Logging
import NIOCore
import NIOPosix
import RemoteWrite
import Synchronization

enum LogFuzz {
  private static let quiet = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
  private static let group = MultiThreadedEventLoopGroup.singleton

  /// The log of a storage whose receiver never answers: some segments, and a cursor file.
  private static func corpus(_ path: String) async throws {
    var log = LogOptions(path: path)
    log.segmentBytes = 2000
    let storage = try storage(log) { _, _ in nil }
    try storage.start()
    for round in 0..<40 {
      var samples: [Sample] = []
      var attachments: [Attachment] = []
      for index in 0..<12 {
        let labels = LabelSet([
          (name: "__name__", value: "m\(index)"), (name: "round", value: "\(round / 7 * (index % 2))"),
        ])
        let metadata = MetricMetadata(family: "m\(index)", type: .counter, help: "Help \(round / 9).", unit: "bytes")
        guard let series = storage.register(labels, metadata) else { continue }
        if index == 3 {
          let exemplar = LabelSet([(name: "trace_id", value: "\(round)")])
          attachments.append(Attachment(sample: samples.count, .exemplar(labels: exemplar, value: 1, timestamp: 2)))
        }
        if index == 5 { attachments.append(Attachment(sample: samples.count, .start(Int64(round)))) }
        let value = [Double(round), Double(round) / 3, 0.25 * Double(index), .staleMarker][(round + index) % 4]
        samples.append(Sample(series: series, timestamp: Int64(round * 1000 + index % 3), value: value))
      }
      storage.append(samples, attachments)
    }
    await storage.stop(within: .zero)
  }

  private static func storage(
    _ log: LogOptions?, version: RemoteWriteVersion = .v1, readAnswer: AnswerReader? = nil,
    _ answer: @escaping @Sendable (HTTPRequest, any EventLoop) -> Result<HTTPResponse, HTTPClientError>?
  ) throws -> RemoteStorage {
    var options = RemoteWriteOptions(url: try HTTPURL("http://127.0.0.1:1/"), name: "fuzz", userAgent: "fuzz")
    options.queue.batchSendDeadline = .milliseconds(1)
    options.queue.minBackoff = .milliseconds(1)
    options.queue.maxBackoff = .milliseconds(2)
    options.queue.maxSamplesPerSend = 50
    options.queue.minShards = 4
    options.version = version
    var remote = Remote(options) { request, _, eventLoop, completion in
      guard let result = answer(request, eventLoop) else { return }
      eventLoop.assumeIsolated().execute { completion(result) }
    }
    remote.readAnswer = readAnswer
    return try RemoteStorage([remote], log: log, group: group, logger: quiet)
  }

  /// Appends one sample and waits until a request has left after it; throws when that takes long.
  private static func deliver(_ storage: RemoteStorage, _ isSent: () -> Bool) async throws {
    guard let series = storage.register(LabelSet([(name: "__name__", value: "fresh")])) else {
      throw Subject.Fault(description: "a good series is refused")
    }
    try storage.start()
    storage.append([Sample(series: series, timestamp: WallClockSeconds.now * 1000, value: 1)])
    let end = MonotonicClock.now + 30_000_000_000
    while !isSent() {
      guard MonotonicClock.now < end else { throw Subject.Fault(description: "a fresh sample is not sent") }
      try await Task.sleep(for: .milliseconds(1))
    }
    await storage.stop(within: .seconds(5))
  }

  static func runLog(seconds: Int, seed: UInt64) async throws {
    var template = Array("/dev/shm/pilotfish-fuzz.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw KernelError("create", "/dev/shm/pilotfish-fuzz") }
    let base = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try await corpus(base + "/corpus")
    let copy = try WorkingCopy(of: base + "/corpus", breaking: [])
    let files = copy.files.filter { !$0.path.hasSuffix("/lock") }
    guard files.count > 3 else { throw Subject.Fault(description: "the corpus has \(files.count) files") }
    var mutator = Mutator(seed: seed)
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    var rounds = 0
    var damages = 0
    while MonotonicClock.now < end {
      for name in try Directory.names(copy.path) where name != "lock" { unlink("\(copy.path)/\(name)") }
      for file in files where mutator.next(below: 12) > 0 {
        var content = file.content
        if mutator.next(below: 3) == 0 { content = mutator.mutate(content, beside: files) }
        if mutator.next(below: 2) == 0 { mend(&content) }
        copy.write(content, to: file)
      }
      damages += try LogInspection(path: copy.path).damages.count
      let log = LogOptions(path: copy.path)
      // A fresh sample is behind everything else, which all has to be read first.
      let isSent = Atomic(false)
      let storage = try storage(log) { request, _ in
        let body = request.body.withUnsafeReadableBytes { bytes in
          (try? Snappy.uncompress(RawSpan(_unsafeBytes: bytes), limit: 1 << 26)) ?? []
        }
        if body.contains("fresh") { isSent.store(true, ordering: .relaxed) }
        return .success(HTTPResponse(status: 204, headers: [], body: ByteBuffer()))
      }
      try await deliver(storage) { isSent.load(ordering: .relaxed) }
      rounds += 1
    }
    copy.remove()
    report("log: \(rounds) rounds, \(damages) damages found")
  }

  /// Gives records, or a slot of a cursor file, the right checksum again: damage that only the decoder can see.
  private static func mend(_ content: inout [UInt8]) {
    var position = 32
    while position + 8 < content.count {
      let length = (0..<4).reduce(0) { $0 | Int(content[position + $1]) << (8 * $1) }
      guard length > 0, position + 8 + length <= content.count else { return }
      let sum = content[position + 8..<position + 8 + length].withUnsafeBytes { Checksum.crc32($0) }
      for index in 0..<4 { content[position + 4 + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
      position += 8 + length
    }
  }

  static func runAnswers(seconds: Int, seed: UInt64) async throws {
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    var rounds: UInt64 = 0
    while MonotonicClock.now < end {
      let mutator = Mutex(Mutator(seed: seed &+ rounds &* 7919))
      let asked = Atomic(0)
      // Two in three receivers mean something else by their answers than the protocol says.
      let verdicts: [Verdict] = [.retry, .slow, .split, .isolate, .takenInPart, .otherVersion, .drop, .sent]
      let readAnswer: AnswerReader = { response in
        guard response.status != 200 else { return nil }
        return AnswerMeaning(verdicts[mutator.withLock { $0.next(below: verdicts.count) }], reason: "fuzz")
      }
      let version = rounds % 2 == 0 ? RemoteWriteVersion.v1 : .v2
      let storage = try storage(nil, version: version, readAnswer: rounds % 3 == 0 ? nil : readAnswer) { _, _ in
        // After some strange answers it is well.
        if asked.add(1, ordering: .relaxed).newValue > 30 {
          let counts = [(name: "X-Prometheus-Remote-Write-Samples-Written", value: "1")]
          return .success(HTTPResponse(status: 200, headers: counts, body: ByteBuffer()))
        }
        return mutator.withLock { .success(response(&$0)) }
      }
      for index in 0..<300 {
        guard let series = storage.register(LabelSet([(name: "__name__", value: "m\(index)")])) else { continue }
        storage.append([Sample(series: series, timestamp: Int64(index), value: 1)])
      }
      try await deliver(storage) {
        let pending = MetricWriter()
        storage.write(to: pending)
        var text = ByteWriter()
        TextExposition().render([pending], into: &text)
        let name = "prometheus_remote_storage_samples_pending{"
        let line = String(utf8: text.bytes).split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.hasSuffix(" 0") == true
      }
      rounds += 1
    }
    report("answers: \(rounds) rounds")
  }

  private static func response(_ random: inout Mutator) -> HTTPResponse {
    let numbers = [
      "0", "1", "-1", "2", "99999999999999999999", "", " 3 ", "1e3", "NaN", "50", "Fri, 31 Dec 1999 23:59:59 GMT",
    ]
    // A long wait is what it asks for; the test does not wait that long, so Retry-After is short or nonsense.
    let delays = [
      "0", "-1", "", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 99 Foo 0000 aa:bb:cc GMT", "\u{0}", "1.5",
    ]
    let statuses = [200, 204, 299, 301, 400, 404, 408, 413, 415, 422, 429, 500, 503, 599, 0, -1, 999, 100, .max, .min]
    var headers: [(name: String, value: String)] = []
    if random.next(below: 3) == 0 { headers.append(("rEtRy-aFtEr", delays[random.next(below: delays.count)])) }
    for kind in ["Samples", "Histograms", "Exemplars"] where random.next(below: 3) == 0 {
      headers.append(("x-prometheus-remote-write-\(kind)-written", numbers[random.next(below: numbers.count)]))
    }
    let body = ByteBuffer(
      bytes: (0..<random.next(below: 2000)).map { _ in UInt8(truncatingIfNeeded: random.next(below: 256)) })
    return HTTPResponse(status: statuses[random.next(below: statuses.count)], headers: headers, body: body)
  }

  private static func report(_ text: String) { print("\(text), resident \(Fuzz.residentKilobytes()) KiB") }
}

private enum WallClockSeconds {
  static var now: Int64 { Int64(time(nil)) }
}

extension [UInt8] {
  fileprivate func contains(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { wanted in
      indices.contains { self[$0...].starts(with: wanted) }
    }
  }
}
