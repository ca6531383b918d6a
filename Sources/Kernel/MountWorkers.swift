// Asks many mounts about themselves without ever waiting for a stuck one beyond a limit.

import Glibc

/// Asks mounts for their sizes by statfs(2).
public typealias StatfsWorkers = MountWorkers<FilesystemStatistics>

/// Threads that make a call for each of many mounts, so that a mount whose server is gone (NFS, FUSE) blocks one of
/// them and nobody else.
///
/// While all mounts answer there is one thread, which works a whole list off: one hop a list, not one a mount. When
/// none has answered for a while, more threads help. A mount that takes longer than the limit is reported as stuck,
/// keeps the thread that asked it, and is not asked again until that thread is back.
public final class MountWorkers<Statistics: Sendable & Equatable>: Sendable {
  public enum Answer: Sendable, Equatable {
    case statistics(Statistics)
    case failure(KernelError)
    /// Not within the limit.
    case timedOut

    public var statistics: Statistics? {
      if case .statistics(let statistics) = self { statistics } else { nil }
    }
  }

  public typealias Probe = @Sendable ([UInt8]) -> Result<Statistics, KernelError>

  /// As many stuck mounts keep a thread; beyond them, what has not answered yet is reported as stuck unasked.
  static var stuckLimit: Int { 64 }

  private let crew: Crew<Statistics>

  /// - Parameters:
  ///   - timeout: how long a mount may take.
  ///   - threads: how many mounts are asked at once, at most.
  ///   - probe: what is called for a path, on any thread.
  public init(timeout: Duration, threads: Int, probe: @escaping Probe) {
    crew = Crew(timeout: timeout, threads: max(threads, 1), probe: probe)
  }

  deinit { crew.close() }

  /// Asks for all paths and gives the answers in the same order. One caller at a time.
  public func answers(for paths: [[UInt8]]) -> [Answer] { crew.answers(for: paths) }

  /// The threads there are: idle, working and stuck.
  public var threadCount: Int { crew.threadCount }
}

/// What the threads share. `@unchecked Sendable` holds because all that changes is touched under `mutex` only.
private final class Crew<Statistics: Sendable & Equatable>: @unchecked Sendable {
  typealias Workers = MountWorkers<Statistics>

  /// One thread's call in progress.
  private final class Call {
    let index: Int
    let path: [UInt8]
    /// Nanoseconds of the monotonic clock.
    let start: UInt64
    /// Nobody waits for it any longer.
    var isStuck = false

    init(_ index: Int, _ path: [UInt8], start: UInt64) {
      self.index = index
      self.path = path
      self.start = start
    }
  }

  private let probe: Workers.Probe
  private let timeout: UInt64
  private let limit: Int
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// Threads wait for paths on it.
  private let work = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// The caller waits for the last answer on it.
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private var paths: [[UInt8]] = []
  private var next = 0
  private var list: [Workers.Answer] = []
  private var unanswered = 0
  private var calls: [Call] = []
  private var stuck: Set<[UInt8]> = []
  private var threads = 0
  private var idle = 0
  private var isClosed = false

  /// After so long without any answer one more thread helps, in nanoseconds.
  private static var patience: UInt64 { 50_000_000 }

  init(timeout: Duration, threads: Int, probe: @escaping Workers.Probe) {
    let parts = timeout.components
    self.timeout = UInt64(max(parts.seconds, 0)) &* 1_000_000_000 &+ UInt64(max(parts.attoseconds, 0) / 1_000_000_000)
    limit = threads
    self.probe = probe
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(work, &attributes)
    pthread_cond_init(done, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(work)
    pthread_cond_destroy(done)
    pthread_mutex_destroy(mutex)
    work.deallocate()
    done.deallocate()
    mutex.deallocate()
  }

  var threadCount: Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return threads
  }

  /// Lets idle threads end; a stuck one ends when its call returns.
  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_broadcast(work)
    pthread_mutex_unlock(mutex)
  }

  // MARK: The caller

  func answers(for wanted: [[UInt8]]) -> [Workers.Answer] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    paths = wanted
    list = Array(repeating: .timedOut, count: wanted.count)
    next = 0
    unanswered = wanted.count
    skipStuck()
    if next < paths.count { engage() }
    while unanswered > 0 {
      let before = unanswered
      let now = MonotonicClock.now
      let due = calls.map { $0.start &+ timeout }.min() ?? UInt64.max
      wait(done, until: min(now &+ Self.patience, max(due, now)))
      giveUpLateCalls()
      if next < paths.count, calls.isEmpty || unanswered == before { engage() }
      // Nobody is left who could answer, and nobody more can be set to work.
      if threads == stuck.count { break }
    }
    next = paths.count
    unanswered = 0
    return list
  }

  /// Moves on to the next path that is not stuck from before; stuck ones count as answered.
  private func skipStuck() {
    while next < paths.count, stuck.contains(paths[next]) {
      next += 1
      unanswered -= 1
    }
  }

  /// Reports calls beyond the limit as stuck; the threads in them are on their own from then on.
  private func giveUpLateCalls() {
    let now = MonotonicClock.now
    calls.removeAll { call in
      guard now &- call.start >= timeout else { return false }
      call.isStuck = true
      stuck.insert(call.path)
      unanswered -= 1
      return true
    }
    skipStuck()
  }

  /// Sets one more thread to work, if the limits allow.
  private func engage() {
    guard threads - stuck.count <= calls.count else {
      // One is between two calls, or idle.
      pthread_cond_signal(work)
      return
    }
    guard calls.count < limit, stuck.count < Workers.stuckLimit else { return }
    // Without one more thread, those that are there go on.
    guard (try? KernelThread.start("mounts") { self.run() }) != nil else { return }
    threads += 1
  }

  // MARK: The threads

  private func run() {
    pthread_mutex_lock(mutex)
    while !isClosed {
      if next < paths.count {
        guard ask() else { break }
      } else if idle == 0 {
        // One thread stays for the next list.
        idle += 1
        pthread_cond_wait(work, mutex)
        idle -= 1
      } else {
        break
      }
    }
    threads -= 1
    pthread_mutex_unlock(mutex)
  }

  /// Asks for the next path; false when the answer came too late and another thread has taken this one's place.
  private func ask() -> Bool {
    let call = Call(next, paths[next], start: MonotonicClock.now)
    calls.append(call)
    next += 1
    skipStuck()
    pthread_mutex_unlock(mutex)
    let result = probe(call.path)
    pthread_mutex_lock(mutex)
    guard !call.isStuck else {
      stuck.remove(call.path)
      return false
    }
    calls.removeAll { $0 === call }
    switch result {
    case .success(let statistics): list[call.index] = .statistics(statistics)
    case .failure(let error): list[call.index] = .failure(error)
    }
    unanswered -= 1
    if unanswered == 0 { pthread_cond_signal(done) }
    return true
  }

  private func wait(_ condition: UnsafeMutablePointer<pthread_cond_t>, until: UInt64) {
    var time = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
    pthread_cond_timedwait(condition, mutex, &time)
  }
}
