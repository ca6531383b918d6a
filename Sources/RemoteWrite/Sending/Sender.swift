import Bytes
import Compression
import Exposition
import HTTPClient
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Sends samples to one receiver, in the order in which they were appended, from memory or from the log.
///
/// A batch is a stretch of that order. Batches are on their way side by side, but none begins while another one holds
/// one of its series: so the samples of a series arrive in order, however often a request is sent again. How many are
/// on their way follows what waits and how fast the receiver answers: one more for each that is taken, half as many
/// after a failure.
///
/// `@unchecked Sendable`: what changes is touched on `eventLoop` only, but for `shown`, which has its lock.
final class Sender: @unchecked Sendable {
  private static let mostBatches = 200
  /// Samples that are read from the log at a time.
  private static let chunkLength = 16_384

  let options: RemoteWriteOptions
  /// The file name under which its acknowledgements are kept.
  let key: String
  private let index: Int
  private let eventLoop: any EventLoop
  private let store: SampleStore
  private let reader: LogReader?
  private let readers: NIOThreadPool
  private let transport: RemoteTransport
  private let decorate: RequestDecorator?
  private let families: @Sendable () -> [MetricMetadata]
  private let acknowledge: @Sendable (Acknowledgement) -> Void
  private let rule: RetryRule
  private let journal: RemoteJournal
  private let shown: Mutex<RemoteStatistics>

  private var version: RemoteWriteVersion
  private var encoder1 = WriteRequest1Encoder()
  private var encoder2 = WriteRequest2Encoder()
  private var block = ByteWriter()

  /// The next sample to be sent.
  private var position: Ordinal
  /// Stretches behind the position that were acknowledged before.
  private var skips: [Range<Ordinal>]
  private var batches: [Batch] = []
  /// Acknowledged before a batch in front of them was.
  private var ahead: [Range<Ordinal>]
  /// The batch that holds each series; 0: none does.
  private var marks: [UInt8] = []
  private var freeMarks = (1...UInt8(mostBatches)).reversed() as [UInt8]
  private var chunk: LogChunk?
  private var isReading = false

  private var window: Int
  private var isFailing = false
  /// Until when the receiver wants to be left alone.
  private var pausedUntil = NIODeadline.uptimeNanoseconds(0)
  /// Credentials that are refused: how long to wait for better ones.
  private var holdBackoff: Backoff
  private var mustRewind = false
  /// The next read is of samples that were read before.
  private var mustReopen = false
  /// Since when samples wait that do not fill a request.
  private var waitingSince: NIODeadline?
  private var alarm: (time: NIODeadline, task: Scheduled<Void>)?
  private var metadataTask: RepeatedTask?
  private var isDraining = false
  private var isStopped = false
  private var whenEmpty: [() -> Void] = []

  init(
    _ remote: Remote, key: String, index: Int, from acknowledgement: Acknowledgement, eventLoop: any EventLoop,
    store: SampleStore, reader: LogReader?, readers: NIOThreadPool,
    families: @escaping @Sendable () -> [MetricMetadata],
    acknowledge: @escaping @Sendable (Acknowledgement) -> Void, log: Logger
  ) {
    options = remote.options
    self.key = key
    self.index = index
    self.eventLoop = eventLoop
    self.store = store
    self.reader = reader
    self.readers = readers
    transport = remote.transport
    decorate = remote.decorate
    self.families = families
    self.acknowledge = acknowledge
    rule = RetryRule(retriesTooManyRequests: options.queue.retryOnHTTP429)
    journal = RemoteJournal(name: options.name, url: "\(options.url)", log: log)
    version = options.version
    position = acknowledgement.first
    skips = acknowledgement.ahead
    ahead = acknowledgement.ahead
    window = max(1, min(options.queue.minShards, options.queue.maxShards))
    holdBackoff = Backoff(options.holdBackoff)
    var statistics = RemoteStatistics()
    statistics.acknowledged = acknowledgement.first
    statistics.position = acknowledgement.first
    shown = Mutex(statistics)
  }

  // MARK: From other threads

  /// There is something to do, perhaps.
  func wake() { eventLoop.execute { self.pump() } }

  func start() {
    eventLoop.execute {
      self.startMetadata()
      self.pump()
    }
  }

  /// From now on every batch goes at once; `done` is called when all is acknowledged.
  func drain(_ done: @escaping @Sendable () -> Void) {
    eventLoop.execute {
      self.isDraining = true
      self.whenEmpty.append(done)
      self.pump()
    }
  }

