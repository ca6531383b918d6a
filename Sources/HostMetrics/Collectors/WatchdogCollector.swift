// Reads /sys/class/watchdog/watchdogN (Documentation/ABI/testing/sysfs-class-watchdog).

import Exposition
import Kernel

final class WatchdogCollector: Collector {
  static let name = "watchdog"

  private static let attributes = [
    attribute("bootstatus", "bootstatus"), attribute("fw_version", "fw_version"), attribute("nowayout", "nowayout"),
    attribute("timeleft", "timeleft_seconds"), attribute("timeout", "timeout_seconds"),
    attribute("pretimeout", "pretimeout_seconds"), attribute("access_cs0", "access_cs0"),
  ]
  private static let info = DeviceInfo(
    "node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>", device: "name",
    [
      "options": "options", "identity": "identity", "state": "state", "status": "status",
      "pretimeout_governor": "pretimeout_governor",
    ], isShownWithoutText: true)

  private static func attribute(_ file: String, _ name: String) -> Attribute {
    Attribute(file, .gauge("node_watchdog_\(name)", "Value of /sys/class/watchdog/<watchdog>/\(file)", ["name"]))
  }

  private var watchdogs: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader.short()

  init(_ host: Host) { watchdogs = DeviceFolders(host.sys("class/watchdog")) }

  func collect(into writer: MetricWriter) throws {
    for watchdog in try watchdogs.presentOrNoData() {
      reader.write(Self.attributes, of: watchdog.path, labels: [watchdog.name], into: writer)
      Self.info.write(watchdog.name, watchdog.path, reader, into: writer)
    }
  }
}
