// Reads /proc/mdstat (drivers/md/md.c, md_seq_show), and the arrays' numbers of disks in /sys/block/mdN/md
// (Documentation/admin-guide/md.rst).

import Bytes
import Exposition
import Kernel

final class MdadmCollector: Collector {
  static let name = "mdadm"

  private static let state = MetricFamily.gauge(
    "node_md_state", "Indicates the state of md-device.", ["device", "state"])
  private static let disks = MetricFamily.gauge(
    "node_md_disks", "Number of active/failed/spare disks of device.", ["device", "state"])
  private static let disksRequired = device("disks_required", "Total number of disks of device.")
  private static let blocks = device("blocks", "Total number of blocks on device.")
  private static let blocksSynced = device("blocks_synced", "Number of blocks synced on device.")
  private static let raidDisks = device("raid_disks", "Number of raid disks on device.")
  private static let degraded = device("degraded", "Number of degraded disks on device.")

  private static func device(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_md_\(name)", help, ["device"])
  }

  private static let states: [(label: StaticString, state: MdArray.State)] = [
    ("active", .active), ("check", .checking), ("inactive", .inactive), ("recovering", .recovering),
    ("resync", .resyncing),
  ]
  private static let degradableLevels: Set<String> = ["raid1", "raid4", "raid5", "raid6", "raid10"]

  private let mdstat: KernelFile
  private var folders: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()
  private var buffer = ByteWriter()

  init(_ host: Host) {
    mdstat = KernelFile(host.proc("mdstat"), limit: 1 << 20)
    folders = DeviceFolders(host.sys("block")) { $0.hasPrefix("md") }
  }

  func collect(into writer: MetricWriter) throws {
    guard try mdstat.readIfPresent(into: &buffer) else { throw NoData("\(mdstat.path) is not there") }
    try writeFolders(into: writer)
    try buffer.withBytes { text in try writeArrays(of: text, into: writer) }
  }

  private func writeArrays(of text: RawSpan, into writer: MetricWriter) throws {
    var isMalformed = false
    MdArray.forEach(in: text) { name, array in
      guard let array else {
        isMalformed = true
        return
      }
      for (label, state) in Self.states {
        writer.begin(Self.state)
        writer.label(name)
        writer.label(label)
        writer.end(array.state == state ? 1.0 : 0.0)
      }
      let disks: [(state: StaticString, count: Int64)] = [
        ("active", array.activeDisks), ("failed", array.failedDisks), ("spare", array.spareDisks),
      ]
      for disk in disks {
        writer.begin(Self.disks)
        writer.label(name)
        writer.label(disk.state)
        writer.end(Double(disk.count))
      }
      writer.write(Self.disksRequired, name, Double(array.disks))
      writer.write(Self.blocks, name, Double(array.blocks))
      writer.write(Self.blocksSynced, name, Double(array.syncedBlocks))
    }
    if isMalformed { throw MalformedFile(mdstat.path, "an array is not described as expected") }
  }

  private func writeFolders(into writer: MetricWriter) throws {
    for folder in try folders.present() {
      guard let level = reader.text(folder.path, "md/level"),
        let disks = reader.unsigned(folder.path, "md/raid_disks")
      else { continue }
      // The other levels do not bear the loss of a disk.
      let degraded =
        Self.degradableLevels.contains(level) ? reader.unsigned(folder.path, "md/degraded") : 0
      writer.write(Self.raidDisks, [folder.name], Double(disks))
      if let degraded { writer.write(Self.degraded, [folder.name], Double(degraded)) }
    }
  }
}
