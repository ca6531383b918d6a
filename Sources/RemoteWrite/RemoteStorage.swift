import Bytes
import Exposition
import Kernel
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A receiver and how it is reached.
public struct Remote: Sendable {
  public var options: RemoteWriteOptions
  public var transport: RemoteTransport
  public var decorate: RequestDecorator?
  /// Nil: answers mean what the protocol says.
  public var readAnswer: AnswerReader?

  public init(
    _ options: RemoteWriteOptions, transport: @escaping RemoteTransport, decorate: RequestDecorator? = nil,
    readAnswer: AnswerReader? = nil
  ) {
    self.options = options
    self.transport = transport
    self.decorate = decorate
    self.readAnswer = readAnswer
  }
}

/// Takes scraped samples, keeps them in memory and in the log, and sends them to every receiver; none of these slows
/// another, or the scraper, down.
///
///     let storage = try RemoteStorage(remotes, externalLabels: labels, log: options, group: group, logger: logger)
///     try storage.start { metadata }
///     ...                                  // scrapers register and append
///     await storage.stop(within: .seconds(10))
///
/// Without a log, samples wait in memory only: when a receiver is away too long the oldest are dropped and counted.
public final class RemoteStorage: SampleSink, MetricSource {
  private struct State {
    /// By the index of their reader; nil where a remote is configured no more.
    var senders: [Sender?] = []
    var families: @Sendable () -> [MetricMetadata] = { [] }
    var isStarted = false
  }

  private let store: SampleStore
  private let folder: LogFolder?
  private let writer: LogWriter?
  private let longBacklog: Ordinal
  private let group: any EventLoopGroup
  private let ceiling: MemoryCeiling?
  private let readers = NIOThreadPool(numberOfThreads: 2)
  private let logger: Logger
  private let state = Mutex(State())

  /// - Parameters:
  ///   - remotes: the receivers at the start.
  ///   - externalLabels: given to every series that has no label of that name.
  ///   - log: where samples are kept on disk; nil: nowhere.
  ///   - memoryLimit: bytes that the process is to stay below; nil: as many as it takes.
  ///   - group: the event loops that the senders run on.
  /// - Throws: `LogError` when the log's folder cannot be used.
  public init(
    _ remotes: [Remote] = [], externalLabels: LabelSet = LabelSet(), limits: LabelLimits = LabelLimits(),
    log options: LogOptions?, memoryLimit: Int? = nil, group: any EventLoopGroup,
    logger: Logger
  ) throws {
    self.logger = logger
    self.group = group
    let folder = try options.map { try LogFolder(path: $0.path, isLocked: $0.isLocked) }
    self.folder = folder
    longBacklog = options?.longBacklog ?? .max
    var end: Ordinal = 1
    if let folder {
      end = try folder.recover { logger.warning("The log's last segment was cut", metadata: ["err": "\($0)"]) }
      let acknowledgements = folder.acknowledgements()
      for known in acknowledgements.values {
        end = max(end, known.first, known.ahead.last?.upperBound ?? 0, known.overtaken.last?.upperBound ?? 0)
      }
      folder.written.store(end, ordering: .releasing)
      folder.removeFilters(except: acknowledgements)
    }
    let store = SampleStore(
      Intake(
        table: LabelTable(external: externalLabels, limits: limits),
        ring: SampleRing(end: end, limit: options?.samplesInMemory ?? 0), isLogged: options != nil,
        segmentBytes: options?.segmentBytes ?? .max))
    self.store = store
    writer = zip(folder, options).map { LogWriter(folder: $0, store: store, options: $1, log: logger) }
    ceiling = memoryLimit.map {
      MemoryCeiling(limit: $0, store: store, log: logger)
    }
    apply(remotes)
  }

