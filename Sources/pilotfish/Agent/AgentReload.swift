import Configuration
import Exposition
import Glibc
import Logging
import Synchronization

/// Loads the agent's configuration anew, by SIGHUP and by `/-/reload`; a bad one changes nothing.
actor AgentReload: MetricSource {
  private static let success = MetricFamily.gauge(
    "prometheus_config_last_reload_successful", "Whether the last configuration reload attempt was successful.")
  private static let time = MetricFamily.gauge(
    "prometheus_config_last_reload_success_timestamp_seconds", "Timestamp of the last successful configuration reload.")

  /// What became of the last attempt, and what is in force.
  struct Outcome {
    var isSuccess = true
    /// Seconds since the epoch.
    var lastSuccess = AgentReload.now()
    /// The configuration as YAML, with its defaults and without its secrets.
    var effective: String
  }

  private let source: ConfigurationText
  private let options: Configuration.Options
  private let logger: Logger
  private let use: @Sendable (_ new: Configuration, _ old: Configuration) throws -> Void
  private var configuration: Configuration
  private let lastOutcome: Mutex<Outcome>

  /// - Parameters:
  ///   - configuration: the one of the start.
  ///   - use: puts a configuration in the place of another; when it throws, it has changed nothing.
  init(
    _ source: ConfigurationText, _ options: Configuration.Options, _ configuration: Configuration, logger: Logger,
    use: @escaping @Sendable (_ new: Configuration, _ old: Configuration) throws -> Void
  ) {
    self.source = source
    self.options = options
    lastOutcome = Mutex(Outcome(effective: configuration.effective))
    self.configuration = configuration
    self.logger = logger
    self.use = use
  }

  /// - Throws: why the file cannot be used; the configuration is still the old one then.
  func reload() throws {
    logger.info("Loading configuration file", metadata: ["filename": "\(source.name)"])
    if case .environment = source {
      logger.info("\(source.name) is as it was at the start; only files that it names are read anew")
    }
    do {
      let new = try source.load(options)
      try use(new, configuration)
      configuration = new
      lastOutcome.withLock { $0 = Outcome(effective: new.effective) }
      if let warning = AgentConfiguration.warning(new) { logger.warning("\(warning)") }
      logger.info("Completed loading of configuration file", metadata: ["filename": "\(source.name)"])
    } catch {
      lastOutcome.withLock { $0.isSuccess = false }
      logger.error("Error reloading config, the old one stays", metadata: ["err": "\(error)"])
      throw error
    }
  }

  nonisolated var outcome: Outcome { lastOutcome.withLock { $0 } }

  nonisolated func write(to writer: MetricWriter) {
    let outcome = outcome
    writer.sample(Self.success, outcome.isSuccess ? 1.0 : 0)
    writer.sample(Self.time, outcome.lastSuccess)
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
