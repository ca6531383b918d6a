import Exposition
import Glibc
import Kernel
import Logging
import Synchronization

/// Writes what is appended, and what remotes acknowledge, to the log's folder: a thread of its own, so that a slow or
/// stuck disk holds up nothing else.
///
/// When the disk is full or fails, samples stay in memory only; every few seconds a new segment is tried.
final class LogWriter: Sendable {
  private struct Work: Sendable {
    var hasRecords = false
    /// Whether the thread has to be woken: after each write it pauses by itself.
    var isAsleep = false
    var isStopping = false
    var isStopped = false
    /// By remote; nil where nothing has changed.
    var acknowledgements: [String: Acknowledgement] = [:]
    var forgotten: [String] = []
  }

  /// What metrics show.
  struct Status {
    var isFailing = false
    var failures: UInt64 = 0
    var syncs: UInt64 = 0
    var written: UInt64 = 0
  }

  /// In microseconds. A crash costs what came in it.
  private static let pause: useconds_t = 20_000
  private static let tick: UInt64 = 1_000_000_000

  let folder: LogFolder
  private let store: SampleStore
  private let options: LogOptions
  private let log: Logger
  private let work = Monitor(Work())
  private let shownStatus = Mutex(Status())

  init(folder: LogFolder, store: SampleStore, options: LogOptions, log: Logger) {
    self.folder = folder
    self.store = store
    self.options = options
    self.log = log
  }

  /// In milliseconds.
  var retentionMaximum: Int64 { options.retentionMaximum.milliseconds }
  var status: Status { shownStatus.withLock { $0 } }

  func start() throws {
    try KernelThread.start("log") {
      // A remote that is configured no more holds nothing back, but until it is forgotten it is not forgotten.
      var state = ThreadState(acknowledgements: self.folder.acknowledgements())
      while self.step(&state) {}
    }
  }

  /// There are records to be written.
  func wake() {
    tell { $0.hasRecords = true }
  }

  func acknowledge(_ remote: String, _ acknowledgement: Acknowledgement) {
    tell { $0.acknowledgements[remote] = acknowledgement }
  }

  /// The remote is not configured any more.
  func forget(_ remote: String) {
    tell { $0.forgotten.append(remote) }
  }

  private func tell(_ change: (inout Work) -> Void) {
    let isAsleep = work.withLock { work in
      change(&work)
      return work.isAsleep
    }
    if isAsleep { work.signal() }
  }

  /// Writes and syncs all, and ends the thread. Returns within `seconds` even when the disk is stuck.
  func stop(within seconds: UInt64) {
    work.withLock { $0.isStopping = true }
    work.signal()
    let end = MonotonicClock.now + seconds * 1_000_000_000
    work.wait { work, deadline in
      if work.isStopped || MonotonicClock.now >= end { return true }
      deadline = end
      return nil
    }
  }

  // MARK: The thread

  /// What only the thread touches.
  private struct ThreadState: ~Copyable {
    var pending = SegmentEncoder.Pending()
    var cursors: [String: CursorFile] = [:]
    var acknowledgements: [String: Acknowledgement]
    var descriptor: CInt = -1
    var current: Ordinal?
    var length = 0
    /// The first sample that is not written.
    var writtenEnd: Ordinal = 0
    var isDirty = false
    var nextSync: UInt64 = 0
    var nextTick: UInt64 = 0
    /// When the log is to be tried again; nil while it works.
    var retryAt: UInt64?

    init(acknowledgements: [String: Acknowledgement]) { self.acknowledgements = acknowledgements }
  }

