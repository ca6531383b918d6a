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
  static let flags = [directory.definition]

  private static let modified = MetricFamily.gauge(
    "node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.", ["file"])
  private static let scrapeError = MetricFamily.gauge(
    "node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise")

  private let patterns: [String]
  private let logger: Logger
  private var files: [String: Textfile] = [:]
  private var buffer = ByteWriter()
  /// The contents that `exposition` was made of.
  private var merged: [Textfile.Content] = []
  private var exposition = TextfileExposition([])

  init(_ host: Host) {
    patterns = host.flags[Self.directory].filter { !$0.isEmpty }
    logger = host.logger
  }

  func collect(into writer: MetricWriter) throws {
    var hasFailed = false
    let paths = findFiles(&hasFailed)
    var contents: [Textfile.Content] = []
    for path in paths {
      let file = files[path] ?? Textfile(path)
      files[path] = file
      switch file.read(&buffer) {
      case .success(let content): contents.append(content)
      case .failure(let failure):
        hasFailed = true
        if failure.isNew { logger.error("failed to collect textfile data: \(failure.reason)") }
      }
    }
    if files.count > paths.count { files = files.filter { paths.contains($0.key) } }
    if !contents.elementsEqual(merged, by: ===) {
      merged = contents
      exposition = TextfileExposition(contents)
      for problem in exposition.problems { logger.error("\(problem)") }
    }
    exposition.write(to: writer)
    for content in contents {
      writer.begin(Self.modified)
      writer.label(content.path)
      writer.end(content.modified)
    }
    writer.sample(Self.scrapeError, hasFailed || !exposition.problems.isEmpty ? 1.0 : 0.0)
  }

  /// The *.prom files, folder by folder; each once.
  private func findFiles(_ hasFailed: inout Bool) -> [String] {
    var paths: [String] = []
    var known: Set<String> = []
    for directory in patterns.flatMap(Self.directories) {
      do {
        for name in try Directory.names(directory) where name.hasSuffix(".prom") {
          let path = Self.clean("\(directory)/\(name)")
          if known.insert(path).inserted { paths.append(path) }
        }
      } catch {
        hasFailed = true
        logger.error("failed to read textfile collector directory: \(error)")
      }
    }
    return paths
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

/// One file, read again only when it has changed.
final class Textfile {
  /// What stood in it at one time.
  final class Content {
    let path: String
    /// Whole seconds since the epoch.
    let modified: Double
    let families: [TextFamily]

    init(path: String, modified: Double, families: [TextFamily]) {
      self.path = path
      self.modified = modified
      self.families = families
    }
  }

  struct Failure: Error {
    let reason: String
    /// Not the same as last time.
    let isNew: Bool
  }

  /// Bytes; a longer file is refused.
  static let limit = 16 << 20

  private let path: String
  private var state: Result<Content, Failure>?
  private var inode: UInt = 0
  private var size = 0
  private var seconds = 0
  private var nanoseconds = 0

  init(_ path: String) { self.path = path }

  /// The content; or why there is none: not a regular file (a FIFO would never end), too long, or not the format.
  func read(_ buffer: inout ByteWriter) -> Result<Content, Failure> {
    // O_NONBLOCK: opening a FIFO does not wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return fail(KernelError("open", path).description) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return fail(KernelError("stat", path).description) }
    guard status.st_mode & S_IFMT == S_IFREG else { return fail("\(path): not a regular file") }
    let isUnchanged =
      status.st_ino == inode && status.st_size == size && status.st_mtim.tv_sec == seconds
      && status.st_mtim.tv_nsec == nanoseconds
    if isUnchanged, let state { return state.mapError { Failure(reason: $0.reason, isNew: false) } }
    guard status.st_size <= Self.limit else { return fail("\(path): longer than \(Self.limit) bytes") }
    do {
      try Self.readAll(descriptor, path, &buffer)
      let families = try TextFamilyParser.parse(buffer.bytes)
      state = .success(Content(path: path, modified: Double(status.st_mtim.tv_sec), families: families))
    } catch let error as KernelError {
      return fail(error.description)
    } catch {
      state = .failure(Failure(reason: "\(path): \(error)", isNew: true))
    }
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
    return state ?? fail("\(path): not read")
  }

  /// A failure that may be gone next time, whatever the file's times say.
  private func fail(_ reason: String) -> Result<Content, Failure> {
    var isNew = true
    if case .failure(let last) = state { isNew = last.reason != reason }
    inode = 0
    state = .failure(Failure(reason: reason, isNew: false))
    return .failure(Failure(reason: reason, isNew: isNew))
  }

  private static func readAll(_ descriptor: Int32, _ path: String, _ buffer: inout ByteWriter) throws(KernelError) {
    buffer.removeAll()
    let chunk = 64 << 10
    while true {
      let before = buffer.count
      var failure: Int32 = 0
      buffer.append(capacity: chunk) { room in
        let count = Glibc.read(descriptor, room.baseAddress, room.count)
        if count < 0 { failure = errno }
        return max(count, 0)
      }
      if failure == EINTR { continue }
      guard failure == 0 else { throw KernelError("read", path, code: failure) }
      if buffer.count == before { return }
      guard buffer.count <= limit else { throw KernelError("read", path, code: EFBIG) }
    }
  }
}
