import TestSupport
import Testing

@testable import HostMetrics

private let three = """
     8       0 sda 10 20 30 40 50 60 70 80 9 100 110
     8       1 sda1 1 1 1 1 1 1 1 1 1 1 1
   259       0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
     8      16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17

  """

@Suite struct DiskstatsTests {
  @Test func showsWhatALineHasColumnsFor() throws {
    let root = TemporaryDirectory()
    root.write("proc/diskstats", three)
    let text = try render(DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path)))
    #expect(
      lines(text, "node_disk_reads_completed_total") == [
        #"node_disk_reads_completed_total{device="nvme0n1"} 1"#, #"node_disk_reads_completed_total{device="sda"} 10"#,
        #"node_disk_reads_completed_total{device="sdb"} 1"#,
      ])
    #expect(lines(text, "node_disk_read_bytes_total").contains(#"node_disk_read_bytes_total{device="sda"} 15360"#))
    #expect(
      lines(text, "node_disk_io_time_seconds_total").contains(#"node_disk_io_time_seconds_total{device="sda"} 0.1"#))
    #expect(
      lines(text, "node_disk_discarded_sectors_total") == [
        #"node_disk_discarded_sectors_total{device="nvme0n1"} 14"#,
        #"node_disk_discarded_sectors_total{device="sdb"} 14"#,
      ])
    #expect(lines(text, "node_disk_flush_requests_total") == [#"node_disk_flush_requests_total{device="sdb"} 16"#])
  }

  @Test func readsUdevAndItsChanges() throws {
    let root = TemporaryDirectory()
    root.write("proc/diskstats", three)
    root.write("sys/block/sda/queue/rotational", "1\n")
    root.write(
      "udev/b8:0", "S:x\nE:ID_MODEL=A\\B\nE:ID_SERIAL=long\nE:ID_FS_TYPE=ext4\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\n")
    let collector = try DiskstatsCollector(
      .fixture(DiskstatsCollector.self, root.path, ["--collector.diskstats.device-include=^sda$"]))
    let text = try render(collector)
    #expect(
      lines(text, "node_disk_info") == [
        #"node_disk_info{device="sda",major="8",minor="0",model="A\\B",path="",revision="",rotational="1",serial="long",wwn=""} 1"#
      ])
    #expect(
      lines(text, "node_disk_filesystem_info") == [
        #"node_disk_filesystem_info{device="sda",type="ext4",usage="",uuid="",version=""} 1"#
      ])
    #expect(lines(text, "node_disk_ata") == [#"node_disk_ata_write_cache{device="sda"} 1"#])
    root.write("udev/b8:0", "E:ID_MODEL=C\nE:SCSI_IDENT_SERIAL=s\nE:DM_NAME=m\n")
    let changed = try render(collector)
    #expect(lines(changed, "node_disk_info").first?.contains(#"model="C""#) == true)
    #expect(lines(changed, "node_disk_filesystem_info").isEmpty)
    #expect(lines(changed, "node_disk_device_mapper_info").count == 1)
    root.delete("udev/b8:0")
    #expect(try lines(render(collector), "node_disk_info").first?.contains(#"model="""#) == true)
  }

  @Test func keepsUpWithDevicesThatComeAndGo() throws {
    let root = TemporaryDirectory()
    root.write("proc/diskstats", three)
    let collector = try DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path))
    _ = try render(collector)
    let line = "8 48 sdc 1 2 3 4 5 6 7 8 9 10 11\n"
    root.write("proc/diskstats", line)
    // The file is kept open: a replaced one shows up when it is opened anew, which a new collector does.
    let fresh = try DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path))
    #expect(try lines(render(fresh), "node_disk_io_now") == [#"node_disk_io_now{device="sdc"} 9"#])
  }

  @Test(arguments: [
    ["--collector.diskstats.device-include=a", "--collector.diskstats.device-exclude=b"],
    ["--collector.diskstats.ignored-devices=a", "--collector.diskstats.device-exclude=b"],
    ["--collector.diskstats.device-include=("],
  ])
  func refusesFlags(_ arguments: [String]) throws {
    let host = try Host.fixture(DiskstatsCollector.self, "/nonexistent", arguments)
    #expect(throws: CollectorConfigurationError.self) { try DiskstatsCollector(host) }
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    var random = SeededGenerator(1)
    for _ in 0..<300 {
      root.write("proc/diskstats", bytes: mutated(Array(three.utf8), with: &random))
      root.write("udev/b8:0", bytes: mutated(Array("E:ID_MODEL=C\nE:DM_NAME=m\n".utf8), with: &random))
      _ = try render(DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path)))
    }
    root.write("proc/diskstats", String(repeating: "9", count: 1 << 20))
    #expect(try render(DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path))).isEmpty)
    root.delete("proc/diskstats")
    #expect(throws: (any Error).self) { try render(DiskstatsCollector(.fixture(DiskstatsCollector.self, root.path))) }
  }
}
