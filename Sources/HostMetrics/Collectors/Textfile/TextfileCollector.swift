// Reads the *.prom files of the folders that the flags name: metrics in the text format 0.0.4, written by cron jobs
// and the like.

import Bytes
import Exposition
import Flags
import Glibc
import Kernel
import Logging

final class TextfileCollector: Collector {
  static let name = "textfile"

  private static let directory = Flag(
    "collector.textfile.directory", [String](),
    "Directory to read text files with metrics from, supports glob matching. (repeatable)")
  private static let partial = Flag(
    "collector.textfile.partial", false,
    "Serve what can be read of a file that has errors, and name the files in pilotfish_textfile_errors.")
  private static let maximumAge = Flag(
    "collector.textfile.max-age", [String](),
    "Leave out files that were not modified for so long: a duration such as 24h for all directories, or "
      + "DIRECTORY=DURATION for one. (repeatable)")
  static let flags = [directory.definition, partial.definition, maximumAge.definition]

  private static let modified = MetricFamily.gauge(
    "node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.", ["file"])
  private static let scrapeError = MetricFamily.gauge(
    "node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise")

  private static let errors = MetricFamily.gauge(
    "pilotfish_textfile_errors", "Lines, families or files that are not served, by the reason.", ["file", "reason"])

  /// What the flags say of one directory.
  private struct Folder {
    let pattern: String
    /// Seconds.
    let maximumAge: Double?
  }

  private struct Finding {
    let path: String
    let maximumAge: Double?
  }

  private let folders: [Folder]
  private let salvages: Bool
  /// Whether faults are shown in a metric: not without a flag that node_exporter does not have.
  private let showsErrors: Bool
  private let logger: Logger
  private var files: [String: Textfile] = [:]
  private var buffer = ByteWriter()
  /// The contents that `exposition` was made of.
  private var merged: [Textfile.Content] = []
  private var exposition = TextfileExposition([])

  init(_ host: Host) throws(CollectorConfigurationError) {
    let ages = try Self.ages(host.flags[Self.maximumAge])
    folders = host.flags[Self.directory].filter { !$0.isEmpty }.map { pattern in
      Folder(pattern: pattern, maximumAge: ages[pattern] ?? ages[""])
    }
    salvages = host.flags[Self.partial]
    showsErrors = salvages || !ages.isEmpty
    logger = host.logger
  }

  /// Seconds by directory; "" stands for all others.
  private static func ages(_ texts: [String]) throws(CollectorConfigurationError) -> [String: Double] {
    var ages: [String: Double] = [:]
    for text in texts {
      let (directory, age) =
        text.lastIndex(of: "=").map { (String(text[..<$0]), String(text[text.index(after: $0)...])) } ?? ("", text)
      do {
        ages[directory] = Double(try Duration.parse(age).nanoseconds) / 1e9
      } catch {
        throw CollectorConfigurationError("--\(maximumAge.definition.name): \(error.reason)")
      }
    }
    return ages
  }

  func collect(into writer: MetricWriter) throws {
    var hasFailed = false
    var faults: [(path: String, fault: TextFault, count: Int)] = []
    let findings = findFiles(&hasFailed)
    var read: [Textfile.Content] = []
    var shown: [Textfile.Content] = []
    let now = Double(time(nil))
    for finding in findings {
      let file = files[finding.path] ?? Textfile(finding.path, salvages: salvages)
      files[finding.path] = file
      switch file.read(&buffer) {
      case .failure(let failure):
        faults.append((finding.path, failure.fault, 1))
        if failure.isNew { logger.error("failed to collect textfile data: \(failure.reason)") }
      case .success(let content):
        faults += content.faults.map { (content.path, $0.key, $0.value) }
        if content.faults.isEmpty { read.append(content) }
        if let age = finding.maximumAge, now - content.modified > age {
          faults.append((content.path, .expired, 1))
        } else {
          shown.append(content)
        }
      }
    }
    if files.count > findings.count {
      let paths = Set(findings.map(\.path))
      files = files.filter { paths.contains($0.key) }
    }
    if !shown.elementsEqual(merged, by: ===) { merge(shown) }
    exposition.write(to: writer)
    for content in read { writer.write(Self.modified, [content.path], content.modified) }
    hasFailed = hasFailed || !faults.isEmpty || !exposition.problems.isEmpty
    writer.sample(Self.scrapeError, hasFailed ? 1.0 : 0.0)
    if showsErrors { write(faults, into: writer) }
  }

  private func merge(_ contents: [Textfile.Content]) {
    for content in contents where !content.faults.isEmpty && !merged.contains(where: { $0 === content }) {
      let lines = content.faults.map { "\($0.value) by \($0.key.rawValue)" }.sorted().joined(separator: ", ")
      logger.error("lines of a text file left out: \(content.path): \(lines)")
    }
    merged = contents
    exposition = TextfileExposition(contents)
    for problem in exposition.problems { logger.error("\(problem.reason)") }
  }

  private func write(_ faults: [(path: String, fault: TextFault, count: Int)], into writer: MetricWriter) {
    for (path, fault, count) in faults {
      writer.write(Self.errors, [path, fault.rawValue], Double(count))
    }
    let conflicts = Dictionary(grouping: exposition.problems, by: \.path)
    for (path, problems) in conflicts {
      writer.write(Self.errors, [path, TextFault.conflict.rawValue], Double(problems.count))
    }
  }

  /// The *.prom files, folder by folder; each once.
  private func findFiles(_ hasFailed: inout Bool) -> [Finding] {
    var findings: [Finding] = []
    var known: Set<String> = []
    for folder in folders {
      for directory in Self.directories(folder.pattern) {
        do {
          for name in try Directory.names(directory) where name.hasSuffix(".prom") {
            let path = Self.clean("\(directory)/\(name)")
            if known.insert(path).inserted { findings.append(Finding(path: path, maximumAge: folder.maximumAge)) }
          }
        } catch {
          hasFailed = true
          logger.error("failed to read textfile collector directory: \(error)")
        }
      }
    }
    return findings
  }

  /// What a pattern stands for: itself, when nothing matches.
  private static func directories(_ pattern: String) -> [String] {
    guard pattern.utf8.contains(where: { "*?[\\".utf8.contains($0) }) else { return [pattern] }
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0 else { return [pattern] }
    return (0..<Int(found.gl_pathc)).compactMap { index in found.gl_pathv[index].map { String(cString: $0) } }
  }

  /// Without empty parts, "." and what a ".." undoes: Go's path.Clean, which the label `file` shows.
  static func clean(_ path: String) -> String {
    let isAbsolute = path.hasPrefix("/")
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part != ".." {
        parts.append(part)
      } else if let last = parts.last, last != ".." {
        parts.removeLast()
      } else if !isAbsolute {
        parts.append(part)
      }
    }
    return (isAbsolute ? "/" : "") + parts.joined(separator: "/")
  }
}
