import YAML

/// A prometheus.yml, read, checked and with its defaults filled in
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/).
public struct Configuration: Sendable {
  /// How a configuration is read.
  public struct Options: Sendable {
    /// Goes on without blocks that only a server has a use for; otherwise they are faults.
    public var ignoresServerBlocks = false
    /// Reads the files of `scrape_config_files`, too.
    public var readsJobFiles = true

    public init() {}
  }

  public let global: GlobalConfiguration
  /// Those of `scrape_config_files` stand behind those of the main file.
  public let scrapeConfigs: [ScrapeConfiguration]
  public let remoteWrites: [RemoteWriteConfiguration]
  /// Blocks that only a server has a use for, which were ignored.
  public let ignoredBlocks: [String]
  /// The main file as YAML, with its defaults filled in and its secrets masked.
  public let effective: String

  private static let keys = BlockKeys(
    served: ["global", "scrape_config_files", "scrape_configs", "remote_write"] + UnusedBlocks.keys
      + UnusedBlocks.serverKeys,
    known: ["tracing"])

  /// Reads a configuration.
  ///
  /// - Parameters:
  ///   - file: how the errors name the text; paths in it count from this file's folder.
  ///   - environment: gives the variables that `external_labels` may name.
  /// - Throws: with all faults of the text, or of the first of its files that has faults.
  public static func parse(
    _ text: [UInt8], file: String, options: Options = Options(), environment: (String) -> String? = { _ in nil }
  ) throws(ConfigurationError) -> Configuration {
    let source = ConfigurationSource(file)
    var names = JobNames()
    var patterns: [String] = []
    let main = try BlockReader.read(text, file: file, keys) { top in
      patterns = ScrapeConfigurationFiles.patterns(top, source.directory)
      return Configuration(top, source, options, &names, environment)
    }
    guard options.readsJobFiles, !patterns.isEmpty else { return main }
    return Configuration(main, try ScrapeConfigurationFiles.load(patterns, main.global, &names))
  }

  /// Reads the configuration of a file.
  public static func load(
    _ path: String, options: Options = Options(), environment: (String) -> String? = { _ in nil }
  ) throws(ConfigurationError) -> Configuration {
    try parse(try read(path), file: path, options: options, environment: environment)
  }

  private init(
    _ top: BlockReader, _ source: ConfigurationSource, _ options: Options, _ names: inout JobNames,
    _ environment: (String) -> String?
  ) {
    global = GlobalConfiguration(top, environment: environment)
    scrapeConfigs = ScrapeConfiguration.list(top, global, source.directory, &names, in: source.file)
    remoteWrites = RemoteWriteConfiguration.list(top, global, source.directory)
    UnusedBlocks.check(top, global)
    if !options.ignoresServerBlocks { UnusedBlocks.refuseServerBlocks(top) }
    ignoredBlocks = options.ignoresServerBlocks ? UnusedBlocks.serverKeys.filter(top.has) : []
    // Of a text with faults, the tree need not be what was read of it.
    effective =
      top.problems.list.isEmpty
      ? EffectiveConfiguration(top, source.directory).text(global, scrapeConfigs, remoteWrites) : ""
  }

  /// A configuration with further jobs.
  private init(_ main: Configuration, _ jobs: [ScrapeConfiguration]) {
    global = main.global
    scrapeConfigs = main.scrapeConfigs + jobs
    remoteWrites = main.remoteWrites
    ignoredBlocks = main.ignoredBlocks
    effective = main.effective
  }

  /// The bytes of a file, at most one more than the YAML parser takes.
  static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
    do throws(FileFault) {
      return try WholeFile.read(path, limit: YAMLParser.sizeLimit)
    } catch {
      throw ConfigurationError(
        path, [ConfigurationProblem(.init(line: 1, column: 1), "", "cannot be read: \(error.reason)")])
    }
  }
}
