import CLinux
import Glibc

/// Threads of our own, for calls that may block for ever: a thread of Swift's pool must not be lost to them.
public enum KernelThread {
  /// Runs `body` on a new detached thread.
  ///
  /// - Parameter name: at most 15 bytes; shown by ps and top.
  /// - Throws: when the system gives no more threads.
  public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(KernelError) {
    let box = Unmanaged.passRetained(ThreadBody(name: name, run: body))
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 512 << 10)
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        let body = Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue()
        clinux_name_thread(body.name)
        body.run()
        return nil
      }, box.toOpaque())
    guard code == 0 else {
      box.release()
      throw KernelError("pthread_create", name, code: code)
    }
  }
}

private final class ThreadBody: Sendable {
  let name: String
  let run: @Sendable () -> Void
  init(name: String, run: @escaping @Sendable () -> Void) {
    self.name = name
    self.run = run
  }
}

/// A value that threads share, with a lock and a condition to wait on (pthread_cond_wait(3)).
// The mutex guards every access to the value, so the class may be shared.
public final class Monitor<Value>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var value: Value

  public init(_ value: sending Value) {
    self.value = value
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` with the lock held.
  public func withLock<R, E: Error>(_ body: (inout Value) throws(E) -> sending R) throws(E) -> sending R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }

  /// Runs `body` again and again with the lock held, asleep in between, until it returns something.
  ///
  /// - Parameters:
  ///   - deadline: nanoseconds on the monotonic clock at which to wake up at the latest, as `body`'s last run left it;
  ///     nil sleeps until `signal`.
  @discardableResult
  public func wait<R>(_ body: (inout Value, _ deadline: inout UInt64?) -> sending R?) -> sending R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      var deadline: UInt64?
      if let result = body(&value, &deadline) { return result }
      if let deadline {
        var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        pthread_cond_timedwait(condition, mutex, &time)
      } else {
        pthread_cond_wait(condition, mutex)
      }
    }
  }

  /// Wakes all that wait.
  public func signal() { pthread_cond_broadcast(condition) }
}

/// The monotonic clock.
public enum MonotonicClock {
  /// Nanoseconds since some fixed point.
  public static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
