import Bytes
import Glibc
import TestSupport
import Testing

@testable import Kernel

/// What the file holds, or why it could not be read.
private func read(_ file: KernelFile) -> Result<String, KernelError> {
  var buffer = ByteWriter()
  do {
    try file.read(into: &buffer)
    return .success(String(utf8: buffer.bytes))
  } catch {
    return .failure(error)
  }
}

@Suite struct KernelFileTests {
  @Test(
    arguments: [0, 1, 2047, 2048, 4095, 4096, 4097, 12288, 100_000, 3 << 20],
    [KernelFile.Source.onePiece, .shortLines, .unknown])
  func readsAnyLength(_ length: Int, _ source: KernelFile.Source) {
    let folder = TemporaryDirectory()
    let text = String(repeating: "x", count: length)
    folder.overwrite("a", text)
    let file = KernelFile("\(folder.path)/a", source)
    // The second time it knows how much room is wanted.
    for _ in 0..<2 { #expect(read(file) == .success(text)) }
  }

  /// What the kernel makes page by page is read whole however its end is found.
  @Test(arguments: [
    ("/proc/self/net/netstat", KernelFile.Source.onePiece), ("/proc/self/net/softnet_stat", .shortLines),
    ("/proc/partitions", .shortLines), ("/proc/filesystems", .onePiece), ("/proc/devices", .shortLines),
    ("/proc/sys/kernel/osrelease", .onePiece),
  ])
  func findsTheEndOfTheKernelsFiles(_ path: String, _ source: KernelFile.Source) throws {
    func shape(_ text: String) -> [Int] { text.split(separator: "\n").map { $0.split(separator: " ").count } }
    let known = try shape(read(KernelFile(path, source)).get())
    #expect(try !known.isEmpty && known == shape(read(KernelFile(path)).get()))
  }

  @Test func readsAgain() {
    let folder = TemporaryDirectory()
    let file = KernelFile("\(folder.path)/a")
    for text in ["first", "a longer second", "", "3rd", String(repeating: "y", count: 9000), "end"] {
      folder.overwrite("a", text)
      #expect(read(file) == .success(text))
      #expect(read(file) == .success(text))
    }
  }

  @Test func emptiesTheBufferFirst() throws {
    let folder = TemporaryDirectory()
    folder.overwrite("a", "new")
    var buffer = ByteWriter()
    buffer.append("old and long")
    try KernelFile("\(folder.path)/a").read(into: &buffer)
    #expect(String(utf8: buffer.bytes) == "new")
  }

  @Test func saysWhatIsMissing() throws {
    let folder = TemporaryDirectory()
    let path = "\(folder.path)/a"
    let file = KernelFile(path)
    var buffer = ByteWriter()
    #expect(read(file) == .failure(KernelError("open", path, code: ENOENT)))
    #expect(try file.readIfPresent(into: &buffer) == false)
    // It comes.
    folder.overwrite("a", "here")
    #expect(try file.readIfPresent(into: &buffer))
    #expect(String(utf8: buffer.bytes) == "here")
    #expect(read(KernelFile("\(path)/below")) == .failure(KernelError("open", "\(path)/below", code: ENOTDIR)))
  }

  @Test func opensAnewWhatNoLongerReads() throws {
    // A process's file reads no more (ESRCH) once the process is gone.
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("600"), nil]
    defer { for argument in arguments { free(argument) } }
    var child = pid_t()
    try #require(posix_spawn(&child, "/bin/sleep", nil, nil, &arguments, environ) == 0)
    let file = KernelFile("/proc/\(child)/stat")
    let before = read(file)
    kill(child, SIGKILL)
    waitpid(child, nil, 0)
    #expect((try? before.get())?.hasPrefix("\(child) (") == true)
    #expect(read(file) == .failure(KernelError("open", "/proc/\(child)/stat", code: ENOENT)))
  }

