import Configuration
import Discovery
import Exposition
import Flags
import Glibc
import HTTPClient
import Logging
import NIOPosix
import RemoteWrite
import Scraping
import Synchronization
import Web

/// `pilotfish agent`: the exporter, which also scrapes the targets of a prometheus.yml and remote-writes them.
enum AgentCommand {
  private static let usage = "usage: pilotfish agent --config.file=PROMETHEUS.YML [<flags>]"
  private static let userAgent = "pilotfish/\(Version.number)"

  private static let configFile = Flag(
    "config.file", "prometheus.yml", "Prometheus configuration file path.")
  private static let storagePath = Flag(
    "storage.agent.path", "data-agent/", "Base path for metrics storage.")
  private static let flushDeadline = Flag(
    "storage.remote.flush-deadline", Duration.seconds(20),
    "How long to wait flushing samples on shutdown.")

  static func run(_ arguments: [String]) async throws {
    let flags = try CommonFlags.parse(
      arguments, usage: usage, program: "pilotfish",
      more: [configFile.definition, storagePath.definition, flushDeadline.definition])
    let configuration = try Configuration.load(flags[configFile]) { name in getenv(name).map { String(cString: $0) } }
    let logger = CommonFlags.makeLogger(flags)
    let exporter = try Exporter(flags, logger: logger)

    let group = MultiThreadedEventLoopGroup(numberOfThreads: min(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    let client = HTTPClient(eventLoopGroup: group)
    let externalLabels = LabelSet(configuration.global.externalLabels.map { (name: $0.name, value: $0.value) })
    var log = LogOptions(path: flags[storagePath])
    log.segmentBytes = 64 << 20
    let families = Mutex<@Sendable () -> [MetricMetadata]>({ [] })
    let storage = try RemoteStorage(
      try remotes(configuration, client), externalLabels: externalLabels, log: log, group: group,
      families: { families.withLock { $0 }() }, logger: logger)
    let scraping = ScrapeManager(
      sink: storage, fetcher: HTTPScrapeFetcher(client: client), group: group, userAgent: userAgent, hostname: hostname(),
      externalLabels: externalLabels)

    let pages = AgentPages(scraping: scraping, hostname: hostname())
    var routes = exporter.routes(
      sources: [scraping, storage], links: [("/api/v1/targets", "Targets"), ("/-/ready", "Ready")])
    pages.add(to: &routes)
    let server = try await exporter.listen(routes: routes, group: group)
    try storage.start()
    scraping.apply(configuration.scrapeConfigs.flatMap { Target.all(of: $0, groups: StaticDiscovery.groups(of: $0)) })
    logger.info(
      "Agent is scraping",
      metadata: [
        "jobs": "\(configuration.scrapeConfigs.count)", "remotes": "\(configuration.remoteWrites.count)",
      ])
    pages.isReady.store(true, ordering: .relaxed)

    await Service.run(logger: logger)
    // What was scraped goes out, within a bound; the port stays open meanwhile, for those who look.
    pages.isReady.store(false, ordering: .relaxed)
    await scraping.stop(within: .seconds(10))
    await storage.stop(within: flags[flushDeadline])
    await server.stop(within: .seconds(5))
    await client.shutdown()
    try? await group.shutdownGracefully()
  }

  private static func remotes(_ configuration: Configuration, _ client: HTTPClient) throws -> [Remote] {
    try configuration.remoteWrites.enumerated().map { index, remote in
      let url: HTTPURL
      do {
        url = try HTTPURL(remote.url)
      } catch {
        throw RemoteURLFault(index: index, reason: "\(error)")
      }
      var options = RemoteWriteOptions(url: url, name: remote.defaultedName(index), userAgent: userAgent)
      options.timeout = remote.remoteTimeout
      options.queue.capacity = remote.queue.capacity
      options.queue.maxShards = remote.queue.maxShards
      options.queue.minShards = remote.queue.minShards
      options.queue.maxSamplesPerSend = remote.queue.maxSamplesPerSend
      options.queue.batchSendDeadline = remote.queue.batchSendDeadline
      options.queue.minBackoff = remote.queue.minBackoff
      options.queue.maxBackoff = remote.queue.maxBackoff
      options.queue.retryOnHTTP429 = remote.queue.retryOnHTTP429
      options.queue.sampleAgeLimit = remote.queue.sampleAgeLimit > .zero ? remote.queue.sampleAgeLimit : nil
      return Remote(options) { client.send($0, limits: $1, on: $2, completion: $3) }
    }
  }

  private static func hostname() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// A remote_write whose URL cannot be asked. The URL itself is not shown: a password may stand in it.
private struct RemoteURLFault: Error, CustomStringConvertible {
  let index: Int
  let reason: String
  var description: String { "remote_write[\(index)].url: \(reason)" }
}

extension RemoteWriteConfiguration {
  /// The name of the file, else one by the entry's place.
  fileprivate func defaultedName(_ index: Int) -> String { name.isEmpty ? "remote-\(index)" : name }
}
