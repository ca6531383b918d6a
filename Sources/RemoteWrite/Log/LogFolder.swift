import Glibc
import Synchronization

/// The log's folder: which segments there are. Only one process uses it at a time.
final class LogFolder: Sendable {
  struct Segment {
    let first: Ordinal
    var bytes: Int
    /// Milliseconds since the epoch; nil when the file was not asked yet.
    var created: Int64?
  }

  let path: String
  private let lockDescriptor: CInt
  private let state = Mutex<[Segment]>([])
  /// All samples before this one that were to be written are.
  let written = Atomic<Ordinal>(0)

  /// Opens the folder, which is made if need be.
  ///
  /// - Throws: when it cannot be used, or when another process uses it.
  init(path: String, isLocked: Bool) throws(LogError) {
    self.path = path
    try Self.makeFolder(path)
    lockDescriptor = isLocked ? try Self.lock(path) : -1
    let segments = try Self.list(path)
    state.withLock { $0 = segments }
  }

  deinit { if lockDescriptor >= 0 { close(lockDescriptor) } }

  /// Leaves the folder to others; nothing is written any more.
  func unlock() { if lockDescriptor >= 0 { flock(lockDescriptor, LOCK_UN) } }

  func path(of first: Ordinal) -> String { "\(path)/\(LogFormat.fileName(first))" }

  /// The file of a remote's acknowledgement.
  func cursorPath(_ remote: String) -> String { "\(path)/\(remote).cursor" }

  /// The file of the series that had a backlog for a remote when the sample `first` came.
  func filterPath(_ remote: String, _ first: Ordinal) -> String {
    "\(path)/\(remote)-\(LogFormat.digits(first))\(Self.filterSuffix)"
  }
  private static let filterSuffix = ".series"

  /// Deletes such files of which no acknowledgement speaks: a crash has left them.
  func removeFilters(except acknowledgements: [String: Acknowledgement]) {
    var known: Set<String> = []
    for (remote, acknowledgement) in acknowledgements {
      for range in acknowledgement.overtaken { known.insert(filterPath(remote, range.lowerBound)) }
    }
    for name in (try? Self.fileNames(path)) ?? []
    where name.hasSuffix(Self.filterSuffix) || name.hasSuffix(Self.filterSuffix + ".part") {
      if !known.contains("\(path)/\(name)") { unlink("\(path)/\(name)") }
    }
  }

  /// What every remote has acknowledged that has a file here.
  func acknowledgements() -> [String: Acknowledgement] {
    var acknowledgements: [String: Acknowledgement] = [:]
    for name in (try? Self.fileNames(path)) ?? [] where name.hasSuffix(".cursor") {
      acknowledgements[String(name.dropLast(7))] = CursorFile.read(path: "\(path)/\(name)")
    }
    return acknowledgements
  }

  // MARK: Segments

  /// In order.
  var segments: [Segment] { state.withLock { $0 } }
  var bytes: Int { state.withLock { $0.reduce(0) { $0 + $1.bytes } } }
  /// The first sample of the oldest segment; the largest ordinal when there is none.
  var oldest: Ordinal { state.withLock { $0.first?.first ?? .max } }

  func segment(after first: Ordinal) -> Ordinal? { state.withLock { $0.first { $0.first > first }?.first } }

  /// The segment that holds the sample, if any does, or else the first one behind it.
  func segment(holding ordinal: Ordinal) -> Ordinal? {
    state.withLock { segments in (segments.last { $0.first <= ordinal } ?? segments.first)?.first }
  }

  func add(_ first: Ordinal) { state.withLock { $0.append(Segment(first: first, bytes: 0)) } }
  func grow(_ first: Ordinal, to bytes: Int) {
    state.withLock { segments in
      if let index = segments.lastIndex(where: { $0.first == first }) { segments[index].bytes = bytes }
    }
  }

  /// When the segment was begun, milliseconds since the epoch.
  func created(_ first: Ordinal) -> Int64? {
    if let known = state.withLock({ $0.first { $0.first == first }?.created }) { return known }
    guard let created = (try? SegmentFile(path: path(of: first)))?.created else { return nil }
    state.withLock { segments in
      if let index = segments.firstIndex(where: { $0.first == first }) { segments[index].created = created }
    }
    return created
  }

  /// Deletes a segment. What a reader has open it can read on.
  func delete(_ first: Ordinal) {
    unlink(path(of: first))
    state.withLock { $0.removeAll { $0.first == first } }
  }

  /// Makes the log ready to be written on: the last segment is cut behind its last whole record, as a crash may have
  /// left half of one; an empty one is deleted. Gives the ordinal that comes next.
  func recover(report: (String) -> Void) throws(LogError) -> Ordinal {
    while let last = segments.last {
      let path = path(of: last.first)
      let file: SegmentFile
      do throws(LogError) { file = try SegmentFile(path: path) } catch {
        // What cannot be opened must not cost the log, and neither must the log of a newer pilotfish.
        guard error.isDamage else { throw error }
        setAside(last, report)
        continue
      }
      var record = LogRecord()
      var end = last.first
      reading: while true {
        switch file.next(into: &record) {
        case .record: end = record.end
        case .end: break reading
        case .damage(let error):
          report("\(path): \(error) at byte \(file.position)")
          // Whole records behind it: this is no torn end. What is lost is counted when it is read.
          if let end = file.endBehindDamage() { return end }
          break reading
        }
      }
      if end > last.first {
        if file.position < last.bytes {
          report("\(path): cut from \(last.bytes) to \(file.position) bytes")
          guard truncate(path, off_t(file.position)) == 0 else { throw LogError("truncate", path, errno) }
          grow(last.first, to: file.position)
        }
        return end
      }
      delete(last.first)
    }
    return 1
  }

  /// Takes a file that is no segment out of the log: it may be one of a later version.
  private func setAside(_ segment: Segment, _ report: (String) -> Void) {
    if segment.bytes > LogFormat.headerLength {
      rename(path(of: segment.first), path(of: segment.first) + ".unreadable")
      report("\(path(of: segment.first)): no segment of this version; renamed to .unreadable")
    }
    delete(segment.first)
  }

  // MARK: Files

  private static func makeFolder(_ path: String) throws(LogError) {
    var end = path.startIndex
    repeat {
      end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
      let part = String(path[..<end])
      if mkdir(part, 0o755) != 0, errno != EEXIST { throw LogError("mkdir", part, errno) }
    } while end < path.endIndex && path.index(after: end) < path.endIndex
  }

  /// The lock goes with the process, however it ends.
  private static func lock(_ folder: String) throws(LogError) -> CInt {
    let path = folder + "/lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw LogError("open", path, errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(descriptor)
      guard code == EWOULDBLOCK else { throw LogError("lock", path, code) }
      throw LogError(
        "lock", path, reason: "another pilotfish uses this folder; give each its own --storage.agent.path")
    }
    return descriptor
  }

  static func list(_ path: String) throws(LogError) -> [Segment] {
    var segments: [Segment] = []
    for name in try fileNames(path) {
      guard let first = LogFormat.ordinal(fileName: name) else { continue }
      var status = stat()
      guard stat("\(path)/\(name)", &status) == 0 else { continue }
      segments.append(Segment(first: first, bytes: Int(status.st_size)))
    }
    return segments.sorted { $0.first < $1.first }
  }

  private static func fileNames(_ path: String) throws(LogError) -> [String] {
    guard let stream = opendir(path) else { throw LogError("open", path, errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        })
    }
    return names
  }
}
