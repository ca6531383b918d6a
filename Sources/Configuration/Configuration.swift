import YAML

/// A prometheus.yml, read, checked and with its defaults filled in
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/).
public struct Configuration: Sendable {
  public let global: GlobalConfiguration
  public let scrapeConfigs: [ScrapeConfiguration]
  public let remoteWrites: [RemoteWriteConfiguration]

  private static let keys = BlockKeys(
    served: ["global", "scrape_configs", "remote_write"],
    known: ["runtime", "scrape_config_files", "rule_files", "alerting", "remote_read", "storage", "tracing", "otlp"])

  /// Reads a configuration.
  ///
  /// - Parameters:
  ///   - file: how the errors name the text; paths in it count from this file's folder.
  ///   - environment: gives the variables that `external_labels` may name.
  /// - Throws: with all faults of the text.
  public static func parse(
    _ text: [UInt8], file: String, environment: (String) -> String? = { _ in nil }
  ) throws(ConfigurationError) -> Configuration {
    let root: YAMLNode
    do {
      root = try YAMLParser.parse(text)
    } catch {
      throw ConfigurationError(file, [error])
    }
    let problems = Problems()
    let directory = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? ""
    let configuration = Configuration(BlockReader(root, "", keys, problems), environment, directory)
    guard problems.list.isEmpty else { throw ConfigurationError(file, problems.list) }
    return configuration
  }

  /// Reads the configuration of a file.
  public static func load(
    _ path: String, environment: (String) -> String? = { _ in nil }
  ) throws(ConfigurationError) -> Configuration {
    try parse(try read(path), file: path, environment: environment)
  }

  private init(_ top: BlockReader, _ environment: (String) -> String?, _ directory: String) {
    global = GlobalConfiguration(top, environment: environment)
    scrapeConfigs = ScrapeConfiguration.list(top, global, directory)
    remoteWrites = RemoteWriteConfiguration.list(top, global)
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
