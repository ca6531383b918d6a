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
  static let mostBatches = 200
  /// How often a request is sent again of which the receiver takes no new series: a minute, with the default backoff.
  static let mostSlowAttempts = 19
  /// Samples that are read from the log at a time.
  static let chunkLength = 16_384

  let options: RemoteWriteOptions
  /// The file name under which its acknowledgements are kept.
  let key: String
  let index: Int
  let eventLoop: any EventLoop
  let store: SampleStore
  let reader: LogReader?
  let readers: NIOThreadPool
  let transport: RemoteTransport
  let decorate: RequestDecorator?
  let families: @Sendable () -> [MetricMetadata]
  let acknowledge: @Sendable (Acknowledgement) -> Void
  let answerReader: AnswerReader?
  let journal: RemoteJournal
  let shown: Mutex<RemoteStatistics>

  var version: RemoteWriteVersion
  var encoder1 = WriteRequest1Encoder()
  var encoder2 = WriteRequest2Encoder()
  var block = ByteWriter()

  /// The next sample to be sent.
  var position: Ordinal
  /// Stretches behind the position that were acknowledged before.
  var skips: [Range<Ordinal>]
  var batches: [Batch] = []
  /// Acknowledged before a batch in front of them was.
  var ahead: [Range<Ordinal>]
  /// Ascending; all but the last are done.
  var overtakings: [Overtaking]
  /// A backlog of so many samples is overtaken.
  let longBacklog: Ordinal
  /// Groups of which another replica is elected.
  var standbys: [UInt32: Standby] = [:]
  /// What was withheld of groups of which this replica was elected since: to be sent after the next rewinding, and on
  /// the way.
  var elections: [Repeat] = []
  var repeats: [Repeat] = []
  /// Before this, only repeats are sent.
  var settled: Ordinal = 0
  var isScanning = false
  /// When the log may be looked through again.
  var nextScan = NIODeadline.uptimeNanoseconds(0)
  /// The batch that holds each series; 0: none does.
  var marks: [UInt8] = []
  var freeMarks = (1...UInt8(mostBatches)).reversed() as [UInt8]
  var chunk: LogChunk?
  var isReading = false

  var window: Int
  var isFailing = false
  /// Until when the receiver wants to be left alone.
  var pausedUntil = NIODeadline.uptimeNanoseconds(0)
  /// Credentials that are refused: how long to wait for better ones.
  var holdBackoff: Backoff
  var mustRewind = false
  /// The next read is of samples that were read before.
  var mustReopen = false
  /// Since when samples wait that do not fill a request.
  var waitingSince: NIODeadline?
  var alarm: (time: NIODeadline, task: Scheduled<Void>)?
  var metadataTask: RepeatedTask?
  var isDraining = false
  var isStopped = false
  var whenEmpty: [() -> Void] = []

  init(
    _ remote: Remote, key: String, index: Int, from acknowledgement: Acknowledgement, eventLoop: any EventLoop,
    store: SampleStore, reader: LogReader?, readers: NIOThreadPool, longBacklog: Ordinal,
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
    answerReader = remote.readAnswer
    journal = RemoteJournal(name: options.name, url: "\(options.url)", log: log)
    version = options.version
    position = acknowledgement.first
    skips = acknowledgement.ahead
    ahead = acknowledgement.ahead
    overtakings = acknowledgement.overtaken.map { Overtaking($0, isOpen: false) }
    self.longBacklog = longBacklog
    window = max(1, min(options.queue.minShards, options.queue.maxShards))
    holdBackoff = Backoff(options.holdBackoff)
    var statistics = RemoteStatistics()
    statistics.acknowledged = acknowledgement.first
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
      self.forgetStandbys()
      if let chunk = self.chunk { self.letGo(chunk, from: self.position) }
      self.store.withIntake { intake in
        for batch in self.batches {
          for sample in batch.outgoing.samples { intake.table.letGo(sample.series.rawValue) }
        }
        intake.remove(self.index)
      }
      done()
    }
  }

  var statistics: RemoteStatistics { shown.withLock { $0 } }

  // MARK: What to send next

  func pump() {
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
    while mayBegin, let batch = nextOvertaking(now) ?? nextBatch(now) { begin(batch) }
    // Also with what was withheld just now.
    askForElection(now)
    if let next = batches.lazy.filter({ !$0.isSending }).map(\.notBefore).min() { setAlarm(max(next, now)) }
    noteProgress()
  }

  var mayBegin: Bool {
    let most = min(window, options.queue.maxShards, Self.mostBatches)
    return batches.count < max(most, 1) && !(isFailing && !batches.isEmpty) && !mustRewind && !isStopped
  }

  func setAlarm(_ time: NIODeadline) {
    if let alarm, alarm.time <= time { return }
    alarm?.task.cancel()
    let task = eventLoop.scheduleTask(deadline: time) {
      self.alarm = nil
      self.pump()
    }
    alarm = (time, task)
  }

  enum Next {
    case nothing
    case wait
    case read
    case blocked
    case lost(Ordinal)
    case taken(Range<Ordinal>, Outgoing)
  }

  func nextBatch(_ now: NIODeadline) -> Batch? {
    while !isReading {
      let mark = freeMarks[freeMarks.count - 1]
      switch store.withIntake({ self.next(&$0, now, mark) }) {
      case .nothing:
        waitingSince = nil
        return nil
      case .blocked: return nil
      case .wait:
        setAlarm((waitingSince ?? now) + batchSendDeadline)
        return nil
      case .read:
        read()
        noteBacklog(now)
        return nil
      case .lost(let count): countLost(count, .memory)
      case .taken(let range, let outgoing):
        // What is left came just now, or was not worth a request before.
        waitingSince = now
        guard let batch = batch(range, outgoing, mark, overtakes: false) else {
          finished(range)
          continue
        }
        return batch
      }
    }
    return nil
  }

  /// Nil when there is nothing to send.
  func batch(_ range: Range<Ordinal>, _ outgoing: Outgoing, _ mark: UInt8, overtakes: Bool) -> Batch? {
    guard !outgoing.samples.isEmpty else { return nil }
    freeMarks.removeLast()
    return Batch(
      range, outgoing, mark: mark, overtakes: overtakes,
      backoff: Backoff(least: options.queue.minBackoff, most: options.queue.maxBackoff))
  }

  var batchSendDeadline: TimeAmount { TimeAmount(options.queue.batchSendDeadline) }

  func next(_ intake: inout Intake, _ now: NIODeadline, _ mark: UInt8) -> Next {
    let end = intake.ring.end
    if let chunk, chunk.end <= position { self.chunk = nil }
    if endOvertaking() { return .blocked }
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
        if now < since + batchSendDeadline {
          intake.readers[index].wakeAt = position + Ordinal(options.queue.maxSamplesPerSend)
          return .wait
        }
      }
    }
    return take(&intake, mark)
  }

  // MARK: Progress

  /// All of a stretch is sent or given up.
  func finished(_ range: Range<Ordinal>) {
    let first = rewindPosition
    if range.upperBound > first {
      // After a rewinding a batch may reach over what was acknowledged before.
      var union = range
      ahead.removeAll { other in
        guard other.lowerBound <= union.upperBound, union.lowerBound <= other.upperBound else { return false }
        union = min(union.lowerBound, other.lowerBound)..<max(union.upperBound, other.upperBound)
        return true
      }
      ahead.insert(union, at: ahead.partitioningIndex { $0.lowerBound >= union.lowerBound })
    }
    acknowledgeProgress()
  }

  /// Says, for the next start, what is sent or given up.
  func acknowledgeProgress() {
    let first = rewindPosition
    ahead.removeAll { $0.upperBound <= first }
    forgetOvertakings(before: first)
    forgetRepeats(before: first)
    acknowledge(
      Acknowledgement(
        first: keptPosition, ahead: isStandingBy ? [] : ahead,
        overtaken: overtakings.map { $0.first..<$0.acknowledged }))
    shown.withLock { $0.acknowledged = first }
  }

  /// The timestamp of the first sample on its way, or of the next one that was read from the log.
  var oldestUnsent: Int64? {
    if let batch = batches.first(where: { !$0.overtakes }) { return batch.outgoing.samples.first?.timestamp }
    guard let chunk, chunk.first <= position, position < chunk.end else { return nil }
    return chunk.samples[Int(position - chunk.first)].timestamp
  }

  func noteProgress() {
    let standbyCount = standbys.count
    let oldestUnsent = oldestUnsent
    shown.withLock { shown in
      shown.inFlight = batches.count
      shown.standingBy = standbyCount
      shown.window = window
      // Between two batches from the log it stays what it was.
      if let oldestUnsent { shown.oldestUnsent = oldestUnsent }
    }
    guard isDraining, !whenEmpty.isEmpty, batches.isEmpty, !isReading else { return }
    guard store.withIntake({ $0.ring.end }) <= position else { return }
    for done in whenEmpty { done() }
    whenEmpty = []
  }
}
