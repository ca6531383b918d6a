// Small files of sysfs, read relative to an open directory (openat(2)).

import Bytes
import CLinux
import Glibc

/// A directory of sysfs that is open while this value lives: for dozens of files of each of many devices at every
/// scrape, where the kernel's walk down each path would cost more than the read. An `AttributeReader` is for the few
/// files of a few devices, a `KernelFile` for what never goes.
public struct AttributeDirectory: ~Copyable {
  private static let sysfsMagic = 0x6265_6572

  private let path: String
  private let descriptor: Int32

  /// Opens the directory.
  public init(_ path: String) throws(KernelError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
    guard descriptor >= 0 else { throw KernelError("open", path) }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }

  /// Whether the kernel's sysfs is mounted here, not a copy of it.
  public var isSysfs: Bool {
    var status = statfs()
    return fstatfs(descriptor, &status) == 0 && Int(status.f_type) == Self.sysfsMagic
  }

  /// Reads a file, at most its first 4096 bytes, which is all that an attribute may have; `buffer` then holds them and
  /// nothing else.
  ///
  /// - Parameter name: the file's path from this directory.
  public func read(_ name: String, into buffer: inout ByteWriter) throws(KernelError) {
    let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw KernelError("open", "\(path)/\(name)") }
    defer { _ = close(file) }
    buffer.removeAll()
    var failure: Int32 = 0
    repeat {
      failure = 0
      buffer.append(capacity: 4096) { room in
        let count = Glibc.read(file, room.baseAddress, room.count)
        if count < 0 { failure = errno }
        return max(count, 0)
      }
    } while failure == EINTR
    guard failure == 0 else { throw KernelError("read", "\(path)/\(name)", code: failure) }
  }
}
