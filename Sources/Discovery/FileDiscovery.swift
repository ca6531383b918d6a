// `file_sd_configs`: target groups in files of JSON or YAML
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config).

import Configuration
import Exposition
import Glibc
import Kernel
import Logging
import YAML

/// Reads files of target groups again when they change, and at the refresh interval.
///
/// The kernel tells when something in their folders changes (inotify). Where it cannot, because a folder is not there
/// yet, the files are looked at every second.
struct FileDiscovery: Discovery {
  private static let pollInterval = Duration.seconds(1)
  /// In which further changes may come, of many files that are written one after the other.
  private static let settling = Duration.milliseconds(20)

  private static let scans = MetricFamily(
    "prometheus_sd_file_scan_duration_seconds", .summary, "The duration of the File-SD scan in seconds.")
  private static let times = MetricFamily.gauge(
    "prometheus_sd_file_mtime_seconds",
    "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", ["filename"])
  private static let readErrors = MetricFamily.counter(
    "prometheus_sd_file_read_errors_total", "The number of File-SD read errors.")
  private static let watchErrors = MetricFamily.counter(
    "prometheus_sd_file_watcher_errors_total", "The number of File-SD errors caused by filesystem watch failures.")

  private let configuration: FileDiscoveryConfiguration
  private let environment: DiscoveryEnvironment

  init(_ configuration: FileDiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    for family in [Self.readErrors, Self.watchErrors] { environment.metrics.count(family, by: 0) }
  }

  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    let metrics = environment.metrics
    var files = TargetFiles(configuration.files, log: environment.log)
    let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let watch = FolderWatch { changed.yield() }
    defer { metrics.show(Self.times, by: ObjectIdentifier(watch), [:]) }
    let clock = ContinuousClock()
    var due = clock.now
    var isFirst = true
    var wasWatching = true
    var wakeUps = changes.makeAsyncIterator()
    repeat {
      // Watched before they are read: what changes meanwhile is seen.
      let folders = files.folders
      let isWatching = watch.watch(folders)
      if wasWatching, !isWatching { metrics.count(Self.watchErrors) }
      wasWatching = isWatching
      let start = clock.now
      let isDue = start >= due
      if isDue { due = start + configuration.refreshInterval }
      let groups = files.changes(readingAll: isDue)
      metrics.observe(Self.scans, [], clock.now - start)
      metrics.count(Self.readErrors, by: UInt64(files.errors))
      metrics.show(Self.times, by: ObjectIdentifier(watch), files.times)
      if isFirst || !groups.isEmpty { publish(groups) }
      isFirst = false
      if files.folders != folders { changed.yield() }
      let pause = isWatching ? due - clock.now : min(Self.pollInterval, due - clock.now)
      let timer = Task {
        if (try? await Task.sleep(for: pause)) != nil { changed.yield() }
      }
      _ = await wakeUps.next()
      timer.cancel()
    } while (try? await Task.sleep(for: Self.settling)) != nil
  }
}

/// The files that some patterns name, and the groups that were read of each.
struct TargetFiles {
  private struct File {
    var stamp: FileStamp?
    /// When it was written, seconds since the epoch.
    var time = 0.0
    /// The last that could be read.
    var groups: [TargetGroup] = []
    /// Why the file cannot be read now; empty when it can.
    var fault = ""
  }

  private let patterns: [String]
  private let log: Logger
  /// By the bytes of the path.
  private var files: [[UInt8]: File] = [:]
  /// How many files could not be read the last time.
  private(set) var errors = 0

  init(_ patterns: [String], log: Logger) {
    self.patterns = patterns
    self.log = log
  }

  /// Those that are there.
  var paths: Set<String> { Set(files.keys.map { String(decoding: $0, as: UTF8.self) }) }

  /// When those that could be read were written, seconds since the epoch.
  var times: [[String]: Double] {
    files.filter { $0.value.time > 0 }.reduce(into: [:]) { times, file in
      times[[String(decoding: file.key, as: UTF8.self)]] = file.value.time
    }
  }

  /// Where changes are to be looked for: the folders that the patterns name, and those in which the files really are.
  var folders: Set<String> {
    func folder(_ path: String) -> String {
      guard let slash = path.lastIndex(of: "/") else { return "." }
      return slash == path.startIndex ? "/" : String(path[..<slash])
    }
    let targets = paths.compactMap { path -> String? in
      guard let real = realpath(path, nil) else { return nil }
      defer { free(real) }
      return folder(String(cString: real))
    }
    return Set(patterns.map(folder) + targets)
  }

  /// The groups that are new or have changed since the last call; those that are gone without targets.
  ///
  /// A file that cannot be read keeps the groups that it had; why is logged once.
  ///
  /// - Parameter readingAll: reads files that seem unchanged, too.
  mutating func changes(readingAll: Bool = false) -> [TargetGroup] {
    var changes: [TargetGroup] = []
    var present: Set<[UInt8]> = []
    errors = 0
    for path in patterns.flatMap(Glob.files) {
      let key = Array(path.utf8)
      guard present.insert(key).inserted else { continue }
      let stamp = FileStamp(path)
      var file = files[key] ?? File()
      if !readingAll, files[key] != nil, file.stamp == stamp { continue }
      file.stamp = stamp
      do throws(TargetListFault) {
        let groups = try TargetFile.read(path)
        changes += groups.enumerated().filter { index, group in
          index >= file.groups.count || group != file.groups[index]
        }.map(\.element)
        changes += file.groups.dropFirst(groups.count).map(\.withoutTargets)
        file.groups = groups
        file.fault = ""
        file.time = stamp?.modified ?? 0
      } catch {
        errors += 1
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
}
