import Bytes
import Compression
import Exposition
import HTTPClient
import NIOCore

/// What is asked of the receiver, and what its answers mean for a batch.
extension Sender {
  // MARK: Requests

  func begin(_ batch: Batch) {
    batches.append(batch)
    transmit(batch)
  }

  /// Sends what the batch is at.
  func transmit(_ batch: Batch) {
    let cutoff = ageCutoff()
    if batch.body == nil || batch.version != version || batch.oldest < cutoff { encode(batch, notBefore: cutoff) }
    guard !batch.content.isEmpty else { return proceed(batch) }
    guard let body = batch.body else { return proceed(batch) }
    if body.readableBytes > options.queue.maxRequestBytes, batch.split(batch.part, isSearch: false) {
      return proceed(batch)
    }
    batch.isSending = true
    post(body, batch.attempt) { self.answered(batch, $0, after: $1) }
  }

  /// Asks the receiver, and gives its answer and how long it took.
  func post(_ body: ByteBuffer, _ attempt: Int, _ done: @escaping (Answer, Duration) -> Void) {
    var request = HTTPRequest(
      method: "POST", url: options.url, headers: headers(attempt), body: body, access: options.access)
    do {
      try decorate?(&request)
    } catch {
      return done(.failure("\(error)"), .zero)
    }
    let start = ContinuousClock.now
    let limits = HTTPLimits(timeout: options.timeout, bodyBytes: 1 << 20, redirects: 0)
    transport(request, limits, eventLoop) { result in
      let answer: Answer
      switch result {
      case .success(let response): answer = .response(response)
      // What it says is long; what it means is in the status.
      case .failure(.bodyTooLarge(_, let status, _)):
        answer = .response(HTTPResponse(status: status, headers: [], body: ByteBuffer()))
      case .failure(let error): answer = .failure("\(error)")
      }
      done(answer, .now - start)
    }
  }

  func encode(_ batch: Batch, notBefore cutoff: Int64) {
    var kinds = SendingOptions()
    kinds.sendsExemplars = options.sendsExemplars
    kinds.sendsHistograms = options.sendsHistograms
    let samples = batch.outgoing.samples[batch.part.range]
    let version = version
    batch.version = version
    batch.content = store.withIntake { intake in
      switch version {
      case .v1: self.encoder1.encode(batch.outgoing, batch.part.range, notBefore: cutoff, kinds, intake.table)
      case .v2: self.encoder2.encode(batch.outgoing, batch.part.range, notBefore: cutoff, kinds, intake.table)
      }
    }
    batch.oldest = samples.lazy.map(\.timestamp).filter { $0 >= cutoff }.min() ?? .max
    let unsent = samples.count - batch.content.samples - batch.content.histograms
    if unsent > 0, batch.attempt > 0 { shown.withLock { $0.dropped[.tooOld, default: 0] += UInt64(unsent) } }
    batch.body = compressed(version)
  }

  /// What the version's encoder has made.
  func compressed(_ version: RemoteWriteVersion) -> ByteBuffer {
    block.removeAll()
    switch version {
    case .v1: Snappy.compress(encoder1.message.bytes, into: &block)
    case .v2: Snappy.compress(encoder2.message.bytes, into: &block)
    }
    return block.withUnsafeBytes { ByteBuffer(bytes: $0) }
  }

  func headers(_ attempt: Int) -> [(name: String, value: String)] {
    var headers = [
      (name: "Content-Encoding", value: "snappy"),
      (
        name: "Content-Type",
        value: version == .v1 ? "application/x-protobuf" : "application/x-protobuf;proto=io.prometheus.write.v2.Request"
      ),
      (name: "User-Agent", value: options.userAgent),
      (name: "X-Prometheus-Remote-Write-Version", value: version == .v1 ? "0.1.0" : "2.0.0"),
    ]
    if attempt > 0 { headers.append((name: "Retry-Attempt", value: "\(attempt)")) }
    return headers + options.headers
  }

  // MARK: Answers

  enum Answer {
    case response(HTTPResponse)
    case failure(String)
  }

  func answered(_ batch: Batch, _ answer: Answer, after duration: Duration) {
    batch.isSending = false
    guard !isStopped else { return }
    shown.withLock { $0.requestDurations.observe(duration) }
    switch answer {
    case .failure(let reason): failed(batch, reason, retryAfter: nil)
    case .response(let response):
      let reason = RemoteJournal.reason(response.status, body: response.body)
      let verdict = rule.verdict(on: response.status)
      if verdict.isOfElected { elected(batch.part.group) }
      switch verdict {
      case .sent: taken(batch, response)
      case .standby: withheld(batch, response, after: duration)
      // The replica that was elected before has sent newer ones; what it lacked is stored.
      case .isolate where batch.outgoing.isRepeat: taken(batch, response)
      case .retry:
        let retryAfter = response.header("Retry-After").flatMap {
          RetryAfter.delay($0, now: WallClock.milliseconds / 1000)
        }
        failed(batch, reason, retryAfter: retryAfter)
      case .hold: hold(batch, reason)
      case .otherVersion where batch.version == .v2: fallBack(batch, reason)
      case .split: refused(batch, response, reason, isTooLarge: true)
      case .isolate: refused(batch, response, reason, isTooLarge: false)
      case .drop, .otherVersion:
        batch.refusal = (response.status, reason)
        batch.giveUp()
        recovered()
        proceed(batch)
      }
    }
    pump()
  }

