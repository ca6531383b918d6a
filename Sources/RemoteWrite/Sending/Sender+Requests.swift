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
      return done(.failure(AnswerMeaning(.retry, reason: "not_signed", text: "\(error)")), .zero)
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
      case .failure(let error):
        answer = .failure(AnswerMeaning(.retry, reason: "no_answer", text: "\(error)"))
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
    countTooOld(batch, samples, cutoff)
    batch.body = compressed(version)
  }

  /// Counts those that have become too old since they were taken or encoded last.
  func countTooOld(_ batch: Batch, _ samples: ArraySlice<Sample>, _ cutoff: Int64) {
    let known = batch.part.cutoff
    guard cutoff > known else { return }
    batch.part.cutoff = cutoff
    let count = samples.count { $0.timestamp >= known && $0.timestamp < cutoff }
    if count > 0 { shown.withLock { $0.dropped[.tooOld, default: 0] += UInt64(count) } }
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
    case failure(AnswerMeaning)
  }

  func answered(_ batch: Batch, _ answer: Answer, after duration: Duration) {
    batch.isSending = false
    guard !isStopped else { return }
    shown.withLock { $0.requestDurations.observe(duration) }
    switch answer {
    case .failure(let meaning): failed(batch, meaning, retryAfter: nil)
    case .response(let response): answered(batch, response, meaning(response), after: duration)
    }
    pump()
  }

  func meaning(_ response: HTTPResponse) -> AnswerMeaning {
    var meaning = answerReader?(response) ?? RetryRule.meaning(response)
    if response.status == 429, !options.queue.retryOnHTTP429 { meaning.verdict = .drop }
    return meaning
  }

  func answered(_ batch: Batch, _ response: HTTPResponse, _ meaning: AnswerMeaning, after duration: Duration) {
    let refusal = RemoteStatistics.Refusal(status: response.status, reason: meaning.reason)
    if !meaning.reason.isEmpty { shown.withLock { $0.refusedRequests[refusal, default: 0] += 1 } }
    if meaning.verdict.isOfElected { elected(batch.part.group) }
    switch meaning.verdict {
    case .sent: taken(batch, response)
    case .standby: withheld(batch, response, after: duration)
    // The replica that was elected before has sent newer ones; what it lacked is stored.
    case .isolate where batch.outgoing.isRepeat: taken(batch, response)
    case .takenInPart where batch.outgoing.isRepeat: taken(batch, response)
    case .retry:
      let retryAfter = response.header("Retry-After").flatMap {
        RetryAfter.delay($0, now: WallClock.milliseconds / 1000)
      }
      failed(batch, meaning, retryAfter: retryAfter)
    case .slow: slowed(batch, refusal, meaning)
    case .hold: hold(batch, meaning)
    case .otherVersion where batch.version == .v2: fallBack(batch, meaning)
    // One that is known to speak 1.0 will take it when something else is set right.
    case .otherVersion where answerReader != nil: hold(batch, meaning)
    case .split:
      journal.split(meaning)
      refused(batch, response, meaning, isTooLarge: true)
    case .isolate: refused(batch, response, meaning, isTooLarge: false)
    case .takenInPart: takenInPart(batch, refusal, meaning)
    case .drop, .otherVersion:
      batch.refusal = (refusal, meaning)
      batch.giveUp()
      recovered()
      proceed(batch)
    }
  }

  func taken(_ batch: Batch, _ response: HTTPResponse) {
    if batch.version == .v2, WrittenCounts(response).isNothing {
      journal.misunderstood(batch.content)
      return fallBack(batch, AnswerMeaning(.otherVersion, reason: "media_type", text: "2xx without written counts"))
    }
    noteStored(batch, batch.content)
    if window < options.queue.maxShards { window += 1 }
    recovered()
    batch.take()
    proceed(batch)
  }

  func noteStored(_ batch: Batch, _ content: RequestContent) {
    let newest = batch.outgoing.samples[batch.part.range].lazy.map(\.timestamp).max() ?? 0
    shown.withLock { shown in
      shown.sent.add(content)
      shown.bytes += UInt64(batch.body?.readableBytes ?? 0)
      if batch.attempt > 0 { shown.resent += UInt64(content.samples + content.histograms) }
      shown.highestSentTimestamp = max(shown.highestSentTimestamp, newest)
    }
  }

  /// The receiver has stored all of it but for some samples. It names only the first of them: that one is counted.
  func takenInPart(_ batch: Batch, _ refusal: RemoteStatistics.Refusal, _ meaning: AnswerMeaning) {
    var stored = batch.content
    if stored.samples > 0 { stored.samples -= 1 } else if stored.histograms > 0 { stored.histograms -= 1 }
    noteStored(batch, stored)
    shown.withLock { $0.refused[refusal, default: 0] += 1 }
    journal.refusedInPart(batch.content.samples + batch.content.histograms, meaning)
    recovered()
    batch.take()
    proceed(batch)
  }

  /// New series are not taken now, others are. The batch is sent again beside the others for about a minute; then its
  /// new series are given up, and samples of its other series that wait behind it go on.
  func slowed(_ batch: Batch, _ refusal: RemoteStatistics.Refusal, _ meaning: AnswerMeaning) {
    guard batch.slowAttempts < Self.mostSlowAttempts else {
      batch.slowAttempts = 0
      return takenInPart(batch, refusal, meaning)
    }
    recovered()
    batch.slowAttempts += 1
    batch.attempt += 1
    batch.notBefore = .now() + TimeAmount(batch.backoff.delay(retryAfter: nil))
    shown.withLock { $0.retried.add(batch.content) }
    journal.slowed(meaning)
  }

  /// The receiver is well: those that wait for it go at once.
  func recovered() {
    holdBackoff = Backoff(options.holdBackoff)
    guard isFailing else { return }
    isFailing = false
    journal.recovered()
    for batch in batches where !batch.isSending { batch.notBefore = .now() }
  }

  func failed(_ batch: Batch, _ meaning: AnswerMeaning, retryAfter: Duration?) {
    batch.attempt += 1
    let delay = TimeAmount(batch.backoff.delay(retryAfter: retryAfter))
    batch.notBefore = .now() + delay
    if retryAfter != nil { pausedUntil = max(pausedUntil, batch.notBefore) }
    window = max(1, window / 2, min(options.queue.minShards, options.queue.maxShards))
    shown.withLock { $0.retried.add(batch.content) }
    journal.failed(meaning)
    isFailing = true
  }

  /// Credentials are refused, or the URL is wrong: nothing is given up, and nothing is asked for a while. Then what
  /// has come meanwhile goes along.
  func hold(_ batch: Batch, _ meaning: AnswerMeaning) {
    journal.failed(meaning)
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
  func fallBack(_ batch: Batch, _ meaning: AnswerMeaning) {
    // Of batches that are on their way side by side the first one says it.
    if version == .v2 {
      journal.fellBack(meaning)
      version = .v1
      startMetadata()
    }
    transmit(batch)
  }

  func refused(_ batch: Batch, _ response: HTTPResponse, _ meaning: AnswerMeaning, isTooLarge: Bool) {
    recovered()
    let refusal = RemoteStatistics.Refusal(status: response.status, reason: meaning.reason)
    let written = batch.version == .v2 ? WrittenCounts(response) : nil
    if let written, !written.isNothing {
      // The receiver says that it has the good part: nothing is sent again.
      let refused = max(0, batch.content.samples + batch.content.histograms - written.samples - written.histograms)
      shown.withLock { shown in
        shown.sent.samples += UInt64(min(written.samples, batch.content.samples))
        shown.refused[refusal, default: 0] += UInt64(refused)
      }
      journal.refused(refused, meaning)
      batch.take()
    } else {
      batch.refusal = (refusal, meaning)
      if !isTooLarge || !batch.split(batch.part, isSearch: false) { batch.refuse() }
    }
    proceed(batch)
  }

  /// Counts and tells what the receiver has refused for good.
  func countDropped(_ batch: Batch) {
    guard let (refusal, meaning) = batch.refusal else { return }
    let count = batch.dropped.reduce(0) { $0 + $1.count }
    batch.dropped = []
    guard count > 0 else { return }
    shown.withLock { $0.refused[refusal, default: 0] += UInt64(count) }
    journal.refused(count, meaning)
  }

  /// Goes on to the batch's next part, or ends it.
  func proceed(_ batch: Batch) {
    countDropped(batch)
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
