import Exposition
import Glibc
import Synchronization

/// The intake behind its lock, which scrapers, senders and the log share.
final class SampleStore: Sendable {
  private let intake: Mutex<Intake>

  init(_ intake: consuming sending Intake) { self.intake = Mutex(intake) }

  /// Runs `body` with the lock held: it must not wait for anything.
  @inline(__always)
  func withIntake<R: Sendable>(_ body: (inout Intake) -> R) -> R { intake.withLock { body(&$0) } }
}

/// The time of day.
package enum WallClock {
  /// Milliseconds since the epoch.
  package static var milliseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
