import Bytes
import Glibc

/// A file of /proc, /sys or a cgroup tree, opened once and read again and again with pread(2) into a caller's
/// buffer: opening costs more than reading.
///
/// When the file is gone or was replaced (a device was unplugged and came back), the next read opens it anew.
/// A file belongs to one thread at a time.
public final class KernelFile {
  public let path: String
  private let limit: Int
  private var descriptor: Int32 = -1

  /// - Parameter limit: bytes; a longer file is an error (EFBIG).
  public init(_ path: String, limit: Int = 64 << 20) {
    self.path = path
    self.limit = limit
  }

  deinit { close() }

  /// Reads the whole file; `buffer` then holds it and nothing else.
  ///
  /// - Throws: when it cannot be opened or read, or is longer than the limit.
  public func read(into buffer: inout ByteWriter) throws(KernelError) {
    let wasOpen = descriptor >= 0
    do {
      try readOnce(into: &buffer)
    } catch {
      close()
      guard wasOpen else { throw error }
      try readOnce(into: &buffer)
    }
  }

  /// As `read(into:)`, but false when the file is not there.
  public func readIfPresent(into buffer: inout ByteWriter) throws(KernelError) -> Bool {
    do {
      try read(into: &buffer)
      return true
    } catch {
      guard error.isAbsence else { throw error }
      return false
    }
  }

  /// Reads the whole file and hands its bytes to `body`, which may use them as long as it runs.
  public func read<R>(into buffer: inout ByteWriter, _ body: (RawSpan) throws -> R) throws -> R {
    try read(into: &buffer)
    return try body(buffer.bytes)
  }

  private func readOnce(into buffer: inout ByteWriter) throws(KernelError) {
    if descriptor < 0 {
      // O_NONBLOCK: a FIFO in the place of a file gives an error instead of a wait.
      descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw KernelError("open", path) }
    }
    buffer.removeAll()
    var chunk = 4096
    while true {
      let offset = buffer.count
      var failure: Int32 = 0
      buffer.append(capacity: chunk) { room in
        let count = pread(descriptor, room.baseAddress, room.count, off_t(offset))
        if count < 0 { failure = errno }
        return max(count, 0)
      }
      if failure == EINTR { continue }
      guard failure == 0 else { throw KernelError("read", path, code: failure) }
      if buffer.count == offset { return }
      guard buffer.count <= limit else { throw KernelError("read", path, code: EFBIG) }
      if buffer.count - offset == chunk { chunk = min(chunk * 2, 1 << 20) }
    }
  }

  private func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}

/// A directory's content.
public enum Directory {
  /// The names in a directory, but for `.` and `..`, in byte order.
  ///
  /// - Parameter limit: entries; what is beyond is left out.
  public static func names(_ path: String, limit: Int = 1 << 20) throws(KernelError) -> [String] {
    try names(path, limit: limit) { _ in true }
  }

  /// The names of the directories in a directory, but for `.` and `..` and links, in byte order.
  public static func directories(_ path: String) throws(KernelError) -> [String] {
    try names(path, limit: 1 << 20) { $0 == UInt8(DT_DIR) || $0 == UInt8(DT_UNKNOWN) }
  }

  /// - Parameter isWanted: whether an entry of this type (`DT_DIR`, …) is one of them.
  private static func names(
    _ path: String, limit: Int, where isWanted: (UInt8) -> Bool
  ) throws(KernelError) -> [String] {
    guard let directory = opendir(path) else { throw KernelError("open", path) }
    defer { closedir(directory) }
    var names: [String] = []
    while names.count < limit, let entry = readdir(directory) {
      guard isWanted(entry.pointee.d_type) else { continue }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The directory's size as stat(2) has it, in bytes; in /proc/PID/fd the number of descriptors, since Linux 6.2.
  public static func size(_ path: String) throws(KernelError) -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else { throw KernelError("stat", path) }
    return Int(status.st_size)
  }

  /// What a symbolic link stands for, as it is written there; nil when the path is no link.
  public static func linkTarget(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { target in
      let count = readlink(path, target.baseAddress!, target.count)
      guard count >= 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<count]), as: UTF8.self)
    }
  }
}
