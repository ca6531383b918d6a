import CLinux
import Glibc

/// A directory's content.
public enum Directory {
  /// What readdir(3) tells of a file.
  public struct Entry: Equatable, Sendable {
    public let name: String
    /// Of the entry itself, were it a link: in sysfs another one when a device went and another came by its name.
    public let inode: UInt64
    /// False for a link to one, too.
    public let isDirectory: Bool
  }

  /// The names in a directory, but for `.` and `..`, in byte order.
  ///
  /// - Parameter limit: entries; what is beyond is left out.
  public static func names(_ path: String, limit: Int = 1 << 20) throws(KernelError) -> [String] {
    try entries(path, limit: limit).map(\.name)
  }

  /// The names of the directories in a directory, but for `.` and `..` and links, in byte order.
  public static func directories(_ path: String) throws(KernelError) -> [String] {
    try entries(path).filter(\.isDirectory).map(\.name)
  }

  /// What is in a directory, but for `.` and `..`, in byte order of the names.
  ///
  /// - Parameter limit: entries; what is beyond is left out.
  public static func entries(_ path: String, limit: Int = 1 << 20) throws(KernelError) -> [Entry] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK)
    guard descriptor >= 0 else { throw KernelError("open", path) }
    defer { close(descriptor) }
    var entries: [Entry] = []
    var failure: Int32 = 0
    withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) { buffer in
      while entries.count < limit {
        let count = clinux_getdents(descriptor, buffer.baseAddress, UInt(buffer.count))
        if count < 0 { failure = errno }
        guard count > 0 else { return }
        append(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: &entries)
      }
    }
    guard failure == 0 else { throw KernelError("list", path, code: failure) }
    return entries.prefix(limit).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Takes records of the type struct linux_dirent64: inode, offset, length, type, name and a 0.
  private static func append(_ records: UnsafeRawBufferPointer, to entries: inout [Entry]) {
    var position = 0
    while position + 19 < records.count {
      let length = Int(records.loadUnaligned(fromByteOffset: position + 16, as: UInt16.self))
      guard length > 19, position + length <= records.count else { return }
      let name = records[position + 19..<position + length].prefix { $0 != 0 }
      if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) {
        entries.append(
          Entry(
            name: String(decoding: name, as: UTF8.self),
            inode: records.loadUnaligned(fromByteOffset: position, as: UInt64.self),
            isDirectory: records[position + 18] == UInt8(DT_DIR)))
      }
      position += length
    }
  }

  /// Whether there is anything of that path that this process may see.
  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

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
