// Reads /sys/block/dm-N/{size,dm/{name,uuid,suspended}} (Documentation/ABI/testing/sysfs-block-dm), and the state of
// each path in /sys/block/dm-N/slaves: /sys/block/PATH/device/state.

import Exposition
import Kernel

final class DMMultipathCollector: Collector {
  static let name = "dmmultipath"

  private static let info = MetricFamily.gauge(
    "node_dmmultipath_device_info", "Non-numeric information about a DM-multipath device.",
    ["device", "sysfs_name", "uuid"])
  private static let active = device(
    "active", "Whether the multipath device-mapper device is active (1) or suspended (0).")
  private static let size = device(
    "size_bytes", "Size of the multipath device in bytes, read from /sys/block/<dm>/size.")
  private static let paths = device("paths", "Number of paths for a multipath device.")
  private static let activePaths = device(
    "paths_active", "Number of paths in active state (SCSI running or NVMe live) for a multipath device.")
  private static let failedPaths = device(
    "paths_failed", "Number of paths not in active state for a multipath device.")
  private static let pathState = MetricFamily.gauge(
    "node_dmmultipath_path_state",
    "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.",
    ["device", "path", "state"])

  private static func device(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_dmmultipath_device_\(name)", help, ["device", "sysfs_name"])
  }

  private let blockFolder: String
  private let reader = AttributeReader()

  init(_ host: Host) { blockFolder = host.sys("block") }

  func collect(into writer: MetricWriter) throws {
    for device in try NoData.ifAbsent({ try Directory.names(blockFolder) }) where device.hasPrefix("dm-") {
      let path = "\(blockFolder)/\(device)"
      guard let uuid = reader.text(path, "dm/uuid"), uuid.hasPrefix("mpath-"),
        let name = reader.text(path, "dm/name"), let suspended = reader.unsigned(path, "dm/suspended"),
        let sectors = reader.unsigned(path, "size")
      else { continue }
      writer.write(Self.info, [name, device, uuid], 1)
      let labels = [name, device]
      writer.write(Self.active, labels, suspended == 1 ? 0 : 1)
      writer.write(Self.size, labels, Double(sectors &* 512))
      writePaths(in: "\(path)/slaves", name, labels, into: writer)
    }
  }

  private func writePaths(in folder: String, _ name: String, _ labels: [String], into writer: MetricWriter) {
    // A device that has just gone has no paths.
    let paths = (try? Directory.names(folder)) ?? []
    var active = 0.0
    var failed = 0.0
    for path in paths {
      guard let state = reader.text("\(blockFolder)/\(path)", "device/state") else { continue }
      if state == "running" || state == "live" { active += 1 } else { failed += 1 }
      writer.write(Self.pathState, [name, path, state], 1)
    }
    writer.write(Self.paths, labels, active + failed)
    writer.write(Self.activePaths, labels, active)
    writer.write(Self.failedPaths, labels, failed)
  }
}