  @Test(arguments: [(0, true), (4999, true), (5000, false), (5001, false)]) func keepsItsLimit(
    _ limit: Int, _ isTooLong: Bool
  ) {
    let folder = TemporaryDirectory()
    let path = "\(folder.path)/a"
    let text = String(repeating: "z", count: 5000)
    folder.overwrite("a", text)
    let file = KernelFile(path, limit: limit)
    for _ in 0..<2 {
      #expect(read(file) == (isTooLong ? .failure(KernelError("read", path, code: EFBIG)) : .success(text)))
    }
    folder.overwrite("a", "")
    #expect(read(file) == .success(""))
  }

  @Test func endsAFileWithoutEnd() {
    #expect(
      read(KernelFile("/dev/zero", limit: 1 << 20)) == .failure(KernelError("read", "/dev/zero", code: EFBIG)))
  }

  @Test func refusesWhatIsNoFile() {
    let folder = TemporaryDirectory()
    #expect(read(KernelFile(folder.path)) == .failure(KernelError("read", folder.path, code: EISDIR)))
    folder.makeFIFO("fifo")
    #expect(
      read(KernelFile("\(folder.path)/fifo")) == .failure(KernelError("read", "\(folder.path)/fifo", code: ESPIPE)))
  }

  @Test func closesItsDescriptors() throws {
    let folder = TemporaryDirectory()
    folder.overwrite("a", "text")
    let path = "\(folder.path)/a"
    for _ in 0..<5000 { #expect(read(KernelFile(path)) == .success("text")) }
    let limited = KernelFile(path, limit: 1)
    for _ in 0..<5000 { _ = read(limited) }
    let links = try Directory.names("/proc/self/fd").filter { name in
      var target = [CChar](repeating: 0, count: 4096)
      let count = readlink("/proc/self/fd/\(name)", &target, target.count)
      return count > 0 && String(decoding: target.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) == path
    }
    #expect(links.isEmpty)
  }
}

@Suite struct AttributeDirectoryTests {
  private func read(_ directory: borrowing AttributeDirectory, _ name: String) throws -> String {
    var buffer = ByteWriter()
    try directory.read(name, into: &buffer)
    return String(utf8: buffer.bytes)
  }

  @Test func readsFilesOfADirectory() throws {
    let folder = TemporaryDirectory()
    folder.overwrite("a", "text\n")
    folder.overwrite("long", String(repeating: "x", count: 5000))
    folder.makeFIFO("fifo")
    let directory = try AttributeDirectory(folder.path)
    let isSysfs = directory.isSysfs
    #expect(!isSysfs)
    #expect(try read(directory, "a") == "text\n")
    #expect(try read(directory, "long").utf8.count == 4096)
    #expect(try read(directory, "fifo") == "")
    #expect(throws: KernelError("open", "\(folder.path)/b", code: ENOENT)) { try read(directory, "b") }
    #expect(throws: KernelError("read", "\(folder.path)/.", code: EISDIR)) { try read(directory, ".") }
  }

  @Test func knowsSysfs() throws {
    let directory = try AttributeDirectory("/sys/class/net")
    let isSysfs = directory.isSysfs
    #expect(isSysfs)
    #expect(try read(directory, "lo/ifindex") == "1\n")
    #expect(throws: KernelError.self) { _ = try AttributeDirectory("/sys/class/net/lo/ifindex") }
  }
}

@Suite struct DirectoryTests {
  @Test func listsNamesInOrder() throws {
    let folder = TemporaryDirectory()
    #expect(try Directory.names(folder.path).isEmpty)
    for name in ["b", "a10", "a2", ".hidden", "Z", "é"] { folder.overwrite(name, "") }
    #expect(try Directory.names(folder.path) == [".hidden", "Z", "a10", "a2", "b", "é"])
    #expect(try Directory.names(folder.path, limit: 2).count == 2)
    #expect(try Directory.names(folder.path, limit: 0).isEmpty)
  }

