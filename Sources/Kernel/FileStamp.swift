import Glibc

/// What tells whether a file is still the one that was read: its place, its number, its size and when it was written (stat(2)).
public struct FileStamp: Equatable, Sendable {
  private let path: String
  private let device: UInt64
  private let inode: UInt64
  private let size: Int
  private let modifiedSeconds: Int
  private let modifiedNanoseconds: Int

  /// Nil when there is no such file.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.path = path
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int(status.st_size)
    modifiedSeconds = status.st_mtim.tv_sec
    modifiedNanoseconds = status.st_mtim.tv_nsec
  }

  /// When the file was written, seconds since the epoch.
  public var modified: Double { Double(modifiedSeconds) + Double(modifiedNanoseconds) / 1e9 }
}
