import Kernel
import Logging
import Synchronization

/// Keeps the process below its limit of memory: first the newest samples take less room, then no new series are taken.
/// What is known already goes on.
final class MemoryCeiling: Sendable {
  /// How near the limit is.
  enum Pressure: Int, Sendable { case none, some, full }

  /// Parts of the limit from which on memory is short, and new series are refused.
  private static let some = 0.75
  private static let full = 0.9
  /// What a new series may cost at most until the next look, in bytes: its labels, its place in tables, and what grows
  /// with them.
  private static let bytesPerSeries = 1_000

  let limit: Int
  private let store: SampleStore
  private let log: Logger
  private let state = Mutex(Pressure.none)

  /// - Parameter limit: in bytes.
  init(limit: Int, store: SampleStore, log: Logger) {
    self.limit = limit
    self.store = store
    self.log = log
  }

  var pressure: Pressure { state.withLock { $0 } }

  /// Looks once: to be called every second.
  func look() {
    guard let used = ProcessMemory.anonymousBytes() else { return }
    look(at: used)
  }

  /// - Parameter used: bytes.
  func look(at used: Int) {
    let full = Int(Double(limit) * Self.full)
    let now: Pressure = used >= full ? .full : used >= Int(Double(limit) * Self.some) ? .some : .none
    let before = state.withLock { state in
      defer { state = now }
      return state
    }
    store.withIntake { intake in
      intake.newSeriesLeft = max(0, full - used) / Self.bytesPerSeries
      if now != before {
        intake.isMemoryShort = now != .none
        intake.shrink()
      }
    }
    if now != .none { ProcessMemory.trim() }
    if now == .full, before != .full {
      log.error(
        "Memory is short; new series are refused until there is more",
        metadata: ["used_bytes": "\(used)", "limit_bytes": "\(limit)"])
    } else if now != .full, before == .full {
      log.info("New series are taken again", metadata: ["used_bytes": "\(used)", "limit_bytes": "\(limit)"])
    }
  }
}
