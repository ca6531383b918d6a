import Configuration
import Flags
import Glibc
import HostMetrics
import Kernel
import Logging
import Logs

/// The flags that every command has, with node_exporter's names and defaults.
enum CommonFlags {
  static let telemetryPath = Flag("web.telemetry-path", "/metrics", "Path under which to expose metrics.")
  static let disableExporterMetrics = Flag(
    "web.disable-exporter-metrics", false,
    "Exclude metrics about the exporter itself (promhttp_*, process_*).")
  static let maxRequests = Flag(
    "web.max-requests", 40, "Maximum number of parallel scrape requests. Use 0 to disable.")
  /// Go's setting: taken, so that node_exporter's command lines work, and of no effect.
  static let goProcessors = Flag(
    "runtime.gomaxprocs", 1, "The target number of CPUs Go will run on (GOMAXPROCS)", environment: "GOMAXPROCS")
  static let listenAddress = Flag(
    "web.listen-address", [":9100"],
    "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. "
      + "Examples: `:9100` or `[::1]:9100` for http, `vsock://:9100` for vsock")
  static let systemdSocket = Flag(
    "web.systemd-socket", false,
    "Use systemd socket activation listeners instead of port listeners (Linux only).")
  static let webConfigFile = Flag(
    "web.config.file", "",
    "Path to configuration file that can enable TLS or authentication. "
      + "See: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md")
  static let logLevel = Flag(
    "log.level", LogLevel(level: .info, text: "info"),
    "Only log messages with the given severity or above. One of: [debug, info, warn, error]")
  static let logFormat = Flag(
    "log.format", LogFormat(format: .logfmt), "Output format of log messages. One of: [logfmt, json]")
  static let exporterConfiguration = Flag(
    "config.exporter", "", "Path to a YAML file that says what these flags say; flags given here win.")
  static let help = Flag("help", false, "Show context-sensitive help.")
  /// kingpin's other ways to show what flags there are: each prints and ends.
  private static let listings: [(flag: Flag<Bool>, text: @Sendable (FlagParser, _ usage: String) -> String)] = [
    (Flag("help-long", false, isHidden: true), { parser, usage in parser.help(usage: usage) }),
    (Flag("help-man", false, isHidden: true), { parser, _ in parser.manualPage(program: "pilotfish") }),
    (Flag("completion-bash", false, isHidden: true), { parser, _ in parser.completions }),
    (Flag("completion-script-bash", false, isHidden: true), { _, _ in FlagParser.bashScript(program: "pilotfish") }),
    (Flag("completion-script-zsh", false, isHidden: true), { _, _ in FlagParser.zshScript(program: "pilotfish") }),
  ]
  static let version = Flag("version", false, "Show application version.")

  static let all =
    [help.definition] + CollectorRegistry.flags + Host.flags + ContainerPage.flags
    + [
      telemetryPath.definition, disableExporterMetrics.definition, maxRequests.definition, goProcessors.definition,
      listenAddress.definition,
      systemdSocket.definition, webConfigFile.definition,
      logLevel.definition, logFormat.definition, exporterConfiguration.definition, version.definition,
    ] + listings.map(\.flag.definition)

  /// Parses a command's line. `--help` and `--version` print and end the process.
  static func parse(
    _ arguments: [String], usage: String, program: String, more: [FlagDefinition] = []
  ) throws -> FlagValues {
    let parser = FlagParser(all + more)
    // What a shell hands over behind this flag is half a line.
    let isCompletion = arguments.first == "--completion-bash"
    let values = try parser.parse(
      isCompletion ? [arguments[0]] : arguments, environment: { getenv($0).map { String(cString: $0) } },
      readFile: lines(of:))
    for listing in listings where values[listing.flag] { printAndExit(listing.text(parser, usage)) }
    if values[help] { printAndExit(parser.help(usage: usage)) }
    if values[version] { printAndExit(Version.text(program: program)) }
    guard !values[exporterConfiguration].isEmpty else { return values }
    // What names the file or ends the process has no place in it.
    let onlyHere =
      ([help, version] + listings.map(\.flag)).map(\.definition.name) + [exporterConfiguration.definition.name]
    let definitions = (all + more).filter { !onlyHere.contains($0.name) }
    return values.completed(by: try FlagFile.load(values[exporterConfiguration], definitions))
  }

  private static func printAndExit(_ text: String) -> Never {
    print(text, terminator: "")
    exit(0)
  }

  /// The arguments in a file: one a line, without empty ones and comments.
  private static func lines(of path: String) throws(FlagError) -> [String] {
    guard let file = fopen(path, "re") else { throw .unreadableFile(path, KernelError.reason(errno)) }
    defer { fclose(file) }
    var lines: [String] = []
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) >= 0, let text = line {
      let trimmed = String(cString: text).split(separator: "\n").first.map(String.init) ?? ""
      if !trimmed.isEmpty, !trimmed.hasPrefix("#") { lines.append(trimmed) }
      guard lines.count < 10_000 else { throw .unreadableFile(path, "it has more than 10000 lines") }
    }
    return lines
  }

  /// A logger as the flags say, on standard error.
  static func makeLogger(_ flags: FlagValues) -> Logger {
    let (format, level) = (flags[logFormat].format, flags[logLevel].level)
    // systemd sets this when standard error is the journal; then it takes a priority from each line.
    let withPriority = getenv("JOURNAL_STREAM") != nil
    LoggingSystem.bootstrap { _ in LineLogHandler(format: format, level: level, withPriority: withPriority) }
    return Logger(label: "pilotfish")
  }
}

/// A level as slog names it.
struct LogLevel: FlagValue {
  let level: Logger.Level
  let text: String

  private static let names: [(String, Logger.Level)] = [
    ("debug", .debug), ("info", .info), ("warn", .warning), ("error", .error),
  ]

  static func parse(_ text: String) throws(FlagSyntaxError) -> LogLevel {
    guard let (name, level) = names.first(where: { $0.0 == text }) else {
      throw FlagSyntaxError("unrecognized log level \(text)")
    }
    return LogLevel(level: level, text: name)
  }

  var help: String? { text }
}

struct LogFormat: FlagValue {
  let format: LineLogHandler.Format

  static func parse(_ text: String) throws(FlagSyntaxError) -> LogFormat {
    guard let format = LineLogHandler.Format(rawValue: text) else {
      throw FlagSyntaxError("unrecognized log format \(text)")
    }
    return LogFormat(format: format)
  }

  var help: String? { format.rawValue }
}
