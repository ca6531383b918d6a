// `file_sd_configs`: target groups in files of JSON or YAML
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config).

import Configuration
import Glibc
import Kernel
import Logging

/// Reads files of target groups again when they change. A change is seen by stat(2), within a second.
struct FileDiscovery: Discovery {
  private static let pollInterval = Duration.seconds(1)

  private let configuration: FileDiscoveryConfiguration
  private let log: Logger

  init(_ configuration: FileDiscoveryConfiguration, log: Logger) {
    self.configuration = configuration
    self.log = log
  }

  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    var files = TargetFiles(configuration.files, log: log)
    publish(files.changes())
    let clock = ContinuousClock()
    var lastRefresh = clock.now
    while (try? await Task.sleep(for: Self.pollInterval, tolerance: .milliseconds(100))) != nil {
      let mustRead = clock.now - lastRefresh >= configuration.refreshInterval
      if mustRead { lastRefresh = clock.now }
      let changes = files.changes(readingAll: mustRead)
      if !changes.isEmpty { publish(changes) }
    }
  }
}

/// The files that some patterns name, and the groups that were read of each.
struct TargetFiles {
  private struct File {
    var stamp: FileStamp?
    /// The last that could be read.
    var groups: [TargetGroup] = []
    /// Why the file cannot be read now; empty when it can.
    var fault = ""
  }

  private let patterns: [String]
  private let log: Logger
  /// By the bytes of the path.
  private var files: [[UInt8]: File] = [:]

  init(_ patterns: [String], log: Logger) {
    self.patterns = patterns
    self.log = log
  }

  /// The groups that are new or have changed since the last call; those that are gone without targets.
  ///
  /// A file that cannot be read keeps the groups that it had; why is logged once.
  ///
  /// - Parameter readingAll: reads files that seem unchanged, too.
  mutating func changes(readingAll: Bool = false) -> [TargetGroup] {
    var changes: [TargetGroup] = []
    var present: Set<[UInt8]> = []
    for path in patterns.flatMap(paths) {
      let key = Array(path.utf8)
      guard present.insert(key).inserted else { continue }
      let stamp = FileStamp(path)
      var file = files[key] ?? File()
      if !readingAll, files[key] != nil, file.stamp == stamp { continue }
      file.stamp = stamp
      do throws(TargetFileFault) {
        let groups = try TargetFile.read(path)
        changes += groups.enumerated().filter { index, group in
          index >= file.groups.count || group != file.groups[index]
        }.map(\.element)
        changes += file.groups.dropFirst(groups.count).map(\.withoutTargets)
        file.groups = groups
        file.fault = ""
      } catch {
        if file.fault != error.reason {
          log.error(
            "File of targets cannot be used, its last good targets stay",
            metadata: ["path": "\(path)", "error": "\(error.reason)"])
        }
        file.fault = error.reason
      }
      files[key] = file
    }
    for (key, file) in files where !present.contains(key) {
      changes += file.groups.map(\.withoutTargets)
      files[key] = nil
    }
    return changes
  }

  /// The files of a pattern, by name (glob(3)).
  private func paths(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    // Names that begin with a dot, too, as Go has it.
    guard glob(pattern, GLOB_PERIOD, nil, &found) == 0, let names = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { names[$0].map { String(cString: $0) } }
  }
}
