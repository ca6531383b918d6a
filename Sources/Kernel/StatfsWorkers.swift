// Asks many mounts for their statistics without ever waiting for a stuck one beyond a limit.

import Glibc

/// Threads that call statfs(2), so that a mount whose server is gone (NFS, FUSE) blocks one of them and nobody else.
///
/// While all mounts answer there is one thread, which works a whole list off: one hop a list, not one a mount. When
/// none has answered for a while, more threads help. A mount that takes longer than the limit is reported as stuck,
/// keeps the thread that asked it, and is not asked again until that thread is back.
public final class StatfsWorkers: Sendable {
  public enum Answer: Sendable, Equatable {
    case statistics(FilesystemStatistics)
    case failure(KernelError)
    /// Not within the limit.
    case timedOut
  }

  public typealias Probe = @Sendable ([UInt8]) -> Result<FilesystemStatistics, KernelError>

  /// As many stuck mounts keep a thread; beyond them, what has not answered yet is reported as stuck unasked.
  static let stuckLimit = 64

  private let crew: Crew

  /// - Parameters:
  ///   - timeout: how long a mount may take.
  ///   - threads: how many mounts are asked at once, at most.
  ///   - probe: what is called for a path, on any thread; the kernel's statfs if not given.
  public init(timeout: Duration, threads: Int, probe: @escaping Probe = FilesystemStatistics.read) {
    crew = Crew(timeout: timeout, threads: max(threads, 1), probe: probe)
  }

  deinit { crew.close() }

  /// Asks for all paths and gives the answers in the same order. One caller at a time.
  public func answers(for paths: [[UInt8]]) -> [Answer] { crew.answers(for: paths) }

  /// The threads there are: idle, working and stuck.
  public var threadCount: Int { crew.threadCount }
}

/// What the threads share. `@unchecked Sendable` holds because all that changes is touched under `mutex` only.
private final class Crew: @unchecked Sendable {
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

  private let probe: StatfsWorkers.Probe
  private let timeout: UInt64
  private let limit: Int
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// Threads wait for paths on it.
  private let work = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// The caller waits for the last answer on it.
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private var paths: [[UInt8]] = []
  private var next = 0
  private var list: [StatfsWorkers.Answer] = []
  private var unanswered = 0
  private var calls: [Call] = []
  private var stuck: Set<[UInt8]> = []
  private var threads = 0
  private var idle = 0
  private var isClosed = false

  /// After so long without any answer one more thread helps, in nanoseconds.
  private static let patience: UInt64 = 50_000_000

  init(timeout: Duration, threads: Int, probe: @escaping StatfsWorkers.Probe) {
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

  func answers(for wanted: [[UInt8]]) -> [StatfsWorkers.Answer] {
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
      let now = monotonicNow()
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
    let now = monotonicNow()
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
    guard calls.count < limit, stuck.count < StatfsWorkers.stuckLimit else { return }
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 256 << 10)
    defer { pthread_attr_destroy(&attributes) }
    let argument = Unmanaged.passRetained(self)
    let status = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Crew>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument.toOpaque())
    if status == 0 { threads += 1 } else { argument.release() }
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
    let call = Call(next, paths[next], start: monotonicNow())
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

private func monotonicNow() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
