import Configuration
import Flags
import Logging
import Scraping

/// The agent's flags for its guard against floods of series.
enum AgentGuardFlags {
  static let seriesPerJob = Flag(
    "agent.guard.max-series-per-job", 0,
    "Series that a job may have before its new ones are refused, in one scrape configuration. 0 is no limit.")
  static let seriesPerMetric = Flag(
    "agent.guard.max-series-per-metric", 0,
    "Series that a metric name may have in a job before new ones are refused. 0 is no limit.")
  static let file = Flag(
    "agent.guard.file", "",
    "Path to a YAML file with ceilings of series and samples for single jobs and metric names; read again by a reload.")

  static let definitions = [seriesPerJob.definition, seriesPerMetric.definition, file.definition]

  /// Nil when nothing asks for a guard.
  ///
  /// - Throws: when the file cannot be read, or has faults.
  static func configuration(_ flags: FlagValues) throws -> GuardConfiguration? {
    var configuration = GuardConfiguration()
    configuration.anyJob.series = flags[seriesPerJob] > 0 ? flags[seriesPerJob] : nil
    configuration.anyMetric.series = flags[seriesPerMetric] > 0 ? flags[seriesPerMetric] : nil
    if !flags[file].isEmpty { try configuration.load(flags[file]) }
    return flags[file].isEmpty && configuration == GuardConfiguration() ? nil : configuration
  }
}

extension SeriesGuard {
  /// Metric names of a line.
  private static let mostNames = 5

  /// A guard that says in the log what it refuses.
  convenience init(_ configuration: GuardConfiguration, logger: Logger) {
    self.init(configuration) { refusals in
      let names = refusals.metrics.prefix(Self.mostNames).map { "\($0.name) (\($0.series))" }
      logger.warning(
        "New series are refused: a ceiling of the guard is reached; drop them by metric_relabel_configs, or raise it",
        metadata: [
          "scrape_job": "\(refusals.job)", "ceilings": "\(refusals.ceilings.joined(separator: ", "))",
          "refused": "\(refusals.series)", "kept_out": "\(refusals.present)",
          "metrics": "\(names.joined(separator: ", "))",
        ])
    }
  }
}