  /// Sends no more; what is not acknowledged stays in the log. `done` is called when nothing touches the log any more.
  func stop(_ done: @escaping @Sendable () -> Void) {
    eventLoop.execute {
      self.isStopped = true
      self.alarm?.task.cancel()
      self.metadataTask?.cancel()
      self.store.withIntake { $0.remove(self.index) }
      done()
    }
  }

  var statistics: RemoteStatistics { shown.withLock { $0 } }

  // MARK: What to send next

  private func pump() {
    guard !isStopped else { return }
    let now = NIODeadline.now()
    guard now >= pausedUntil else { return setAlarm(pausedUntil) }
    if mustRewind {
      guard !batches.contains(where: \.isSending) else { return }
      rewind()
    }
    for batch in batches where !batch.isSending && batch.notBefore <= now {
      // While the receiver fails, one request at a time asks whether it is well again.
      if isFailing, batches.contains(where: \.isSending) { break }
      transmit(batch)
    }
    while mayBegin, let batch = nextBatch(now) { begin(batch) }
    if let next = batches.lazy.filter({ !$0.isSending }).map(\.notBefore).min() { setAlarm(max(next, now)) }
    noteProgress()
  }

  private var mayBegin: Bool {
    let most = min(window, options.queue.maxShards, Self.mostBatches)
    return batches.count < max(most, 1) && !(isFailing && !batches.isEmpty) && !mustRewind && !isStopped
  }

  private func setAlarm(_ time: NIODeadline) {
    if let alarm, alarm.time <= time { return }
    alarm?.task.cancel()
    let task = eventLoop.scheduleTask(deadline: time) {
      self.alarm = nil
      self.pump()
    }
    alarm = (time, task)
  }

  private enum Next {
    case nothing
    case wait
    case read
    case blocked
    case lost(Ordinal)
    case taken(Range<Ordinal>, Outgoing)
  }

  private func nextBatch(_ now: NIODeadline) -> Batch? {
    while !isReading {
      let mark = freeMarks[freeMarks.count - 1]
      switch store.withIntake({ self.next(&$0, now, mark) }) {
      case .nothing:
        waitingSince = nil
        return nil
      case .blocked: return nil
      case .wait:
        setAlarm((waitingSince ?? now) + TimeAmount(options.queue.batchSendDeadline))
        return nil
      case .read:
        read()
        return nil
      case .lost(let count): countLost(count, .memory)
      case .taken(let range, var outgoing):
        // What is left came just now, or was not worth a request before.
        waitingSince = now
        guard !outgoing.samples.isEmpty else {
          finished(range)
          continue
        }
        freeMarks.removeLast()
        if hasRepeats { outgoing.groupBySeries() }
        return Batch(
          range, outgoing, mark: mark,
          backoff: Backoff(least: options.queue.minBackoff, most: options.queue.maxBackoff))
      }
    }
    return nil
  }

  private func next(_ intake: inout Intake, _ now: NIODeadline, _ mark: UInt8) -> Next {
    let end = intake.ring.end
    if let chunk, chunk.end <= position { self.chunk = nil }
    guard position < end else {
      intake.readers[index].wakeAt = end + 1
      return .nothing
    }
    if chunk == nil {
      if position < intake.ring.start {
        if reader != nil { return .read }
        let lost = intake.ring.start - position
        position = intake.ring.start
        return .lost(lost)
      }
      if end - position < Ordinal(options.queue.maxSamplesPerSend), !isDraining {
        let since = waitingSince ?? now
        waitingSince = since
        if now < since + TimeAmount(options.queue.batchSendDeadline) {
          intake.readers[index].wakeAt = position + Ordinal(options.queue.maxSamplesPerSend)
          return .wait
        }
      }
    }
    return take(&intake, mark)
  }

  /// Whether the batch that was taken last has a series twice.
  private var hasRepeats = false

