// clock_gettime(2), the time zone, and /sys/devices/system/clocksource
// (Documentation/ABI/testing/sysfs-devices-clocksource).

import Bytes
import Exposition
import Glibc
import Kernel

final class TimeCollector: Collector {
  static let name = "time"

  private static let now = MetricFamily.gauge("node_time_seconds", "System time in seconds since epoch (1970).")
  private static let zone = MetricFamily.gauge(
    "node_time_zone_offset_seconds", "System time zone offset in seconds.", ["time_zone"])
  private static let available = MetricFamily.gauge(
    "node_time_clocksource_available_info",
    "Available clocksources read from '/sys/devices/system/clocksource'.", ["clocksource", "device"])
  private static let current = MetricFamily.gauge(
    "node_time_clocksource_current_info",
    "Current clocksource read from '/sys/devices/system/clocksource'.", ["clocksource", "device"])

  /// One clocksourceN of sysfs.
  private struct Device {
    let number: String
    let available: KernelFile
    let current: KernelFile
  }

  private let devices: [Device]
  private var buffer = ByteWriter(capacity: 256)

  init(_ host: Host) {
    let folder = host.sys("devices/system/clocksource")
    // Without the folder there is nothing to show; the clock itself is always there.
    let names = (try? Directory.names(folder)) ?? []
    devices = names.filter { $0.hasPrefix("clocksource") }.map { name in
      Device(
        number: String(name.dropFirst("clocksource".count)),
        available: KernelFile("\(folder)/\(name)/available_clocksource"),
        current: KernelFile("\(folder)/\(name)/current_clocksource"))
    }
  }

  func collect(into writer: MetricWriter) throws {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    writer.sample(Self.now, Double(time.tv_sec * 1_000_000_000 + time.tv_nsec) / 1e9)
    collectZone(at: time.tv_sec, into: writer)
    for device in devices {
      try collect(Self.available, device.available, device.number, into: writer)
    }
    for device in devices {
      try collect(Self.current, device.current, device.number, into: writer)
    }
  }

  private func collectZone(at seconds: time_t, into writer: MetricWriter) {
    var seconds = seconds
    var local = tm()
    localtime_r(&seconds, &local)
    writer.begin(Self.zone)
    writer.label(local.tm_zone.map { String(cString: $0) } ?? "")
    writer.end(Double(local.tm_gmtoff))
  }

  private func collect(
    _ family: MetricFamily, _ file: KernelFile, _ device: String, into writer: MetricWriter
  ) throws {
    try file.read(into: &buffer) { bytes in write(family, namesIn: bytes, device, into: writer) }
  }

  /// A sample for each name in the file.
  private func write(_ family: MetricFamily, namesIn bytes: RawSpan, _ device: String, into writer: MetricWriter) {
    var line = ByteScanner(bytes.trimmed)
    while let clocksource = line.field() {
      writer.begin(family)
      writer.label(clocksource)
      writer.label(device)
      writer.end(1.0)
    }
  }
}
