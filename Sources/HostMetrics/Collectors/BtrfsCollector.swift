// Reads /sys/fs/btrfs/UUID (Documentation/filesystems/btrfs.rst, fs/btrfs/sysfs.c), and asks the mounted file systems
// for their devices' sizes and errors by ioctl (btrfs-ioctl(2)).

import Bytes
import Exposition
import Kernel

final class BtrfsCollector: Collector {
  static let name = "btrfs"

  private static func gauge(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    .gauge("node_btrfs_\(name)", help, labels + ["uuid"])
  }

  private static let info = gauge("info", "Filesystem information", ["label"])
  private static let reserve = gauge("global_rsv_size_bytes", "Size of global reserve.")

  /// Lines of commit_stats.
  private static let commits: [(key: StaticString, family: MetricFamily, divisor: Double)] = [
    (
      "commits",
      .counter("node_btrfs_commits_total", "The total number of commits that have occurred.", ["uuid"]), 1
    ),
    (
      "last_commit_ms",
      gauge("last_commit_seconds", "Duration of the most recent commit, in seconds."), 1000
    ),
    ("max_commit_ms", gauge("max_commit_seconds", "Duration of the slowest commit, in seconds."), 1000),
    (
      "total_commit_ms",
      .counter("node_btrfs_commit_seconds_total", "Sum of the duration of all commits, in seconds.", ["uuid"]), 1000
    ),
  ]

  private static let groupTypes = ["data", "metadata", "system"]
  private static let reserved = gauge(
    "reserved_bytes", "Amount of space reserved for a data type", ["block_group_type"])
  private static let used = gauge(
    "used_bytes", "Amount of used space by a layout/data type", ["block_group_type", "mode"])
  private static let size = gauge(
    "size_bytes", "Amount of space allocated for a layout/data type", ["block_group_type", "mode"])
  private static let ratio = gauge(
    "allocation_ratio", "Data allocation ratio for a layout/data type", ["block_group_type", "mode"])

  private static let deviceSizeHelp = "Size of a device that is part of the filesystem."
  /// Of a file system that is not mounted, or not where we may look.
  private static let deviceSize = gauge("device_size_bytes", deviceSizeHelp, ["device"])
  /// Of a mounted one.
  private static let mountedDeviceSize = gauge("device_size_bytes", deviceSizeHelp, ["btrfs_dev_uuid", "device"])
  private static let deviceUnused = gauge(
    "device_unused_bytes", "Unused bytes unused on a device that is part of the filesystem.",
    ["btrfs_dev_uuid", "device"])
  private static let deviceErrors = MetricFamily.counter(
    "node_btrfs_device_errors_total", "Errors reported for the device",
    ["btrfs_dev_uuid", "device", "type", "uuid"])
  /// In the order of `BtrfsDevice.errors`.
  private static let errorTypes = ["write", "read", "flush", "corruption", "generation"]

  /// How long a mount is waited for; then its devices are shown as those of one that is not mounted.
  private static let patience = Duration.seconds(1)

  private let hostMounts: HostMounts
  private var folders: DeviceFolders<DeviceFolder>
  private let mounts: MountWorkers<BtrfsDevices>
  private let reader = AttributeReader()
  private var buffer = ByteWriter()

  convenience init(_ host: Host) { self.init(host, patience: Self.patience, probe: BtrfsDevices.read) }

  /// - Parameter probe: stands in for the ioctls in tests.
  init(_ host: Host, patience: Duration, probe: @escaping MountWorkers<BtrfsDevices>.Probe) {
    hostMounts = HostMounts(host)
    folders = DeviceFolders(host.sys("fs/btrfs")) { $0.contains("-") }
    mounts = MountWorkers(timeout: patience, threads: 4, probe: probe)
  }

  func collect(into writer: MetricWriter) throws {
    let present = try folders.present()
    if present.isEmpty { return }
    // Without a list of mounts, sysfs says what it can.
    let mounted = (try? readMounted()) ?? [:]
    for folder in present {
      // Gone by now, if it has none.
      guard let devices = try? Directory.names("\(folder.path)/devices") else { continue }
      let uuid = reader.text(folder.path, "metadata_uuid").flatMap { $0.isEmpty ? nil : $0 } ?? folder.name
      writer.write(Self.info, [reader.text(folder.path, "label") ?? "", uuid], 1)
      writer.write(Self.reserve, [uuid], number(folder.path, "allocation/global_rsv_size"))
      writeCommits(of: folder.path, uuid, into: writer)
      for type in Self.groupTypes {
        writeGroups(at: "\(folder.path)/allocation/\(type)", type, uuid, devices.count, into: writer)
      }
      if let known = mounted[String(uuid.filter { $0 != "-" })] {
        for device in known.devices { write(device, uuid, into: writer) }
      } else {
        for device in devices {
          let sectors = number("\(folder.path)/devices", "\(device)/size")
          writer.write(Self.deviceSize, [device, uuid], sectors * 512)
        }
      }
    }
  }

