import NIOCore
import Secrets

/// What is made of files, looked at again every two seconds at most: requests of the meantime cost no system call.
struct PolledFiles<Value: Sendable>: Sendable {
  private static var interval: TimeAmount { .seconds(2) }

  /// The value, or why the files cannot be worked with.
  private(set) var value: Result<Value, HTTPAccessError>
  private var files: WatchedFiles<Value>
  private var nextLook: NIODeadline

  init(_ paths: [String], make: @escaping @Sendable () throws -> Value) {
    files = WatchedFiles(paths, make: make)
    nextLook = paths.isEmpty ? .distantFuture : .now() + Self.interval
    value = files.outcome
  }

  /// Looks at the files if it is time to.
  ///
  /// - Returns: whether they were read again.
  mutating func refresh() -> Bool {
    guard nextLook < .distantFuture else { return false }
    let now = NIODeadline.now()
    guard now >= nextLook else { return false }
    nextLook = now + Self.interval
    guard files.refresh() else { return false }
    value = files.outcome
    return true
  }

  /// Looks at the files at the next `refresh`, whenever it is.
  mutating func lookSoon() { if nextLook < .distantFuture { nextLook = .uptimeNanoseconds(0) } }
}

extension WatchedFiles {
  fileprivate var outcome: Result<Value, HTTPAccessError> {
    do { return .success(try get()) } catch { return .failure(HTTPAccessError("\(error)")) }
  }
}
