import Exposition
import Flags
import Glibc
import HTTPClient
import HostMetrics
import Kernel
import Logging
import NIOCore
import NIOPosix
import Web

/// `pilotfish`: the exporter.
enum ExporterCommand {
  private static let usage = "usage: pilotfish [<flags>]"

  static func run(_ arguments: [String]) async throws {
    let flags = try CommonFlags.parse(arguments, usage: usage, program: "pilotfish")
    let logger = CommonFlags.makeLogger(flags)
    let exporter = try Exporter(flags, logger: logger)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let containers = try ContainerPage(flags, client: { HTTPClient(eventLoopGroup: group) }, logger: logger)
    let server = try await exporter.listen(
      routes: exporter.routes(exporter.page(), containers: containers), group: group)
    await Service.run(logger: logger) {
      logger.warning("SIGHUP ignored: the exporter reads its configuration at start only")
    }
    await server.stop(within: .seconds(5))
    try? await group.shutdownGracefully()
  }
}

/// The part that both commands share: the collectors, and the port that shows them.
struct Exporter {
  let flags: FlagValues
  let logger: Logger
  private let addresses: [ListenAddress]
  private let access: WebAccess?
  private let runner: CollectorRunner

  /// - Throws: when a flag's value cannot be worked with.
  init(_ flags: FlagValues, logger: Logger) throws {
    self.flags = flags
    self.logger = logger
    logger.info("Starting pilotfish", metadata: ["version": "\(Version.summary)"])
    if geteuid() == 0 {
      logger.warning("pilotfish is running as root; it is made to run as an unprivileged user")
    }
    addresses = try Self.addresses(flags, logger)
    let webConfigFile = flags[CommonFlags.webConfigFile]
    access = webConfigFile.isEmpty ? nil : try WebAccess(file: webConfigFile, logger: logger)
    runner = try CollectorRegistry.makeRunner(Host(flags: flags, logger: logger))
    logger.info("Enabled collectors", metadata: ["collectors": "\(runner.names.joined(separator: ","))"])
  }

  private static func addresses(_ flags: FlagValues, _ logger: Logger) throws -> [ListenAddress] {
    guard flags[CommonFlags.systemdSocket] else {
      return try flags[CommonFlags.listenAddress].map { text throws(WebServerError) in try ListenAddress(text) }
    }
    logger.info("Listening on systemd activated listeners instead of port listeners.")
    let sockets = ServiceManager.takeListeningSockets()
    guard !sockets.isEmpty else { throw NoSockets() }
    return sockets.map { ListenAddress(descriptor: $0) }
  }

  /// What `/metrics` shows.
  ///
  /// - Parameter sources: what else than collectors is to be shown there.
  func page(sources: [any MetricSource] = []) -> MetricsPage {
    MetricsPage(
      runner: runner, sources: sources, showsExporterMetrics: !flags[CommonFlags.disableExporterMetrics],
      logger: logger)
  }

  /// `/`, `/metrics`, `/metrics/cadvisor` and `/-/healthy`.
  ///
  /// - Parameter links: what else `/` names.
  func routes(
    _ page: MetricsPage, containers: ContainerPage?, links: [(path: String, text: String)] = []
  ) -> WebRoutes {
    let path = flags[CommonFlags.telemetryPath]
    var routes = WebRoutes()
    let landing = LandingPage.html(
      title: "Node Exporter", description: "pilotfish", version: Version.summary,
      links: [(path, "Metrics")] + (containers == nil ? [] : [(ContainerPage.path, "Containers")]) + links)
    routes["/"] = { _, respond in respond(.html(landing)) }
    let maximum = flags[CommonFlags.maxRequests]
    routes[ContainerPage.path] = containers?.handler(maximum: maximum) ?? ContainerPage.absence
    routes["/-/healthy"] = { _, respond in respond(.text(200, "pilotfish is Healthy.")) }
    routes[path] = page.handler(maximum: maximum)
    return routes
  }

  /// Whether whoever asks for `/metrics` gets it, by plain HTTP.
  var isOpen: Bool { access == nil }
  var path: String { flags[CommonFlags.telemetryPath] }

  func listen(routes: WebRoutes, group: any EventLoopGroup) async throws -> WebServer {
    let server = try await WebServer.start(addresses, routes: routes, access: access, group: group)
    let state = access?.usesTLS == true ? "enabled" : "disabled"
    for address in server.addresses {
      logger.info("Listening on", metadata: ["address": "\(address)"])
      logger.info("TLS is \(state).", metadata: ["http2": "false", "address": "\(address)"])
    }
    return server
  }
}

/// `--web.systemd-socket` without a socket unit.
private struct NoSockets: Error, CustomStringConvertible {
  let description = "no socket activation file descriptors found"
}

/// The life of a service: ready, alive, told to stop.
enum Service {
  /// Tells systemd that the service is ready, then returns when the process is told to end.
  ///
  /// - Parameter reload: what SIGHUP asks for.
  static func run(logger: Logger, reload: () async -> Void) async {
    let watchdog = ServiceManager.watchdogInterval.map { interval in
      Task {
        while !Task.isCancelled {
          ServiceManager.keepAlive()
          try? await Task.sleep(for: interval / 3)
        }
      }
    }
    ServiceManager.ready()
    ProgramText.release()
    await TerminationSignals.wait(reload: reload)
    watchdog?.cancel()
    logger.info("Stopping")
    ServiceManager.stopping()
  }
}
