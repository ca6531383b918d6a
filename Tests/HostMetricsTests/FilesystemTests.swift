import Kernel
import Synchronization
import TestSupport
import Testing

@testable import HostMetrics

private let mountinfo = """
  29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/dm-2 errors=remount-ro
  30 29 0:5 / /proc rw - proc proc rw
  31 29 8:1 / /data\\040one ro,relatime - xfs /dev/sda1 rw
  32 29 8:1 / /data\\040one rw,relatime - xfs /dev/sda1 rw,noquota
  33 29 8:2 / /gone ro - xfs /dev/sdb1 rw

  """

private let statistics = FilesystemStatistics(
  blockSize: 4096, blocks: 100, freeBlocks: 50, availableBlocks: 40, files: 10, freeFiles: 5)

@Sendable private func answer(_ path: [UInt8]) -> Result<FilesystemStatistics, KernelError> {
  path == Array("/gone".utf8) ? .failure(KernelError("statfs", "/gone", code: 2)) : .success(statistics)
}

@Suite struct FilesystemTests {
  @Test func showsEachMountOnce() throws {
    let root = TemporaryDirectory()
    root.write("proc/self/mountinfo", mountinfo)
    let host = try Host.fixture(FilesystemCollector.self, root.path)
    let text = try render(FilesystemCollector(host, probe: answer))
    #expect(
      lines(text, "node_filesystem_device_error") == [
        #"node_filesystem_device_error{device="/dev/dm-2",device_error="",fstype="ext4",mountpoint="/"} 0"#,
        #"node_filesystem_device_error{device="/dev/sda1",device_error="",fstype="xfs",mountpoint="/data one"} 0"#,
        #"node_filesystem_device_error{device="/dev/sdb1",device_error="no such file or directory",fstype="xfs",mountpoint="/gone"} 1"#,
      ])
    #expect(
      lines(text, "node_filesystem_readonly").map { $0.suffix(2) } == [" 0", " 0", " 1"])
    #expect(lines(text, "node_filesystem_avail_bytes").map { $0.suffix(7) } == [" 163840", " 163840"])
    #expect(
      lines(text, "node_filesystem_mount_info").last
        == #"node_filesystem_mount_info{device="/dev/sda1",major="8",minor="1",mountpoint="/data one"} 1"#)
  }

  @Test func takesTheRootsPathAway() throws {
    let root = TemporaryDirectory()
    root.write(
      "proc/1/mountinfo",
      "1 0 8:0 / /host rw - ext4 a rw\n2 0 8:1 / /host/b rw - ext4 b rw\n3 0 8:2 / /hostile rw - ext4 c rw\n")
    let host = try Host.fixture(FilesystemCollector.self, root.path, ["--path.rootfs=/host/"])
    let asked = Mutex<[String]>([])
    let collector = try FilesystemCollector(host) { path in
      asked.withLock { $0.append(String(decoding: path, as: UTF8.self)) }
      return .success(statistics)
    }
    let shown = try lines(render(collector), "node_filesystem_files_free").joined()
    #expect(shown.contains(#"mountpoint="/"}"#))
    #expect(shown.contains(#"mountpoint="/b"}"#))
    #expect(shown.contains(#"mountpoint="/hostile"}"#))
    #expect(asked.withLock { $0 } == ["/host/", "/host/b", "/host/hostile"])
  }

  @Test(arguments: [
    ["--collector.filesystem.fs-types-exclude=a", "--collector.filesystem.fs-types-include=b"],
    ["--collector.filesystem.ignored-mount-points=a", "--collector.filesystem.mount-points-exclude=b"],
  ])
  func refusesFlags(_ arguments: [String]) throws {
    let host = try Host.fixture(FilesystemCollector.self, "/nonexistent", arguments)
    #expect(throws: CollectorConfigurationError.self) { try FilesystemCollector(host) }
  }
}