  /// Takes samples up to a full batch, or up to one of a series that is on its way.
  private func take(_ intake: inout Intake, _ mark: UInt8) -> Next {
    let stop = chunk?.end ?? intake.ring.end
    let cutoff = ageCutoff()
    var outgoing = Outgoing(samples: [])
    let most = max(options.queue.maxSamplesPerSend, 1)
    outgoing.samples.reserveCapacity(min(most, Int(min(stop - position, 1 << 20))))
    var carried = chunk.map { $0.attachments[...] } ?? intake.ring.attachments(in: position..<stop)
    if marks.count < intake.table.numbers {
      marks += repeatElement(0, count: intake.table.numbers + intake.table.numbers / 8 - marks.count)
    }
    hasRepeats = false
    var dropped: [RemoteStatistics.DropReason: UInt64] = [:]
    var ordinal = position
    while ordinal < stop, outgoing.samples.count < most {
      if let skip = skips.first, ordinal >= skip.lowerBound {
        if ordinal < skip.upperBound {
          let next = min(skip.upperBound, stop)
          if let chunk { for place in ordinal..<next { letGo(chunk, place, &intake) } }
          ordinal = next
        }
        if ordinal >= skip.upperBound { skips.removeFirst() }
        continue
      }
      var sample = chunk.map { $0.samples[Int(ordinal - $0.first)] } ?? intake.ring[ordinal]
      let reason = dropReason(&sample, cutoff, &intake)
      if reason == nil {
        let holder = marks[Int(sample.series.rawValue)]
        if holder != 0 {
          // Another batch has the series: this one ends here, and waits for it if it is empty.
          guard holder == mark else { break }
          hasRepeats = true
        }
      }
      while let first = carried.first, first.ordinal < ordinal { carried.removeFirst() }
      while let first = carried.first, first.ordinal == ordinal {
        if reason == nil { outgoing.attachments.append((outgoing.samples.count, first.content)) }
        carried.removeFirst()
      }
      if let reason {
        dropped[reason, default: 0] += 1
      } else {
        marks[Int(sample.series.rawValue)] = mark
        intake.table.hold(sample.series.rawValue)
        outgoing.samples.append(sample)
      }
      if let chunk { letGo(chunk, ordinal, &intake) }
      ordinal += 1
    }
    if !dropped.isEmpty {
      shown.withLock { shown in for (reason, count) in dropped { shown.dropped[reason, default: 0] += count } }
    }
    intake.forgetReclaimed()
    guard ordinal > position else { return .blocked }
    // What is on its way stays in memory: it may have to be taken back.
    intake.readers[index].position = rewindPosition
    defer { position = ordinal }
    return .taken(position..<ordinal, outgoing)
  }

  /// The oldest sample that is not sent or given up.
  private var rewindPosition: Ordinal { batches.first?.range.lowerBound ?? position }

  private func letGo(_ chunk: LogChunk, from first: Ordinal) {
    guard first < chunk.end else { return }
    store.withIntake { intake in
      for place in first..<chunk.end { self.letGo(chunk, place, &intake) }
      intake.forgetReclaimed()
    }
  }

  @inline(__always)
  private func letGo(_ chunk: LogChunk, _ ordinal: Ordinal, _ intake: inout Intake) {
    let series = chunk.samples[Int(ordinal - chunk.first)].series
    if series != LogReader.refusedSeries { intake.table.letGo(series.rawValue) }
  }

  /// Why the sample is not sent; nil when it is: then its series is the one under which this remote gets it.
  @inline(__always)
  private func dropReason(
    _ sample: inout Sample, _ cutoff: Int64, _ intake: inout Intake
  ) -> RemoteStatistics.DropReason? {
    if sample.timestamp < cutoff { return .tooOld }
    if sample.series == LogReader.refusedSeries { return .refusedSeries }
    guard intake.readers[index].map != nil else { return nil }
    guard let mapped = intake.readers[index].map!.number(for: sample.series.rawValue, in: &intake.table) else {
      return .relabeled
    }
    sample.series = SeriesID(rawValue: mapped)
    if marks.count <= Int(mapped) { marks += repeatElement(0, count: Int(mapped) + 1024 - marks.count) }
    return nil
  }

  /// Samples from before this are too old to send; milliseconds since the epoch.
  private func ageCutoff() -> Int64 {
    guard let limit = options.queue.sampleAgeLimit, limit > .zero else { return .min }
    return WallClock.milliseconds - limit.milliseconds
  }

  // MARK: Reading the log

  private func read() {
    guard let reader, !isReading else { return }
    isReading = true
    let position = position
    let mustReopen = mustReopen
    self.mustReopen = false
    readers.submit { [self] state in
      guard case .active = state else { return }
      if mustReopen { reader.close() }
      let chunk = reader.read(from: position, count: Self.chunkLength) { journal.damaged($0) }
      eventLoop.execute { self.received(chunk, from: position) }
    }
  }

