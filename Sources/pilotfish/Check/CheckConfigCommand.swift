import Configuration
import Discovery
import YAML

/// `pilotfish check config`: whether the agent takes a configuration; says it, and ends, as promtool does.
enum CheckConfigCommand {
  static let usage = """
    usage: pilotfish check config [<flags>] FILE…

    Checks prometheus.yml files as the agent reads them: their syntax, every key, the files of scrape_config_files and
    of file_sd_configs, and that named certificates and credentials exist.
    Ends with 0 when all are valid, with 1 when one is not, with 3 when --lint-fatal is given and a lint found something.

      --agent                        For those who come from promtool: the agent's is the only kind of configuration.
      --syntax-only                  Only the files given, without those that they name.
      --lint=LINTS                   Of: all, too-long-scrape-interval, duplicate-rules, none.
      --lint-fatal                   End with 3 when a lint finds something.
      --query.lookback-delta=5m      How long a sample counts for queries, for too-long-scrape-interval.
      --config.ignore-server-blocks  Ignore rule_files, alerting and remote_read, which an agent has no use for.

    """

  static func run(_ arguments: [String]) -> Int32 {
    guard
      let given = CommandArguments(
        arguments, switches: ["--agent", "--syntax-only", "--lint-fatal", "--config.ignore-server-blocks"],
        values: ["--lint", "--query.lookback-delta"])
    else { return ExitStatus.failure }
    guard !given.plain.isEmpty else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    guard let lookback = Duration(prometheus: given.value("--query.lookback-delta") ?? "5m") else {
      let value = given.value("--query.lookback-delta") ?? ""
      Console.complain(
        "pilotfish: error: --query.lookback-delta: \"\(value)\" is not a valid duration; expected one such as 5m")
      return ExitStatus.failure
    }
    var hasErrors = false
    var hasLint = false
    for file in given.plain {
      print("Checking \(file)")
      do {
        let configuration = try check(file, given)
        print(" SUCCESS: \(file) is valid prometheus config file syntax\n")
        for fault in lint(configuration, given, lookback) {
          Console.complain("  FAILED: \(fault)")
          hasLint = true
        }
      } catch {
        Console.complain("  FAILED: \(error)")
        print("")
        hasErrors = true
      }
    }
    if hasErrors { return ExitStatus.failure }
    return hasLint && given.has("--lint-fatal") ? ExitStatus.lint : ExitStatus.success
  }

  private static func check(_ file: String, _ given: CommandArguments) throws -> Configuration {
    var options = Configuration.Options()
    options.ignoresServerBlocks = given.has("--config.ignore-server-blocks")
    options.readsJobFiles = !given.has("--syntax-only")
    let configuration = try AgentConfiguration.load(file, options)
    if let warning = AgentConfiguration.warning(configuration) { print("  WARNING: \(warning)") }
    for job in configuration.scrapeConfigs {
      if options.readsJobFiles {
        for named in job.namedFiles where !named.exists {
          throw CheckFault("error checking \(named.purpose) \"\(named.path)\": no such file")
        }
        for pattern in job.fileDiscoveries.flatMap(\.files) { try checkTargets(pattern, of: job) }
      }
      try check(StaticDiscovery.groups(of: job), of: job)
    }
    return configuration
  }

  private static func checkTargets(_ pattern: String, of job: ScrapeConfiguration) throws {
    let files = Glob.files(pattern)
    if files.isEmpty {
      print("  WARNING: file \"\(pattern)\" for file_sd in scrape job \"\(job.jobName)\" does not exist")
    }
    for file in files {
      do {
        try check(try TargetFile.read(file), of: job)
      } catch {
        throw CheckFault("checking SD file \"\(file)\": \(error)")
      }
    }
  }

  /// Whether targets can be made of the groups.
  private static func check(_ groups: [TargetGroup], of job: ScrapeConfiguration) throws {
    if let fault = JobTargets(of: job, groups: groups).faults.first { throw CheckFault(fault) }
  }

  private static func lint(
    _ configuration: Configuration, _ given: CommandArguments, _ lookback: Duration
  ) -> [String] {
    // The others are for rules, which are never here.
    let lints = (given.value("--lint") ?? "duplicate-rules").split(separator: ",").map(String.init)
    for unknown in lints where !["all", "none", "duplicate-rules", "too-long-scrape-interval"].contains(unknown) {
      print("WARNING: unknown lint option \(unknown)")
    }
    guard lints.contains("all") || lints.contains("too-long-scrape-interval") else { return [] }
    return configuration.scrapeConfigs.filter { $0.scrapeInterval >= lookback }.map { job in
      "too long scrape interval found, data point will be marked as stale - job: \(job.jobName), "
        + "interval: \(job.scrapeInterval.prometheusText)"
    }
  }
}

/// Why a file is not valid.
struct CheckFault: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
