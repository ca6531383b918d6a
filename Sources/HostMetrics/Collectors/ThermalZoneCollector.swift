// Reads /sys/class/thermal: thermal_zoneN/{type,temp}, cooling_deviceN/{type,cur_state,max_state}
// (Documentation/ABI/testing/sysfs-class-thermal).

import Exposition
import Kernel

final class ThermalZoneCollector: Collector {
  static let name = "thermal_zone"

  private static let zone = [
    Attribute("temp", .gauge("node_thermal_zone_temp", "Zone temperature in Celsius", ["type", "zone"]), .milli)
  ]
  private static let coolingDevice = [
    Attribute(
      "cur_state",
      .gauge(
        "node_cooling_device_cur_state", "Current throttle state of the cooling device", ["name", "type"])),
    Attribute(
      "max_state",
      .gauge(
        "node_cooling_device_max_state", "Maximum throttle state of the cooling device", ["name", "type"])),
  ]

  private var folders: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()

  init(_ host: Host) { folders = DeviceFolders(host.sys("class/thermal")) }

  func collect(into writer: MetricWriter) throws {
    for device in try folders.present() {
      guard let type = reader.text(device.path, "type") else { continue }
      if device.name.hasPrefix("thermal_zone") {
        let zone = String(device.name.dropFirst(12))
        reader.write(Self.zone, of: device.path, labels: [type, zone], into: writer)
      } else if device.name.hasPrefix("cooling_device") {
        let number = String(device.name.dropFirst(14))
        reader.write(Self.coolingDevice, of: device.path, labels: [number, type], into: writer)
      }
    }
  }
}
