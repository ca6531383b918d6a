// `scrape_config_files`: further files of jobs
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config_files).

import YAML

enum ScrapeConfigurationFiles {
  private static let keys = BlockKeys(served: ["scrape_configs"])

  /// The patterns of the main file; relative ones count from its folder.
  static func patterns(_ top: BlockReader, _ directory: String) -> [String] {
    top.strings("scrape_config_files") { pattern in
      // A `*` only in the last part.
      let folders = pattern.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      return folders.contains { $0.contains("*") } ? "invalid scrape config file path \"\(shown(pattern))\"" : nil
    }.map { $0.path(from: directory) }
  }

  /// The jobs of all files, each of which holds nothing but `scrape_configs`. Their relative paths count from the
  /// folder of the file they stand in.
  ///
  /// - Parameter names: the jobs that there are already.
  /// - Throws: for the first file with faults, with all of them.
  static func load(
    _ patterns: [String], _ global: GlobalConfiguration, _ names: inout JobNames
  ) throws(ConfigurationError) -> [ScrapeConfiguration] {
    var jobs: [ScrapeConfiguration] = []
    for pattern in patterns {
      for path in Glob.files(pattern) {
        let source = ConfigurationSource(path)
        jobs += try BlockReader.read(try Configuration.read(path), file: path, keys) { top in
          ScrapeConfiguration.list(top, global, source.directory, &names, in: path)
        }
      }
    }
    return jobs
  }
}

/// The jobs that were read so far, by the bytes of their names.
struct JobNames {
  private var files: [[UInt8]: String] = [:]

  /// The file that has a job of that name already; nil when the name is new.
  mutating func add(_ name: String, in file: String) -> String? {
    if let other = files[Array(name.utf8)] { return other }
    files[Array(name.utf8)] = file
    return nil
  }
}

/// A file of YAML that is read with its places.
struct ConfigurationSource {
  let file: String

  init(_ file: String) { self.file = file }

  /// The folder of the file; empty for the current one.
  var directory: String {
    guard let slash = file.lastIndex(of: "/") else { return "" }
    return slash == file.startIndex ? "/" : String(file[..<slash])
  }
}