  /// Begins to write the log and to send.
  ///
  /// - Parameter families: what is known of all families at a time, for the metadata of remote write 1.0.
  public func start(families: @escaping @Sendable () -> [MetricMetadata] = { [] }) throws {
    readers.start()
    try writer?.start()
    let senders = state.withLock { state in
      state.families = families
      state.isStarted = true
      return state.senders.compactMap(\.self)
    }
    for sender in senders { sender.start() }
    if let ceiling {
      // It ends with the event loop.
      group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in ceiling.look() }
    }
  }

  /// Makes these the receivers. Those that stay as they are go on; one that is new gets what comes from now on, and one
  /// that was here before what it has not acknowledged; one that is gone is sent nothing more.
  public func apply(_ remotes: [Remote]) {
    state.withLock { state in
      var wanted: [String: Remote] = [:]
      for remote in remotes { wanted[remote.options.key] = remote }
      for (index, sender) in state.senders.enumerated() {
        guard let sender else { continue }
        if let remote = wanted[sender.key], remote.options == sender.options {
          wanted[sender.key] = nil
        } else {
          sender.stop {}
          state.senders[index] = nil
        }
      }
      for remote in remotes {
        guard wanted.removeValue(forKey: remote.options.key) != nil else { continue }
        let sender = makeSender(remote, index: state.senders.count)
        state.senders.append(sender)
        if state.isStarted { sender.start() }
      }
      forgetOthers(than: Set(remotes.map(\.options.key)))
    }
  }

  /// Remotes that have a place in the log and are configured no more lose it.
  private func forgetOthers(than keys: Set<String>) {
    guard let folder, let writer else { return }
    let end = store.withIntake { $0.ring.end }
    for (key, acknowledgement) in folder.acknowledgements() where !keys.contains(key) {
      if acknowledgement.first < end {
        logger.warning(
          "A remote_write is gone, or has another name or URL; what it had not acknowledged is not sent",
          metadata: ["samples": "\(end - acknowledgement.first)"])
      }
      writer.forget(key)
    }
  }

  private func makeSender(_ remote: Remote, index: Int) -> Sender {
    let key = remote.options.key
    let known = folder.flatMap { lastAcknowledgement(of: key, in: $0) }
    let acknowledgement = store.withIntake { intake in
      let acknowledgement = known?.acknowledgement ?? Acknowledgement(first: intake.ring.end)
      intake.add(
        Intake.Reader(
          position: acknowledgement.first,
          map: remote.options.rules.isEmpty ? nil : SeriesMap(rules: remote.options.rules),
          backlogs: known?.backlogs.map(FilteredSeries.init) ?? []))
      if folder == nil { intake.mostSamples = max(intake.mostSamples, remote.options.queue.samplesWithoutLog) }
      return acknowledgement
    }
    // It is on disk from now on where it stands, also when it is never reached.
    writer?.acknowledge(key, acknowledgement)
    let writer = writer
    return Sender(
      remote, key: key, index: index, from: acknowledgement, eventLoop: group.next(), store: store,
      reader: folder.map { LogReader(folder: $0, store: store) }, readers: readers,
      longBacklog: longBacklog,
      families: { [weak self] in self?.state.withLock { $0.families }() ?? [] },
      acknowledge: { writer?.acknowledge(key, $0) }, log: logger)
  }

  /// What a remote has acknowledged, and the series that were in the backlogs which others have overtaken. A backlog
  /// whose file is not whole counts as not overtaken: what was sent before it is sent again. So is all of the log when
  /// the cursor is damaged. Nil when the remote is new.
  private func lastAcknowledgement(
    of key: String, in folder: LogFolder
  ) -> (acknowledgement: Acknowledgement, backlogs: [SeriesFilter])? {
    let path = folder.cursorPath(key)
    guard var acknowledgement = CursorFile.read(path: path) else {
      guard Directory.exists(path), folder.oldest < .max else { return nil }
      logger.error(
        "What a remote_write has acknowledged cannot be read; all that the log holds is sent again",
        metadata: ["file": "\(path)"])
      return (Acknowledgement(first: folder.oldest), [])
    }
    var backlogs: [SeriesFilter] = []
    acknowledgement.overtaken.removeAll { range in
      guard let series = SeriesFilter(path: folder.filterPath(key, range.lowerBound)) else { return true }
      backlogs.append(series)
      return false
    }
    return (acknowledgement, backlogs)
  }

  /// From now on series that are registered get these labels; those that are there already when they are registered
  /// again.
  public func setExternalLabels(_ labels: LabelSet) { store.withIntake { $0.table.setExternal(labels) } }

  private var senders: [Sender] { state.withLock { $0.senders.compactMap(\.self) } }

  /// Sends what waits, without waiting for requests to fill, and ends: when all is acknowledged, or when the time has
  /// passed. What is not acknowledged then is in the log, and is sent after the next start; without a log it is lost.
  public func stop(within time: Duration) async {
    let senders = senders
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await Task.sleep(for: time) }
      group.addTask {
        for sender in senders {
          let (drained, signal) = AsyncStream<Void>.makeStream()
          sender.drain { signal.finish() }
          for await _ in drained {}
        }
      }
      await group.next()
      group.cancelAll()
    }
    let end = store.withIntake { $0.ring.end }
    for sender in senders {
      let unsent = end - min(end, sender.statistics.acknowledged)
      if unsent > 0 {
        let fate = writer == nil ? "are lost" : "stay in the log and are sent after the next start"
        logger.warning(
          "Samples were not sent before the end; they \(fate)",
          metadata: ["remote_name": "\(sender.options.name)", "samples": "\(unsent)"])
      }
    }
    for sender in senders {
      let (stopped, signal) = AsyncStream<Void>.makeStream()
      sender.stop { signal.finish() }
      for await _ in stopped {}
    }
    writer?.stop(within: 5)
    try? await readers.shutdownGracefully()
  }

  // MARK: SampleSink

  public func register(_ labels: LabelSet, _ metadata: MetricMetadata?) -> SeriesID? {
    store.withIntake { $0.register(labels, metadata) }
  }

  public func find(_ labels: LabelSet) -> SeriesID? {
    store.withIntake { $0.table.find(labels).map(SeriesID.init(rawValue:)) }
  }

  public func release(_ series: [SeriesID]) {
    store.withIntake { intake in
      for series in series { intake.release(series.rawValue) }
    }
  }

  public func append(_ samples: [Sample], _ attachments: [Attachment]) {
    guard !samples.isEmpty else { return }
    let now = WallClock.milliseconds
    let woken = store.withIntake { $0.append(samples, attachments, now: now) }
    writer?.wake()
    guard !woken.isEmpty else { return }
    let senders = state.withLock { $0.senders }
    for index in woken { senders[index]?.wake() }
  }

  // MARK: Labels of series

  /// Labels that all series get which have no label of that name, ordered by name.
  public var externalLabels: LabelSet { store.withIntake { $0.table.external } }

  /// Calls `body` with the labels of each series, the external ones included. The series must be registered.
  public func forEachLabels(of series: ArraySlice<SeriesID>, _ body: (LabelSet) -> Void) {
    store.withIntake { intake in
      var labels = LabelSet()
      for series in series {
        labels.removeAll()
        if intake.table.isRegistered(series.rawValue) {
          for pair in intake.table.pairNumbers(of: series.rawValue) {
            intake.table.withPair(pair) { labels.append($0, $1) }
          }
        }
        body(labels)
      }
    }
  }

  /// The receivers and their rules, in no certain order.
  public var remotes: [RemoteWriteOptions] { senders.map(\.options) }

  // MARK: MetricSource

  public func write(to metrics: MetricWriter) {
    let senders = senders
    let (counts, series, end) = store.withIntake { ($0.counts, $0.table.count, $0.ring.end) }
    IntakeMetrics.write(counts, series: series, to: metrics)
    if let ceiling { CeilingMetrics.write(ceiling, to: metrics) }
    if let writer { LogMetrics.write(writer, to: metrics) }
    RemoteMetrics.write(
      senders.map { sender in
        let statistics = sender.statistics
        let sent = statistics.highestSentTimestamp
        let pending = end - min(end, statistics.acknowledged)
        // Rules may drop all there is: then nothing is behind.
        let isBehind = pending > 0 && (sent > 0 || sender.options.rules.isEmpty)
        return RemoteSnapshot(
          name: sender.options.name, url: "\(sender.options.url)", statistics: statistics, queue: sender.options.queue,
          pending: pending, highestTimestamp: isBehind ? counts.highestTimestamp : sent,
          oldestInMemory: store.withIntake { $0.ring.timestamp(of: statistics.acknowledged) })
      }, to: metrics)
  }
}

/// Both, or nothing.
private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
  guard let a, let b else { return nil }
  return (a, b)
}

extension RemoteWriteOptions: Equatable {
  public static func == (a: Self, b: Self) -> Bool {
    a.url == b.url && a.name == b.name && a.timeout == b.timeout && a.userAgent == b.userAgent
      && a.headers.elementsEqual(b.headers, by: ==) && a.version == b.version
      && a.sendsExemplars == b.sendsExemplars && a.sendsHistograms == b.sendsHistograms && a.queue == b.queue
      && a.metadata == b.metadata && a.rules == b.rules && a.access?.options == b.access?.options
      && a.decoration == b.decoration
  }

  /// A file name that stays the same over restarts: by name and URL.
  fileprivate var key: String {
    var hash = FNV1a()
    hash.combine(name.utf8.span.bytes)
    hash.combine(0xff)
    hash.combine("\(url)".utf8.span.bytes)
    return LogFormat.digits(hash.value)
  }
}

extension QueueOptions {
  /// Samples that wait in memory when there is no log.
  fileprivate var samplesWithoutLog: Int {
    let (samples, overflow) = capacity.multipliedReportingOverflow(by: max(maxShards, 1))
    return overflow ? .max : samples
  }
}