  func taken(_ batch: Batch, _ response: HTTPResponse) {
    if batch.version == .v2, WrittenCounts(response).isNothing {
      journal.misunderstood(batch.content)
      return fallBack(batch, "2xx without written counts")
    }
    let newest = batch.outgoing.samples[batch.part.range].lazy.map(\.timestamp).max() ?? 0
    shown.withLock { shown in
      shown.sent.add(batch.content)
      shown.bytes += UInt64(batch.body?.readableBytes ?? 0)
      if batch.attempt > 0 { shown.resent += UInt64(batch.content.samples + batch.content.histograms) }
      shown.highestSentTimestamp = max(shown.highestSentTimestamp, newest)
    }
    if window < options.queue.maxShards { window += 1 }
    recovered()
    batch.take()
    proceed(batch)
  }

  /// The receiver is well: those that wait for it go at once.
  func recovered() {
    holdBackoff = Backoff(options.holdBackoff)
    guard isFailing else { return }
    isFailing = false
    journal.recovered()
    for batch in batches where !batch.isSending { batch.notBefore = .now() }
  }

  func failed(_ batch: Batch, _ reason: String, retryAfter: Duration?) {
    batch.attempt += 1
    let delay = TimeAmount(batch.backoff.delay(retryAfter: retryAfter))
    batch.notBefore = .now() + delay
    if retryAfter != nil { pausedUntil = max(pausedUntil, batch.notBefore) }
    window = max(1, window / 2, min(options.queue.minShards, options.queue.maxShards))
    shown.withLock { $0.retried.add(batch.content) }
    if !isFailing { journal.failed(reason) }
    isFailing = true
  }

  /// Credentials are refused, or the URL is wrong: nothing is given up, and nothing is asked for a while. Then what
  /// has come meanwhile goes along.
  func hold(_ batch: Batch, _ reason: String) {
    if !isFailing { journal.failed(reason) }
    isFailing = true
    shown.withLock { $0.retried.add(batch.content) }
    if !mustRewind { pausedUntil = .now() + TimeAmount(holdBackoff.delay(retryAfter: nil)) }
    mustRewind = true
    window = 1
  }

  /// Takes the batches back: their samples are sent anew from the oldest one on.
  func rewind() {
    mustRewind = false
    mustReopen = true
    let first = rewindPosition
    for batch in batches { release(batch) }
    batches = []
    rewindOvertaking()
    if let chunk { letGo(chunk, from: position) }
    chunk = nil
    position = beginRepeats(before: first)
    skips = ahead
    store.withIntake { $0.readers[index].position = keptPosition }
  }

  /// The receiver does not speak 2.0: from now on it gets 1.0.
  func fallBack(_ batch: Batch, _ reason: String) {
    // Of batches that are on their way side by side the first one says it.
    if version == .v2 {
      journal.fellBack(reason)
      version = .v1
      startMetadata()
    }
    transmit(batch)
  }

  func refused(_ batch: Batch, _ response: HTTPResponse, _ reason: String, isTooLarge: Bool) {
    recovered()
    let written = batch.version == .v2 ? WrittenCounts(response) : nil
    if let written, !written.isNothing {
      // The receiver says that it has the good part: nothing is sent again.
      let refused = max(0, batch.content.samples + batch.content.histograms - written.samples - written.histograms)
      shown.withLock { shown in
        shown.sent.samples += UInt64(min(written.samples, batch.content.samples))
        shown.refused[response.status, default: 0] += UInt64(refused)
      }
      journal.refused(refused, reason)
      batch.take()
    } else {
      batch.refusal = (response.status, reason)
      if !isTooLarge || !batch.split(batch.part, isSearch: false) { batch.refuse() }
    }
    proceed(batch)
  }

  func drop(_ batch: Batch, _ ranges: [Range<Int>], _ status: Int, _ reason: String) {
    let count = ranges.reduce(0) { $0 + $1.count }
    guard count > 0 else { return }
    shown.withLock { $0.refused[status, default: 0] += UInt64(count) }
    journal.refused(count, reason)
  }

  /// Goes on to the batch's next part, or ends it.
  func proceed(_ batch: Batch) {
    if !batch.dropped.isEmpty {
      drop(batch, batch.dropped, batch.refusal.status, batch.refusal.reason)
      batch.dropped = []
    }
    guard !batch.advance() else { return transmit(batch) }
    batches.removeAll { $0 === batch }
    release(batch)
    if batch.overtakes {
      noteOvertaken()
      acknowledgeProgress()
    } else {
      finished(batch.range)
    }
  }

  func release(_ batch: Batch) {
    for sample in batch.outgoing.samples { marks[Int(sample.series.rawValue)] = 0 }
    freeMarks.append(batch.mark)
    store.withIntake { intake in
      for sample in batch.outgoing.samples { intake.table.letGo(sample.series.rawValue) }
      intake.forgetReclaimed()
      intake.readers[self.index].position = self.keptPosition
    }
  }
}