  private func received(_ chunk: LogChunk, from wanted: Ordinal) {
    isReading = false
    guard wanted == position, !isStopped else {
      // Batches were taken back meanwhile.
      letGo(chunk, from: chunk.first)
      return pump()
    }
    if chunk.samples.isEmpty {
      // What was never written will not come; for the rest, the writer is a moment behind memory.
      let (start, unlogged) = store.withIntake { ($0.ring.start, $0.unloggedEnd) }
      let end = chunk.gap == .damage ? start : min(start, unlogged)
      guard end > position else { return setAlarm(.now() + .milliseconds(50)) }
      countLost(end - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged))
      position = end
    } else {
      let start = store.withIntake { $0.ring.start }
      if chunk.first > max(position, start) {
        // Memory still holds the end of what the log lacks.
        letGo(chunk, from: chunk.first)
        mustReopen = true
        if start > position { countLost(start - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged)) }
        position = max(position, start)
      } else {
        if chunk.first > position {
          countLost(chunk.first - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged))
          position = chunk.first
        }
        self.chunk = chunk
      }
    }
    pump()
  }

  private func countLost(_ count: Ordinal, _ reason: RemoteStatistics.DropReason) {
    shown.withLock { $0.dropped[reason, default: 0] += count }
    journal.lost(count, reason.rawValue)
  }

  // MARK: Requests

  private func begin(_ batch: Batch) {
    batches.append(batch)
    transmit(batch)
  }

  /// Sends what the batch is at.
  private func transmit(_ batch: Batch) {
    let cutoff = ageCutoff()
    if batch.body == nil || batch.version != version || batch.oldest < cutoff { encode(batch, notBefore: cutoff) }
    guard !batch.content.isEmpty else { return proceed(batch) }
    guard let body = batch.body else { return proceed(batch) }
    if body.readableBytes > options.queue.maxRequestBytes, batch.split(batch.part, isSearch: false) {
      return proceed(batch)
    }
    var request = HTTPRequest(method: "POST", url: options.url, headers: headers(batch.attempt), body: body)
    batch.isSending = true
    do {
      try decorate?(&request)
    } catch {
      return answered(batch, .failure("\(error)"), after: .zero)
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
      self.answered(batch, answer, after: .now - start)
    }
  }

  private func encode(_ batch: Batch, notBefore cutoff: Int64) {
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
    block.removeAll()
    switch version {
    case .v1: Snappy.compress(encoder1.message.bytes, into: &block)
    case .v2: Snappy.compress(encoder2.message.bytes, into: &block)
    }
    batch.body = block.withUnsafeBytes { ByteBuffer(bytes: $0) }
  }

  private func headers(_ attempt: Int) -> [(name: String, value: String)] {
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

  private enum Answer {
    case response(HTTPResponse)
    case failure(String)
  }

  private func answered(_ batch: Batch, _ answer: Answer, after duration: Duration) {
    batch.isSending = false
    guard !isStopped else { return }
    shown.withLock { $0.requestDurations.observe(duration) }
    switch answer {
    case .failure(let reason): failed(batch, reason, retryAfter: nil)
    case .response(let response):
      let reason = RemoteJournal.reason(response.status, body: response.body)
      switch rule.verdict(on: response.status) {
      case .sent: taken(batch, response)
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

  private func taken(_ batch: Batch, _ response: HTTPResponse) {
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
  private func recovered() {
    holdBackoff = Backoff(options.holdBackoff)
    guard isFailing else { return }
    isFailing = false
    journal.recovered()
    for batch in batches where !batch.isSending { batch.notBefore = .now() }
  }

  private func failed(_ batch: Batch, _ reason: String, retryAfter: Duration?) {
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
  private func hold(_ batch: Batch, _ reason: String) {
    if !isFailing { journal.failed(reason) }
    isFailing = true
    shown.withLock { $0.retried.add(batch.content) }
    if !mustRewind { pausedUntil = .now() + TimeAmount(holdBackoff.delay(retryAfter: nil)) }
    mustRewind = true
    window = 1
  }

  /// Takes the batches back: their samples are sent anew from the oldest one on.
  private func rewind() {
    mustRewind = false
    mustReopen = true
    let first = rewindPosition
    for batch in batches { release(batch) }
    batches = []
    if let chunk { letGo(chunk, from: position) }
    chunk = nil
    position = first
    skips = ahead
    store.withIntake { $0.readers[index].position = first }
  }

  /// The receiver does not speak 2.0: from now on it gets 1.0.
  private func fallBack(_ batch: Batch, _ reason: String) {
    // Of batches that are on their way side by side the first one says it.
    if version == .v2 {
      journal.fellBack(reason)
      version = .v1
      startMetadata()
    }
    transmit(batch)
  }

  private func refused(_ batch: Batch, _ response: HTTPResponse, _ reason: String, isTooLarge: Bool) {
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

  private func drop(_ batch: Batch, _ ranges: [Range<Int>], _ status: Int, _ reason: String) {
    let count = ranges.reduce(0) { $0 + $1.count }
    guard count > 0 else { return }
    shown.withLock { $0.refused[status, default: 0] += UInt64(count) }
    journal.refused(count, reason)
  }

  /// Goes on to the batch's next part, or ends it.
  private func proceed(_ batch: Batch) {
    if !batch.dropped.isEmpty {
      drop(batch, batch.dropped, batch.refusal.status, batch.refusal.reason)
      batch.dropped = []
    }
    guard !batch.advance() else { return transmit(batch) }
    batches.removeAll { $0 === batch }
    release(batch)
    finished(batch.range)
  }

  private func release(_ batch: Batch) {
    for sample in batch.outgoing.samples { marks[Int(sample.series.rawValue)] = 0 }
    freeMarks.append(batch.mark)
    store.withIntake { intake in
      for sample in batch.outgoing.samples { intake.table.letGo(sample.series.rawValue) }
      intake.forgetReclaimed()
      intake.readers[self.index].position = self.rewindPosition
    }
  }

  /// All of a stretch is sent or given up.
  private func finished(_ range: Range<Ordinal>) {
    let first = batches.first?.range.lowerBound ?? position
    if range.upperBound > first {
      let place = ahead.partitioningIndex { $0.lowerBound >= range.lowerBound }
      if place > 0, ahead[place - 1].upperBound == range.lowerBound {
        ahead[place - 1] = ahead[place - 1].lowerBound..<range.upperBound
      } else {
        ahead.insert(range, at: place)
      }
    }
    ahead.removeAll { $0.upperBound <= first }
    acknowledge(Acknowledgement(first: first, ahead: ahead))
    shown.withLock { $0.acknowledged = first }
  }

  private func noteProgress() {
    let oldest = waitingSince
    shown.withLock { shown in
      shown.position = position
      shown.inFlight = batches.count
      shown.window = window
      shown.waitingSince = oldest
      shown.oldestUnsent = batches.first?.outgoing.samples.first?.timestamp
    }
    guard isDraining, !whenEmpty.isEmpty, batches.isEmpty, !isReading else { return }
    guard store.withIntake({ $0.ring.end }) <= position else { return }
    for done in whenEmpty { done() }
    whenEmpty = []
  }

  // MARK: Metadata of 1.0

  private func startMetadata() {
    guard version == .v1, options.metadata.isSent, metadataTask == nil, !isStopped else { return }
    let interval = TimeAmount(options.metadata.interval)
    metadataTask = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in self.sendMetadata() }
  }

  /// Tells what families are. When it fails, the next time is soon enough.
  private func sendMetadata() {
    guard version == .v1, !isFailing else { return }
    var seen: Set<String> = []
    let families = families().filter { seen.insert($0.family).inserted }
    sendMetadata(families[...])
  }

  private func sendMetadata(_ families: ArraySlice<MetricMetadata>) {
    let part = families.prefix(max(options.metadata.maxPerSend, 1))
    guard !part.isEmpty, !isStopped else { return }
    encoder1.encode(part)
    block.removeAll()
    Snappy.compress(encoder1.message.bytes, into: &block)
    let body = block.withUnsafeBytes { ByteBuffer(bytes: $0) }
    var request = HTTPRequest(method: "POST", url: options.url, headers: headers(0), body: body)
    do {
      try decorate?(&request)
    } catch {
      shown.withLock { $0.metadataFailed += UInt64(part.count) }
      return
    }
    let limits = HTTPLimits(timeout: options.timeout, bodyBytes: 1 << 20, redirects: 0)
    transport(request, limits, eventLoop) { result in
      if case .success(let response) = result, (200...299).contains(response.status) {
        self.shown.withLock { shown in
          shown.metadataSent += UInt64(part.count)
          shown.metadataBytes += UInt64(body.readableBytes)
        }
        self.sendMetadata(families.dropFirst(part.count))
      } else {
        self.shown.withLock { $0.metadataFailed += UInt64(part.count) }
      }
    }
  }
}
