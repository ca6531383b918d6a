import Bytes
import CLinux
import Glibc

/// What this process may take of the memory, and what it takes.
public enum ProcessMemory {
  /// Bytes that cannot be given back by dropping pages of files (proc_pid_statm(5): resident less shared); nil when the
  /// kernel does not say.
  public static func anonymousBytes() -> Int? {
    guard let text = read("/proc/self/statm") else { return nil }
    var scanner = ByteScanner(text.span.bytes)
    guard scanner.unsigned() != nil, let resident = scanner.unsigned(), let shared = scanner.unsigned() else {
      return nil
    }
    return Int(clamping: resident > shared ? resident - shared : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// The lowest limit of the cgroups that this process is in, in bytes (cgroup v2: memory.max; v1:
  /// memory.limit_in_bytes); nil when there is none.
  public static func cgroupLimit() -> Int? {
    var limits: [Int] = []
    for line in (read("/proc/self/cgroup") ?? []).split(separator: .newline) {
      let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isVersion2 = fields[1].isEmpty
      guard
        isVersion2 || fields[1].split(separator: UInt8(ascii: ",")).contains(where: { $0.elementsEqual("memory".utf8) })
      else { continue }
      let root = isVersion2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
      let file = isVersion2 ? "memory.max" : "memory.limit_in_bytes"
      var path = String(decoding: fields[2], as: UTF8.self)
      // From the process' own group up: each has a say. In a container the path may not be visible; the root then is
      // the container's.
      while true {
        if let limit = number(in: "\(root)\(path == "/" ? "" : path)/\(file)") { limits.append(limit) }
        guard path.utf8.count > 1, let slash = path.lastIndex(of: "/") else { break }
        path = slash == path.startIndex ? "/" : String(path[..<slash])
      }
    }
    // v1 says "no limit" by a number near the largest.
    return limits.filter { $0 > 0 && $0 < 1 << 60 }.min()
  }

  /// Gives memory that is free back to the kernel.
  public static func trim() { clinux_trim_heap() }

  /// Large tables that have grown give their old memory back at once. Left to itself, glibc raises the size from which
  /// it does so with each one that is freed, and keeps the holes: a fifth of the agent's memory at 447,000 series.
  public static func mapLargeBlocks() { clinux_map_blocks_from(512 << 10) }

  private static func number(in path: String) -> Int? {
    guard let text = read(path) else { return nil }
    var scanner = ByteScanner(text.span.bytes)
    return scanner.unsigned().map { Int(clamping: $0) }
  }

  /// At most 64 KiB of a file.
  private static func read(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count >= 0 ? Array(bytes[..<count]) : nil
  }
}
