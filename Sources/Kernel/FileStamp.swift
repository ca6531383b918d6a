import Glibc

/// What tells whether a file is still the one that was read: its place, its number, its size, when it was written and
/// when it was put there (stat(2)).
public struct FileStamp: Equatable, Sendable {
  private let path: String
  private let numbers: [Int64]
  private let written: Duration
  private let changed: Duration

  /// Nil when there is no such file.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.path = path
    numbers = [
      Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size),
    ]
    written = Duration(status.st_mtim)
    changed = Duration(status.st_ctim)
  }

  /// When the file was written, seconds since the epoch.
  public var modified: Double { written / .seconds(1) }

  /// The files as they are; nil when one is so young that its next change may bear the same time: the kernel's clock of
  /// files is coarse.
  public static func settled(_ paths: [String]) -> [FileStamp?]? {
    let stamps = paths.map(FileStamp.init)
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let time = Duration(now)
    let isYoung = stamps.contains { stamp in
      guard let stamp else { return false }
      return (.zero ... .milliseconds(100)).contains(time - stamp.changed)
    }
    return isYoung ? nil : stamps
  }
}

extension Duration {
  fileprivate init(_ time: timespec) { self = .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec) }
}