  // MARK: sysfs

  /// The file's number; 0 when it has none, as node_exporter shows it.
  private func number(_ folder: String, _ file: String) -> Double { Double(reader.unsigned(folder, file) ?? 0) }

  private func writeCommits(of path: String, _ uuid: String, into writer: MetricWriter) {
    // Kernels before 6.0 have no such file, and node_exporter shows 0.
    var values = Self.commits.map { _ in 0.0 }
    reader.value(path, "commit_stats") { text in
      var lines = ByteScanner(text)
      while let line = lines.line() {
        var fields = ByteScanner(line)
        guard let key = fields.field(), let index = Self.commits.firstIndex(where: { key.equals($0.key) }),
          let value = fields.unsigned()
        else { continue }
        values[index] = Double(value) / Self.commits[index].divisor
      }
    }
    for (commit, value) in zip(Self.commits, values) { writer.write(commit.family, [uuid], value) }
  }

  /// - Parameter deviceCount: of the whole file system.
  private func writeGroups(
    at path: String, _ type: String, _ uuid: String, _ deviceCount: Int, into writer: MetricWriter
  ) {
    guard let modes = try? Directory.directories(path) else { return }
    writer.write(Self.reserved, [type, uuid], number(path, "bytes_reserved"))
    for mode in modes {
      let labels = [type, mode, uuid]
      writer.write(Self.used, labels, number(path, "\(mode)/used_bytes"))
      writer.write(Self.size, labels, number(path, "\(mode)/total_bytes"))
      writer.write(Self.ratio, labels, Self.ratio(of: mode, deviceCount: Double(deviceCount)))
    }
  }

  /// Bytes on the devices for a byte of data; 0 where node_exporter knows the mode no better.
  private static func ratio(of mode: String, deviceCount: Double) -> Double {
    switch mode {
    case "single", "raid0": 1
    case "dup", "raid1", "raid10": 2
    case "raid5": deviceCount / (deviceCount - 1)
    case "raid6": deviceCount / (deviceCount - 2)
    default: 0
    }
  }

  // MARK: Mounted file systems

  /// The mounted file systems by their UUIDs without dashes.
  private func readMounted() throws -> [String: BtrfsDevices] {
    try hostMounts.read(into: &buffer)
    // A file system may be mounted many times, and not each place may let us in: they are tried one after the other.
    var places: [[UInt8]: [[UInt8]]] = [:]
    for mount in Mount.all(in: buffer.bytes) where mount.type == Array("btrfs".utf8) {
      places[mount.source, default: []].append(path(of: mount))
    }
    var found: [String: BtrfsDevices] = [:]
    while !places.isEmpty {
      let asked = places.map { source, paths in (source: source, path: paths[0]) }
      for ((source, _), answer) in zip(asked, mounts.answers(for: asked.map(\.path))) {
        let rest = places[source]?.dropFirst() ?? []
        places[source] = answer.statistics != nil || rest.isEmpty ? nil : Array(rest)
        if let statistics = answer.statistics { found[statistics.fsid] = statistics }
      }
    }
    return found
  }

  /// Where the mount is for this process: below the host's root, if that is mounted elsewhere.
  private func path(of mount: Mount) -> [UInt8] {
    let prefix = hostMounts.rootPrefix
    return mount.mountPoint.starts(with: prefix) ? mount.mountPoint : prefix + mount.mountPoint
  }

  private func write(_ device: BtrfsDevice, _ uuid: String, into writer: MetricWriter) {
    let name = device.path.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init) ?? ""
    writer.write(Self.mountedDeviceSize, [device.uuid, name, uuid], Double(device.size))
    writer.write(Self.deviceUnused, [device.uuid, name, uuid], Double(device.size &- device.used))
    for (type, count) in zip(Self.errorTypes, device.errors) {
      writer.write(Self.deviceErrors, [device.uuid, name, type, uuid], Double(count))
    }
  }
}
