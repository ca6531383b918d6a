import Kernel
import NIOCore
import Secrets

/// What is made of files, looked at again every two seconds at most: requests of the meantime cost no system call.
///
/// Files are read on a thread, which is waited for a moment only: on a mount that hangs, what was read last stays.
struct PolledFiles<Value: Sendable>: Sendable {
  private static var interval: TimeAmount { .seconds(2) }
  /// Where a look takes longer, its outcome is asked for so much later.
  private static var pause: TimeAmount { .milliseconds(100) }

  /// The value, or why the files cannot be worked with.
  private(set) var value: Result<Value, HTTPAccessError>
  private let reader: FileReader<Value>
  private var nextLook: NIODeadline
  /// Whether the next look is waited for until it is over.
  private var isUrgent = false

  init(_ paths: [String], make: @escaping @Sendable () throws -> Value) {
    reader = FileReader(paths, make)
    nextLook = .distantFuture
    if paths.isEmpty {
      value = FileReader.outcome(WatchedFiles([], make: make))
      return
    }
    value = .failure(
      HTTPAccessError("\(paths.joined(separator: ", ")): reading takes too long; is it on a mount that hangs?"))
    take(reader.look(patience: .seconds(1)))
  }

  /// Looks at the files if it is time to.
  ///
  /// - Returns: whether they were read again.
  mutating func refresh() -> Bool {
    guard nextLook < .distantFuture, NIODeadline.now() >= nextLook else { return false }
    defer { isUrgent = false }
    return take(reader.look(patience: isUrgent ? .seconds(60) : .milliseconds(250)))
  }

  @discardableResult
  private mutating func take(_ look: FileReader<Value>.Look) -> Bool {
    nextLook = .now() + (look.isOver ? Self.interval : Self.pause)
    guard let new = look.value else { return false }
    value = new
    return true
  }

  /// Looks at the files at the next `refresh`, whenever it is and however long that takes.
  mutating func lookSoon() {
    guard nextLook < .distantFuture else { return }
    nextLook = .uptimeNanoseconds(0)
    isUrgent = true
  }
}

/// Reads files on threads of its own, one at a time.
final class FileReader<Value: Sendable>: Sendable {
  struct Look: Sendable {
    /// Nil: as before.
    var value: Result<Value, HTTPAccessError>?
    /// Whether the files were looked at.
    var isOver: Bool
  }

  private struct State: Sendable {
    var files: WatchedFiles<Value>?
    var isReading = false
    /// What nobody has taken yet.
    var news: Result<Value, HTTPAccessError>?
  }

  private let paths: [String]
  private let make: @Sendable () throws -> Value
  private let state = Monitor(State())

  init(_ paths: [String], _ make: @escaping @Sendable () throws -> Value) {
    self.paths = paths
    self.make = make
  }

  /// Looks at the files, unless the look before is not over yet: that is not waited for again.
  func look(patience: Duration) -> Look {
    let starts = state.withLock { state in
      defer { state.isReading = true }
      return !state.isReading
    }
    if starts {
      do throws(KernelError) { try KernelThread.start("files") { self.read() } } catch { read() }
    }
    let deadline = MonotonicClock.now + (starts ? UInt64(patience / .nanoseconds(1)) : 0)
    return state.wait { state, wake in
      if state.isReading, MonotonicClock.now < deadline {
        wake = deadline
        return nil
      }
      defer { state.news = nil }
      return Look(value: state.news, isOver: !state.isReading)
    }
  }

  private func read() {
    var files = state.withLock { $0.files }
    let isNew: Bool
    if var known = files {
      isNew = known.refresh()
      files = known
    } else {
      files = WatchedFiles(paths, make: make)
      isNew = true
    }
    let news = isNew ? files.map(Self.outcome) : nil
    state.withLock { state in
      state.files = files
      state.isReading = false
      if news != nil { state.news = news }
    }
    state.signal()
  }

  static func outcome(_ files: WatchedFiles<Value>) -> Result<Value, HTTPAccessError> {
    do { return .success(try files.get()) } catch { return .failure(HTTPAccessError("\(error)")) }
  }
}