  @Test func tellsEntriesApart() throws {
    let folder = TemporaryDirectory()
    folder.overwrite("a", "")
    mkdir("\(folder.path)/b", 0o755)
    symlink("b", "\(folder.path)/c")
    let entries = try Directory.entries(folder.path)
    #expect(entries.map(\.name) == ["a", "b", "c"])
    #expect(entries.map(\.isDirectory) == [false, true, false])
    #expect(Set(entries.map(\.inode)).count == 3)
    #expect(try Directory.entries(folder.path) == entries)
    unlink("\(folder.path)/c")
    rmdir("\(folder.path)/b")
  }

  /// More entries than one system call gives.
  @Test func listsManyNames() throws {
    let folder = TemporaryDirectory()
    let names = (1000..<3000).map { "a-rather-long-name-\($0)" }
    for name in names { folder.overwrite(name, "") }
    #expect(try Directory.names(folder.path) == names)
    #expect(try Directory.names(folder.path, limit: 5).count == 5)
    #expect(Directory.exists("\(folder.path)/\(names[0])") && !Directory.exists("\(folder.path)/none"))
  }

  @Test func saysWhatIsNone() {
    let folder = TemporaryDirectory()
    folder.overwrite("file", "")
    #expect(throws: KernelError("open", "\(folder.path)/none", code: ENOENT)) {
      try Directory.names("\(folder.path)/none")
    }
    #expect(throws: KernelError("open", "\(folder.path)/file", code: ENOTDIR)) {
      try Directory.names("\(folder.path)/file")
    }
    #expect(throws: KernelError("stat", "\(folder.path)/none", code: ENOENT)) {
      try Directory.size("\(folder.path)/none")
    }
  }
}

@Suite struct FileStampTests {
  @Test func changesWithTheFile() throws {
    let folder = TemporaryDirectory()
    let path = "\(folder.path)/a"
    #expect(FileStamp(path) == nil)
    folder.overwrite("a", "one")
    let stamp = try #require(FileStamp(path))
    #expect(FileStamp(path) == stamp)
    folder.overwrite("a", "longer")
    #expect(FileStamp(path) != stamp)
    folder.overwrite("b", "one")
    rename("\(folder.path)/b", path)
    #expect(FileStamp(path) != stamp)
    #expect(FileStamp("\(folder.path)/.") != FileStamp(folder.path))
  }
}

@Suite struct MonitorTests {
  @Test func wakesThoseThatWait() throws {
    let monitor = Monitor((started: 0, isOpen: false, ended: 0))
    for _ in 0..<8 {
      try KernelThread.start("test") {
        monitor.withLock { $0.started += 1 }
        monitor.signal()
        _ = monitor.wait { state, _ in state.isOpen ? true : nil }
        monitor.withLock { $0.ended += 1 }
        monitor.signal()
      }
    }
    _ = monitor.wait { state, _ in state.started == 8 ? true : nil }
    #expect(monitor.withLock { $0.ended } == 0)
    monitor.withLock { $0.isOpen = true }
    monitor.signal()
    _ = monitor.wait { state, _ in state.ended == 8 ? true : nil }
  }

  @Test func wakesAtTheDeadline() {
    let monitor = Monitor(0)
    let end = MonotonicClock.now + 20_000_000
    let runs = monitor.wait { count, deadline in
      count += 1
      deadline = end
      return MonotonicClock.now >= end ? count : nil
    }
    #expect(runs >= 2)
  }

  @Test func givesBackWhatIsThere() {
    let monitor = Monitor("value")
    #expect(monitor.wait { value, _ in value } == "value")
  }

  @Test func guardsItsValue() throws {
    let monitor = Monitor((sum: 0, ended: 0))
    for _ in 0..<4 {
      try KernelThread.start("test") {
        for _ in 0..<10_000 { monitor.withLock { $0.sum += 1 } }
        monitor.withLock { $0.ended += 1 }
        monitor.signal()
      }
    }
    #expect(monitor.wait { state, _ in state.ended == 4 ? state.sum : nil } == 40_000)
  }
}
