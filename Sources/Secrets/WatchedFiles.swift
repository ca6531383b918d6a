import Glibc

/// What is made of files: made again when one of them has changed.
package struct WatchedFiles<Value> {
  package let paths: [String]
  private let make: @Sendable () throws -> Value
  private var stamps: [FileStamp?]?
  private var value: Result<Value, any Error>

  package init(_ paths: [String], make: @escaping @Sendable () throws -> Value) {
    self.paths = paths
    self.make = make
    stamps = FileStamp.settled(paths)
    value = Result { try make() }
  }

  /// The value of the files as they are now.
  ///
  /// - Returns: whether they were read again for it.
  package mutating func refresh() -> Bool {
    if let stamps, stamps == paths.map(FileStamp.init) { return false }
    stamps = FileStamp.settled(paths)
    value = Result { try make() }
    return true
  }

  /// - Throws: why the files cannot be worked with.
  package func get() throws -> Value { try value.get() }
}

/// A file as stat(2) shows it; the same as long as nobody writes it or puts another in its place.
private struct FileStamp: Equatable {
  private let numbers: [Int64]
  private let changed: Duration

  /// Nil when there is none.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    changed = .seconds(status.st_ctim.tv_sec) + .nanoseconds(status.st_ctim.tv_nsec)
    numbers = [
      Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size),
      Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec),
    ]
  }

  /// Nil when a file is so young that its next change may bear the same time: the kernel's clock of files is coarse.
  static func settled(_ paths: [String]) -> [FileStamp?]? {
    let stamps = paths.map(FileStamp.init)
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let time = Duration.seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    let isYoung = stamps.contains { stamp in
      guard let stamp else { return false }
      return (.zero ... .milliseconds(100)).contains(time - stamp.changed)
    }
    return isYoung ? nil : stamps
  }
}

extension WatchedFiles: Sendable where Value: Sendable {}
