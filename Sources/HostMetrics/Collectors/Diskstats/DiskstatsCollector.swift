// Reads /proc/diskstats (Documentation/admin-guide/iostats.rst), udev's properties of each device
// (/run/udev/data/bMAJOR:MINOR, the "E:" lines) and /sys/block/DEVICE/queue/rotational.

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class DiskstatsCollector: Collector {
  static let name = "diskstats"

  private static let include = Flag(
    "collector.diskstats.device-include", "",
    "Regexp of diskstats devices to include (mutually exclusive to device-exclude).")
  private static let exclude = Flag(
    "collector.diskstats.device-exclude", #"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"#,
    "Regexp of diskstats devices to exclude (mutually exclusive to device-include).")
  private static let ignored = Flag(
    "collector.diskstats.ignored-devices", "", "DEPRECATED: Use collector.diskstats.device-exclude", isHidden: true)
  static let flags = [include.definition, exclude.definition, ignored.definition]

  /// The columns behind the device's name, each with what makes its unit of the kernel's.
  private static let columns: [(family: MetricFamily, factor: Double)] = [
    (disk("reads_completed_total", "The total number of reads completed successfully."), 1),
    (disk("reads_merged_total", "The total number of reads merged."), 1),
    (disk("read_bytes_total", "The total number of bytes read successfully."), sector),
    (disk("read_time_seconds_total", "The total number of seconds spent by all reads."), millisecond),
    (disk("writes_completed_total", "The total number of writes completed successfully."), 1),
    (disk("writes_merged_total", "The number of writes merged."), 1),
    (disk("written_bytes_total", "The total number of bytes written successfully."), sector),
    (disk("write_time_seconds_total", "This is the total number of seconds spent by all writes."), millisecond),
    (.gauge("node_disk_io_now", "The number of I/Os currently in progress.", ["device"]), 1),
    (disk("io_time_seconds_total", "Total seconds spent doing I/Os."), millisecond),
    (disk("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."), millisecond),
    (disk("discards_completed_total", "The total number of discards completed successfully."), 1),
    (disk("discards_merged_total", "The total number of discards merged."), 1),
    (disk("discarded_sectors_total", "The total number of sectors discarded successfully."), 1),
    (disk("discard_time_seconds_total", "This is the total number of seconds spent by all discards."), millisecond),
    (disk("flush_requests_total", "The total number of flush requests completed successfully"), 1),
    (
      disk("flush_requests_time_seconds_total", "This is the total number of seconds spent by all flush requests."),
      millisecond
    ),
  ]
  private static let sector = 512.0
  private static let millisecond = 1.0 / 1000.0
  /// A line with fewer of them is one of an old kernel's partitions, which count something else.
  private static let leastColumns = 11

  private static func disk(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_disk_\(name)", help, ["device"])
  }

  private static let info = MetricFamily.gauge(
    "node_disk_info", "Info of /sys/block/<block_device>.",
    ["device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn"])
  private static let filesystemInfo = MetricFamily.gauge(
    "node_disk_filesystem_info", "Info about disk filesystem.", ["device", "type", "usage", "uuid", "version"])
  private static let deviceMapperInfo = MetricFamily.gauge(
    "node_disk_device_mapper_info", "Info about disk device mapper.",
    ["device", "lv_layer", "lv_name", "name", "uuid", "vg_name"])
  private static let ata: [(family: MetricFamily, property: KeyPath<UdevProperties, Double?> & Sendable)] = [
    (.gauge("node_disk_ata_write_cache", "ATA disk has a write cache.", ["device"]), \.ataWriteCache),
    (
      .gauge("node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled.", ["device"]),
      \.ataWriteCacheEnabled
    ),
    (
      .gauge("node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs).", ["device"]),
      \.ataRotationRate
    ),
  ]

  /// What is known of one device.
  private final class Device: Named {
    let name: [UInt8]
    let isIgnored: Bool
    let rotationalFile: KernelFile
    var major: UInt64 = 0
    var minor: UInt64 = 0
    var values = InlineArray<17, Double>(repeating: 0)
    var columns = 0
    var isRotational = false
    var udev = UdevFile("")

    init(_ name: [UInt8], isIgnored: Bool, rotationalFile: KernelFile) {
      self.name = name
      self.isIgnored = isIgnored
      self.rotationalFile = rotationalFile
    }
  }

  private let host: Host
  private let filter: NameFilter
  private let file: KernelFile
  private var buffer = ByteWriter()
  private var cache = NameCache<Device>()
  /// Those that are shown.
  private var shown = DevicesByName<Device>()

  init(_ host: Host) throws(CollectorConfigurationError) {
    self.host = host
    filter = try host.filter(
      include: Self.include, exclude: Self.exclude, onceCalled: Self.ignored, named: "device-exclude & device-include")
    file = KernelFile(host.proc("diskstats"), .shortLines)
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer)
    parse(buffer.bytes)
    for device in shown.devices { refresh(device) }
    write(to: writer)
  }

  // MARK: Reading

  private func parse(_ text: RawSpan) {
    cache.restart()
    var seen: [Device] = []
    seen.reserveCapacity(shown.devices.count)
    var lines = ByteScanner(text)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let major = fields.unsigned(), let minor = fields.unsigned(), let name = fields.field() else { continue }
      let device = cache.value(for: name) { makeDevice($0) }
      guard !device.isIgnored else { continue }
      device.columns = 0
      while device.columns < Self.columns.count, let number = fields.unsigned() {
        device.values[device.columns] = Double(number)
        device.columns += 1
      }
      guard device.columns >= Self.leastColumns else { continue }
      if device.major != major || device.minor != minor || device.udev.path.isEmpty {
        device.udev = UdevFile(host.udev("b\(major):\(minor)"))
      }
      device.major = major
      device.minor = minor
      seen.append(device)
    }
    cache.finish()
    shown.take(seen)
  }

  private func makeDevice(_ name: [UInt8]) -> Device {
    let path = host.sys("block/\(String(decoding: name, as: UTF8.self))/queue/rotational")
    return Device(
      name, isIgnored: filter.isIgnored(name.span.bytes), rotationalFile: KernelFile(path, .onePiece, limit: 4096))
  }

  /// Reads what is not in diskstats. What cannot be read is shown empty, as for the many devices that have none.
  private func refresh(_ device: Device) {
    device.udev.refresh(&buffer)
    do {
      try device.rotationalFile.read(into: &buffer)
      device.isRotational = Self.isOne(buffer)
    } catch {
      device.isRotational = false
    }
  }

  private static func isOne(_ text: borrowing ByteWriter) -> Bool { UInt64(decimal: text.bytes.trimmed) == 1 }

  // MARK: Writing

  private func write(to writer: MetricWriter) {
    let devices = shown.devices
    for device in devices {
      let (name, udev) = (device.name, device.udev.properties)
      writer.begin(Self.info)
      writer.label(name.span.bytes)
      writer.label(Int(clamping: device.major))
      writer.label(Int(clamping: device.minor))
      writer.label(udev.model)
      writer.label(udev.path)
      writer.label(udev.revision)
      writer.label(device.isRotational ? "1" as StaticString : "0")
      writer.label(udev.bestSerial)
      writer.label(udev.wwn)
      writer.end(1.0)
    }
    for (column, metric) in Self.columns.enumerated() {
      for device in devices where column < device.columns {
        let name = device.name
        writer.begin(metric.family)
        writer.label(name.span.bytes)
        writer.end(device.values[column] * metric.factor)
      }
    }
    for device in devices where !device.udev.properties.fsType.isEmpty {
      let udev = device.udev.properties
      begin(Self.filesystemInfo, device, [udev.fsType, udev.fsUsage, udev.fsUUID, udev.fsVersion], writer)
      writer.end(1.0)
    }
    for device in devices where !device.udev.properties.dmName.isEmpty {
      let udev = device.udev.properties
      begin(Self.deviceMapperInfo, device, [udev.lvLayer, udev.lvName, udev.dmName, udev.dmUUID, udev.vgName], writer)
      writer.end(1.0)
    }
    for metric in Self.ata {
      for device in devices where !device.udev.properties.ata.isEmpty {
        guard let value = device.udev.properties[keyPath: metric.property] else { continue }
        begin(metric.family, device, [], writer)
        writer.end(value)
      }
    }
  }

  private func begin(_ family: MetricFamily, _ device: Device, _ labels: [String], _ writer: MetricWriter) {
    let name = device.name
    writer.begin(family)
    writer.label(name.span.bytes)
    for label in labels { writer.label(label) }
  }
}
