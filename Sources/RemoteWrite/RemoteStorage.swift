import Exposition
import Logging
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

/// Takes scraped samples and sends them to every receiver; none of these slows another, or the scraper, down.
///
///     let storage = RemoteStorage(remotes, externalLabels: labels, log: log)
///     async let sending: Void = storage.run()
///     ...                                  // scrapers register and append
///     await storage.drain(within: .seconds(10))
///
/// Samples wait in memory, in bounded room: when a receiver is away too long, the oldest are dropped and counted.
public final class RemoteStorage: SampleSink, MetricSource {
  private struct Intake {
    var samples: UInt64 = 0
    /// Milliseconds since the epoch.
    var highestTimestamp: Int64 = 0
    var unknownSeries: UInt64 = 0
    var refusedSeries: UInt64 = 0
  }

  private let table: SeriesTable
  private let writers: [RemoteWriter]
  private let intake = Mutex(Intake())
  private let log: Logger

  /// - Parameter externalLabels: given to every series that has no label of that name.
  public init(
    _ remotes: [Remote], externalLabels: LabelSet = LabelSet(), limits: LabelLimits = LabelLimits(), log: Logger
  ) {
    let table = SeriesTable(external: externalLabels, limits: limits)
    self.table = table
    self.log = log
    writers = remotes.map {
      RemoteWriter($0.options, table: table, transport: $0.transport, decorate: $0.decorate, log: log)
    }
  }

  /// Sends until the task is cancelled. Call it once.
  public func run() async {
    await withDiscardingTaskGroup { group in
      for writer in writers { group.addTask { await writer.run() } }
    }
  }

  /// Sends what is queued without waiting for batches to fill, and returns when all of it is acknowledged or the time
  /// has passed; what is lost then is counted, and logged in one line. Nothing must be appended any more, and `run`
  /// must still be running; cancel it afterwards.
  public func drain(within time: Duration) async {
    for writer in writers { writer.beginDraining() }
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        try? await Task.sleep(for: time)
        return false
      }
      group.addTask { [writers] in
        for writer in writers { await writer.waitUntilEmpty() }
        return true
      }
      _ = await group.next()
      group.cancelAll()
    }
    let lost = writers.map { $0.countRemainderAsLost() }
    guard lost.contains(where: { $0 > 0 }) else { return }
    let counts = zip(writers, lost).filter { $0.1 > 0 }.map { "\($0.options.name): \($1)" }
    log.error(
      "Samples were not sent before the end and are lost", metadata: ["samples": "\(counts.joined(separator: ", "))"])
  }

  // MARK: SampleSink

  public func register(_ labels: LabelSet, _ metadata: MetricMetadata?) -> SeriesID? {
    let series = table.register(labels)
    if series == nil { intake.withLock { $0.refusedSeries += 1 } }
    return series
  }

  public func release(_ series: [SeriesID]) { table.release(series) }

  public func append(_ samples: [Sample], _ attachments: [Attachment]) {
    guard !samples.isEmpty else { return }
    let known = table.hold(samples, copies: writers.count)
    let newest = known.lazy.map(\.timestamp).max() ?? 0
    intake.withLock { intake in
      intake.samples += UInt64(known.count)
      intake.unknownSeries += UInt64(samples.count - known.count)
      intake.highestTimestamp = max(intake.highestTimestamp, newest)
    }
    for writer in writers { table.letGo(writer.append(known)) }
  }

  // MARK: MetricSource

  public func write(to writer: MetricWriter) {
    let intake = intake.withLock { $0 }
    writer.sample(RemoteMetrics.samplesIn, intake.samples)
    writer.sample(RemoteMetrics.highestTimestamp, Double(intake.highestTimestamp) / 1000)
    writer.sample(RemoteMetrics.series, Double(table.count))
    writer.sample(RemoteMetrics.seriesRefused, intake.refusedSeries)
    writer.sample(RemoteMetrics.unknownSeries, intake.unknownSeries)
    RemoteMetrics.write(writers.map { $0.snapshot() }, to: writer)
  }
}
