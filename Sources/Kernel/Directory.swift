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
    guard let directory = opendir(path) else { throw KernelError("open", path) }
    defer { closedir(directory) }
    var entries: [Entry] = []
    while entries.count < limit, let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name != ".", name != ".." else { continue }
      let isDirectory = Int(entry.pointee.d_type) == Int(DT_DIR)
      entries.append(Entry(name: name, inode: UInt64(entry.pointee.d_ino), isDirectory: isDirectory))
    }
    return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
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