  /// Waits for work and does it; false when the thread is to end.
  private func step(_ state: inout ThreadState) -> Bool {
    let wakeAt = min(state.isDirty ? state.nextSync : .max, state.nextTick, state.retryAt ?? .max)
    let todo = work.wait { (work, deadline) -> Work? in
      guard
        work.hasRecords || !work.acknowledgements.isEmpty || !work.forgotten.isEmpty || work.isStopping
          || MonotonicClock.now >= wakeAt
      else {
        deadline = wakeAt
        work.isAsleep = true
        return nil
      }
      defer {
        work.isAsleep = false
        work.hasRecords = false
        work.acknowledgements = [:]
        work.forgotten = []
      }
      return work
    }
    let isStopping = todo.isStopping
    // A remote that is new has a cursor before there is a sample: it must find its place after a crash.
    for (remote, acknowledgement) in todo.acknowledgements { write(acknowledgement, of: remote, &state) }
    if todo.hasRecords || isStopping { writeRecords(&state) }
    for remote in todo.forgotten { drop(remote, &state) }
    let now = MonotonicClock.now
    if state.isDirty, now >= state.nextSync || isStopping { sync(&state) }
    if now >= state.nextTick {
      state.nextTick = now + Self.tick
      retain(&state)
    }
    if let retryAt = state.retryAt, now >= retryAt, !isStopping { retry(&state) }
    guard isStopping else {
      // What comes in the next moment is written together: each wake costs more than a write.
      usleep(Self.pause)
      return true
    }
    if state.descriptor >= 0 { close(state.descriptor) }
    folder.unlock()
    work.withLock { $0.isStopped = true }
    work.signal()
    return false
  }

  // MARK: Records

  private func writeRecords(_ state: inout ThreadState) {
    let end = store.withIntake { intake in
      intake.encoder.takePending(&state.pending)
      return intake.ring.end
    }
    guard state.pending.bytes.count > 0, state.retryAt == nil else { return }
    needSync(&state)
    var start = 0
    do throws(LogError) {
      for (offset, first) in state.pending.segments {
        try write(start..<offset, &state)
        try beginSegment(first, &state)
        start = offset
      }
      try write(start..<state.pending.bytes.count, &state)
      state.writtenEnd = end
      folder.written.store(end, ordering: .releasing)
    } catch { fail(error, &state) }
  }

