import Bytes
import Exposition
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A receiver and how it is reached.
public struct Remote: Sendable {
  public var options: RemoteWriteOptions
  public var transport: RemoteTransport
  public var decorate: RequestDecorator?

  public init(
    _ options: RemoteWriteOptions, transport: @escaping RemoteTransport, decorate: RequestDecorator? = nil
  ) {
    self.options = options
    self.transport = transport
    self.decorate = decorate
  }
}

/// Takes scraped samples, keeps them in memory and in the log, and sends them to every receiver; none of these slows
/// another, or the scraper, down.
///
///     let storage = try RemoteStorage(remotes, externalLabels: labels, log: options, group: group, logger: logger)
///     try storage.start()
///     ...                                  // scrapers register and append
///     await storage.stop(within: .seconds(10))
///
/// Without a log, samples wait in memory only: when a receiver is away too long the oldest are dropped and counted.
public final class RemoteStorage: SampleSink, MetricSource {
  private let store: SampleStore
  private let writer: LogWriter?
  private let senders: [Sender]
  private let acknowledgements: [String: Acknowledgement]
  private let readers = NIOThreadPool(numberOfThreads: 1)
  private let logger: Logger

  /// - Parameters:
  ///   - externalLabels: given to every series that has no label of that name.
  ///   - log: where samples are kept on disk; nil: nowhere.
  ///   - group: the event loops that the senders run on.
  ///   - families: what is known of all families now, for the metadata of remote write 1.0.
  /// - Throws: `LogError` when the log's folder cannot be used.
  public init(
    _ remotes: [Remote], externalLabels: LabelSet = LabelSet(), limits: LabelLimits = LabelLimits(),
    log options: LogOptions?, group: any EventLoopGroup, families: @escaping @Sendable () -> [MetricMetadata] = { [] },
    logger: Logger
  ) throws {
    self.logger = logger
    let folder = try options.map { try LogFolder(path: $0.path, isLocked: $0.isLocked) }
    let keys = remotes.map { $0.options.key }
    var acknowledged: [String: Acknowledgement] = [:]
    var end: Ordinal = 1
    if let folder {
      end = try folder.recover { logger.warning("The log's last segment was cut", metadata: ["err": "\($0)"]) }
      for key in keys { acknowledged[key] = CursorFile.read(path: folder.cursorPath(key)) }
      end = acknowledged.values.reduce(end) { max($0, $1.ahead.last?.upperBound ?? 0, $1.first) }
    }
    // A remote that is new gets what comes from now on.
    for key in keys where acknowledged[key] == nil { acknowledged[key] = Acknowledgement(first: end) }
    acknowledgements = acknowledged
    let memory = options?.samplesInMemory ?? remotes.map { $0.options.queue.samplesWithoutLog }.max() ?? 0
    let store = SampleStore(
      Intake(
        table: LabelTable(external: externalLabels, limits: limits), ring: SampleRing(end: end, limit: memory),
        readers: zip(remotes, keys).map { remote, key in
          Intake.Reader(
            position: acknowledged[key]?.first ?? end,
            map: remote.options.rules.isEmpty ? nil : SeriesMap(rules: remote.options.rules))
        },
        isLogged: options != nil, segmentBytes: options?.segmentBytes ?? .max))
    self.store = store
    let writer = zip(folder, options).map { LogWriter(folder: $0, store: store, options: $1, log: logger) }
    self.writer = writer
    let readers = readers
    senders = zip(remotes, keys).enumerated().map { index, remote in
      let key = remote.1
      return Sender(
        remote.0, key: key, index: index, from: acknowledged[key] ?? Acknowledgement(first: end),
        eventLoop: group.next(), store: store, reader: folder.map { LogReader(folder: $0, store: store) },
        readers: readers, families: families, acknowledge: { writer?.acknowledge(key, $0) }, log: logger)
    }
  }

  /// Begins to write the log and to send.
  public func start() throws {
    readers.start()
    try writer?.start(acknowledgements: acknowledgements)
    for sender in senders { sender.start() }
  }

  /// Sends what waits, without waiting for requests to fill, and ends: when all is acknowledged, or when the time has
  /// passed. What is not acknowledged then is in the log, and is sent after the next start; without a log it is lost.
  public func stop(within time: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await Task.sleep(for: time) }
      group.addTask { [senders] in
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
    for index in woken { senders[index].wake() }
  }

  // MARK: MetricSource

  public func write(to metrics: MetricWriter) {
    let (counts, series, end) = store.withIntake { ($0.counts, $0.table.count, $0.ring.end) }
    IntakeMetrics.write(counts, series: series, to: metrics)
    if let writer { LogMetrics.write(writer, to: metrics) }
    RemoteMetrics.write(
      senders.map { sender in
        let statistics = sender.statistics
        return RemoteSnapshot(
          name: sender.options.name, url: "\(sender.options.url)", statistics: statistics, queue: sender.options.queue,
          pending: end - min(end, statistics.acknowledged))
      }, to: metrics)
  }
}

/// Both, or nothing.
private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
  guard let a, let b else { return nil }
  return (a, b)
}

extension RemoteWriteOptions {
  /// A file name that stays the same over restarts: by name and URL.
  fileprivate var key: String {
    var hash = FNV1a()
    hash.combine(name.utf8.span.bytes)
    hash.combine(0xff)
    hash.combine("\(url)".utf8.span.bytes)
    let digits = String(hash.value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension QueueOptions {
  /// Samples that wait in memory when there is no log.
  fileprivate var samplesWithoutLog: Int {
    let (samples, overflow) = capacity.multipliedReportingOverflow(by: max(maxShards, 1))
    return overflow ? .max : samples
  }
}
