import AWS
import Configuration
import Discovery
import Exposition
import Flags
import Glibc
import HTTPClient
import Kernel
import Logging
import NIOPosix
import RemoteWrite
import Scraping
import Web

/// `pilotfish agent`: the exporter, which also scrapes the targets of a prometheus.yml and remote-writes them.
enum AgentCommand {
  private static let usage = "usage: pilotfish agent --config.file=PROMETHEUS.YML [<flags>]"
  private static let userAgent = "pilotfish/\(Version.number)"

  private static let configFile = Flag(
    "config.file", "prometheus.yml",
    "Prometheus configuration file path. Without it, $\(ConfigurationText.variable) may hold the configuration itself.")
  private static let enableLifecycle = Flag(
    "web.enable-lifecycle", false, "Enable reload via HTTP request.")

  private static let enableFederation = Flag(
    "web.enable-federation", false,
    "Show the last samples of all scrapes under /federate, as Prometheus does; keeps 8 bytes more a series.")
  private static let ignoreServerBlocks = Flag(
    "config.ignore-server-blocks", false,
    "Ignore rule_files, alerting and remote_read in the configuration file, which an agent has no use for.")

  private static let ownFlags =
    [configFile.definition, ignoreServerBlocks.definition, enableLifecycle.definition, enableFederation.definition]
    + AgentStorageFlags.definitions + AgentGuardFlags.definitions + [CostPages.pricesFile.definition]

  static func run(_ arguments: [String]) async throws {
    ProcessMemory.mapLargeBlocks()
    let flags = try CommonFlags.parse(arguments, usage: usage, program: "pilotfish", more: ownFlags)
    var options = Configuration.Options()
    options.ignoresServerBlocks = flags[ignoreServerBlocks]
    let source = ConfigurationText(flags, configFile)
    let configuration = try source.load(options)
    let logger = CommonFlags.makeLogger(flags)
    if let warning = AgentConfiguration.warning(configuration) { logger.warning("\(warning)") }
    let warden = try AgentGuardFlags.configuration(flags).map { SeriesGuard($0, logger: logger) }
    let prices = try CostPages.prices(flags)
    let exporter = try Exporter(flags, logger: logger)

    let group = MultiThreadedEventLoopGroup(numberOfThreads: min(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    let client = HTTPClient(eventLoopGroup: group)
    let aws = AWSAccounts(AWSEnvironment(client: client, log: logger))
    let externalLabels = AgentConfiguration.externalLabels(configuration)
    let storage = try RemoteStorage(
      AgentConfiguration.remotes(configuration, client, aws, userAgent: userAgent), externalLabels: externalLabels,
      log: AgentStorageFlags.logOptions(flags), memoryLimit: AgentStorageFlags.memoryLimit(flags), group: group,
      logger: logger)
    let sources = MetricSources()
    let page = exporter.page(sources: [sources])
    let containers = try ContainerPage(flags, client: { client }, logger: logger)
    var ownPages: [String: any CollectedPage] = [:]
    if let containers { ownPages[ContainerPage.path] = containers }
    ownPages[exporter.path] = page
    let own = OwnPages(ownPages)
    let scraping = ScrapeManager(
      sink: storage, fetcher: OwnScrapeFetcher(own, others: HTTPScrapeFetcher(client: client)), group: group,
      userAgent: userAgent, hostname: hostname(), externalLabels: externalLabels,
      keepsValues: flags[enableFederation], warden: warden)
    let environment = DiscoveryEnvironment(client: client, aws: aws, userAgent: userAgent, log: logger)
    let discovery = DiscoveryManager(environment: environment) { scraping.apply($0) }
    let reload = AgentReload(source, options, configuration, logger: logger) { new, old in
      let remotes = try AgentConfiguration.remotes(new, client, aws, userAgent: userAgent)
      if let ceilings = try AgentGuardFlags.configuration(flags) { warden?.apply(ceilings) }
      if new.remoteWrites != old.remoteWrites { storage.apply(remotes) }
      if new.global.externalLabels != old.global.externalLabels {
        storage.setExternalLabels(AgentConfiguration.externalLabels(new))
        scraping.forgetLines()
      }
      discovery.apply(new.scrapeConfigs)
    }

    let pages = AgentPages(scraping: scraping, reload: flags[enableLifecycle] ? reload : nil)
    sources.add([scraping, discovery, storage, reload, AWSMetrics(aws)])
    if let warden { sources.add([warden]) }
    let targetPages = TargetPages(scraping: scraping, discovery: discovery, hostname: hostname())
    let status = StatusPages(
      reload: reload, flags: (CommonFlags.all + ownFlags).map { ($0.name, flags.text($0)) },
      memoryLimit: AgentStorageFlags.memoryLimit(flags),
      retention: flags.text(AgentStorageFlags.retentionMaximum.definition),
      hostname: hostname())
    var routes = exporter.routes(
      page, containers: containers,
      links: [
        ("/targets", "Targets"), ("/service-discovery", "Service discovery"), ("/cost", "Cost"),
        ("/config", "Configuration"), ("/-/ready", "Ready"),
      ])
    pages.add(to: &routes)
    targetPages.add(to: &routes)
    status.add(to: &routes)
    CostPages(scraping, storage, warden, prices).add(to: &routes)
    routes["/federate"] = flags[enableFederation] ? FederatePage.handler(scraping, storage) : FederatePage.refusal
    let server = try await exporter.listen(routes: routes, group: group)
    if exporter.isOpen { own.listen(on: server.addresses) }
    try storage.start { scraping.metadata() }
    discovery.apply(configuration.scrapeConfigs)
    logger.info(
      "Agent is scraping",
      metadata: [
        "jobs": "\(configuration.scrapeConfigs.count)", "remotes": "\(configuration.remoteWrites.count)",
      ])
    pages.isReady.store(true, ordering: .relaxed)

    await Service.run(logger: logger) { try? await reload.reload() }
    // What was scraped goes out, within a bound; the port stays open meanwhile, for those who look.
    pages.isReady.store(false, ordering: .relaxed)
    discovery.stop()
    await scraping.stop(within: .seconds(10))
    await storage.stop(within: flags[AgentStorageFlags.flushDeadline])
    await server.stop(within: .seconds(5))
    await client.shutdown()
    try? await group.shutdownGracefully()
  }

  static func hostname() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