  private func beginSegment(_ first: Ordinal, _ state: inout ThreadState) throws(LogError) {
    if state.descriptor >= 0 {
      fdatasync(state.descriptor)
      close(state.descriptor)
      state.descriptor = -1
    }
    let path = folder.path(of: first)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw LogError("create", path, errno) }
    state.descriptor = descriptor
    state.current = first
    state.length = 0
    folder.add(first)
  }

  private func write(_ range: Range<Int>, _ state: inout ThreadState) throws(LogError) {
    guard !range.isEmpty, let current = state.current else { return }
    var offset = range.lowerBound
    while offset < range.upperBound {
      let descriptor = state.descriptor
      let count = state.pending.bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress! + offset, range.upperBound - offset)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw LogError("write", folder.path(of: current), count < 0 ? errno : ENOSPC) }
      offset += count
    }
    state.length += range.count
    folder.grow(current, to: state.length)
    shownStatus.withLock { $0.written += UInt64(range.count) }
  }

  /// The segment ends with its last whole write; from now on samples are in memory only.
  private func fail(_ error: LogError, _ state: inout ThreadState) {
    if state.descriptor >= 0 {
      ftruncate(state.descriptor, off_t(state.length))
      close(state.descriptor)
      state.descriptor = -1
    }
    if let current = state.current, state.length <= LogFormat.headerLength { folder.delete(current) }
    state.current = nil
    store.withIntake { intake in
      if intake.isLogged { intake.counts.unlogged += intake.ring.end - max(state.writtenEnd, intake.unloggedEnd) }
      intake.isLogged = false
      intake.unloggedEnd = intake.ring.end
      intake.encoder.endSegment()
      intake.encoder.takePending(&state.pending)
      intake.mostSamples = options.samplesInMemoryWithoutLog
    }
    state.pending.removeAll()
    let isFirst = state.retryAt == nil
    state.retryAt = MonotonicClock.now + options.retryInterval.nanosecondsClamped
    let isNews = shownStatus.withLock { status in
      status.failures += 1
      defer { status.isFailing = true }
      return !status.isFailing
    }
    if isFirst, isNews {
      log.error(
        "The log cannot be written; samples stay in memory and are sent from there",
        metadata: ["err": "\(error)", "samples_in_memory": "\(options.samplesInMemoryWithoutLog)"])
    }
  }

  private func retry(_ state: inout ThreadState) {
    state.retryAt = nil
    var space = statvfs()
    if statvfs(folder.path, &space) == 0, UInt64(space.f_bavail) * UInt64(space.f_frsize) < options.leastFreeBytes {
      state.retryAt = MonotonicClock.now + options.retryInterval.nanosecondsClamped
      return
    }
    store.withIntake { intake in
      intake.isLogged = true
      intake.encoder.endSegment()
      intake.mostSamples = options.samplesInMemory
    }
    let wasFailing = shownStatus.withLock { status in
      defer { status.isFailing = false }
      return status.isFailing
    }
    if wasFailing { log.info("The log is written again") }
  }

  /// What was written is brought to the disk within the interval.
  private func needSync(_ state: inout ThreadState) {
    guard !state.isDirty else { return }
    state.isDirty = true
    state.nextSync = MonotonicClock.now + options.syncInterval.nanosecondsClamped
  }

  private func sync(_ state: inout ThreadState) {
    state.isDirty = false
    if state.descriptor >= 0 { fdatasync(state.descriptor) }
    for cursor in state.cursors.values { cursor.sync() }
    shownStatus.withLock { $0.syncs += 1 }
  }

  // MARK: Acknowledgements

  private func write(_ acknowledgement: Acknowledgement, of remote: String, _ state: inout ThreadState) {
    let before = state.acknowledgements.updateValue(acknowledgement, forKey: remote)
    if state.cursors[remote] == nil { state.cursors[remote] = try? CursorFile(path: folder.cursorPath(remote)) }
    if state.cursors[remote]?.write(acknowledgement) == true { needSync(&state) }
    for range in before?.overtaken ?? []
    where !acknowledgement.overtaken.contains(where: { $0.lowerBound == range.lowerBound }) {
      unlink(folder.filterPath(remote, range.lowerBound))
    }
  }

  private func drop(_ remote: String, _ state: inout ThreadState) {
    for range in state.acknowledgements.removeValue(forKey: remote)?.overtaken ?? [] {
      unlink(folder.filterPath(remote, range.lowerBound))
    }
    state.cursors[remote] = nil
    unlink(folder.cursorPath(remote))
  }

  // MARK: Retention

  /// Deletes segments that all remotes have acknowledged, and the oldest ones beyond the limits of age and size.
  private func retain(_ state: inout ThreadState) {
    let sent = state.acknowledgements.values.map(\.first).min() ?? .max
    let now = WallClock.milliseconds
    var bytes = folder.bytes
    let segments = folder.segments
    for (segment, next) in zip(segments, segments.dropFirst()) {
      // The age of a segment is that of its newest sample: it ended when the next one began.
      let age = now - (folder.created(next.first) ?? now)
      let isSent = next.first <= sent && age >= options.retentionMinimum.milliseconds
      let isTooOld = age > options.retentionMaximum.milliseconds
      let isTooMuch = options.retentionBytes > 0 && bytes > options.retentionBytes
      guard isSent || isTooOld || isTooMuch else { break }
      folder.delete(segment.first)
      bytes -= segment.bytes
      if next.first > sent {
        log.warning(
          "The log is over its limit; unsent samples are dropped with their segment",
          metadata: [
            "limit": isTooOld ? "age" : "size", "samples": "\(next.first - max(segment.first, min(sent, next.first)))",
          ])
      }
    }
    store.withIntake { $0.shrink() }
  }
}

extension Duration {
  /// At most 292 years.
  var nanosecondsClamped: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0 else { return 0 }
    return UInt64(min(seconds, 9_000_000_000)) * 1_000_000_000 + UInt64(max(attoseconds, 0) / 1_000_000_000)
  }

  var milliseconds: Int64 { Int64(nanosecondsClamped / 1_000_000) }
}
