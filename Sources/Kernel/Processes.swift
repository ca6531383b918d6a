// Reads the state of processes and of their threads: /proc/PID/stat and /proc/PID/task/TID/stat (proc_pid_stat(5)).

import Bytes
import CLinux
import Glibc

/// Counts processes and threads with three system calls each and one buffer for all. What vanishes meanwhile, or may
/// not be read, is left out.
///
/// A counter belongs to one thread at a time.
public final class ProcessCounter {
  /// What is counted. A state is the letter in the stat file.
  public struct Counts: Sendable, Equatable {
    public var processes = 0
    /// As the processes say how many they have.
    public var threads = 0
    /// Processes by state: of the letter with the index's ASCII code.
    public var processStates = [Int](repeating: 0, count: 128)
    /// Threads by state.
    public var threadStates = [Int](repeating: 0, count: 128)
  }

  private struct Status {
    var state: UInt8
    var threads: Int
  }

  private let path: String
  private var buffer = ByteWriter(capacity: 32 << 10)
  private var name = ByteWriter(capacity: 64)
  private var processes: [UInt32] = []
  private var threads: [UInt32] = []

  /// - Parameter path: of procfs.
  public init(_ path: String) { self.path = path }

  /// Counts all.
  ///
  /// - Throws: when procfs cannot be listed.
  public func count() throws(KernelError) -> Counts {
    let root = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard root >= 0 else { throw KernelError("open", path) }
    defer { close(root) }
    processes.removeAll(keepingCapacity: true)
    guard list(root, into: &processes) else { throw KernelError("list", path) }
    var counts = Counts()
    for process in processes {
      guard let status = status(of: process, in: root) else { continue }
      counts.processes += 1
      counts.threads &+= status.threads
      counts.processStates[Int(status.state)] += 1
      countThreads(of: process, status, in: root, into: &counts)
    }
    return counts
  }

  private func countThreads(of process: UInt32, _ status: Status, in root: Int32, into counts: inout Counts) {
    let folder = openFile("task", of: process, in: root, O_DIRECTORY)
    guard folder >= 0 else { return }
    defer { close(folder) }
    // Nearly all processes have one thread, and its state is known.
    if status.threads == 1 {
      counts.threadStates[Int(status.state)] += 1
      return
    }
    threads.removeAll(keepingCapacity: true)
    _ = list(folder, into: &threads)
    for thread in threads {
      guard let state = thread == process ? status.state : self.status(of: thread, in: folder)?.state else { continue }
      counts.threadStates[Int(state)] += 1
    }
  }

  // MARK: Files

  /// "1 (systemd) S 0 1 1 ...": the state, and the number of threads 17 fields on.
  private func status(of number: UInt32, in folder: Int32) -> Status? {
    let descriptor = openFile("stat", of: number, in: folder, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    buffer.removeAll()
    buffer.append(capacity: 4096) { room in max(0, read(descriptor, room.baseAddress, room.count)) }
    return buffer.withBytes { bytes in Self.parse(bytes) }
  }

  private static func parse(_ bytes: RawSpan) -> Status? {
    guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    var fields = ByteScanner(bytes.extracting(end + 1..<bytes.byteCount))
    guard let state = fields.field(), state[0] < 128 else { return nil }
    for _ in 0..<16 { _ = fields.field() }
    guard let threads = fields.unsigned().flatMap(Int.init(exactly:)) else { return nil }
    return Status(state: state[0], threads: threads)
  }

  /// Opens "NUMBER/FILE" below the folder.
  private func openFile(_ file: StaticString, of number: UInt32, in folder: Int32, _ flags: Int32) -> Int32 {
    name.removeAll()
    name.append(decimal: Int64(number))
    name.append(UInt8(ascii: "/"))
    name.append(file)
    name.append(0)
    return name.withUnsafeBytes { bytes in
      openat(
        folder, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags)
    }
  }

  /// The entries of a folder whose names are numbers; false when it cannot be read.
  private func list(_ folder: Int32, into numbers: inout [UInt32]) -> Bool {
    while true {
      buffer.removeAll()
      var count = 0
      buffer.append(capacity: 32 << 10) { room in
        count = clinux_getdents(folder, room.baseAddress, UInt(room.count))
        return max(0, count)
      }
      guard count > 0 else { return count == 0 }
      buffer.withBytes { entries in Self.takeNumbers(entries, into: &numbers) }
    }
  }

  /// struct linux_dirent64: inode and offset of 8 bytes each, the record's length of 2, a type of 1, and the name up to
  /// a NUL.
  private static func takeNumbers(_ entries: RawSpan, into numbers: inout [UInt32]) {
    var offset = 0
    while offset + 19 < entries.byteCount {
      let length = Int(entries.unsafeLoadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
      guard length > 19, offset + length <= entries.byteCount else { return }
      let name = entries.extracting(offset + 19..<offset + length)
      if let end = name.firstIndex(of: 0), let number = UInt64(decimal: name.extracting(0..<end)),
        let number = UInt32(exactly: number)
      {
        numbers.append(number)
      }
      offset += length
    }
  }
}
