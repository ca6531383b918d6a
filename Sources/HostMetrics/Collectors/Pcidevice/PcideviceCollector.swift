// Reads /sys/bus/pci/devices (Documentation/PCI/sysfs-pci.rst, Documentation/ABI/testing/sysfs-bus-pci), and pci.ids
// when names are asked for.

import Bytes
import Exposition
import Flags
import Kernel

final class PcideviceCollector: Collector {
  static let name = "pcidevice"
  static let isEnabledByDefault = false
  static let flags = [idsFile.definition, names.definition]

  private static let idsFile = Flag(
    "collector.pcidevice.idsfile", "", "Path to pci.ids file to use for PCI device identification.")
  private static let names = Flag(
    "collector.pcidevice.names", false, "Enable PCI device name resolution (requires pci.ids file).")

  private static let location = ["bus", "device", "function", "segment"]

  private static func gauge(_ name: String, _ help: String, _ labels: [String] = location) -> MetricFamily {
    .gauge("node_pcidevice_\(name)", help, labels)
  }

  /// What each device shows, and what it shows when it has no such file or no value in it.
  private static let numbers: [(attribute: Attribute, otherwise: Double)] = [
    (
      Attribute(
        "max_link_speed",
        gauge("max_link_transfers_per_second", "Value of maximum link's transfers per second (T/s)"), .gigatransfers),
      -1
    ),
    (Attribute("max_link_width", gauge("max_link_width", "Value of maximum link's width (number of lanes)")), -1),
    (
      Attribute(
        "current_link_speed",
        gauge("current_link_transfers_per_second", "Value of current link's transfers per second (T/s)"),
        .gigatransfers), -1
    ),
    (
      Attribute("current_link_width", gauge("current_link_width", "Value of current link's width (number of lanes)")),
      -1
    ),
    (
      Attribute(
        "d3cold_allowed", gauge("d3cold_allowed", "Whether the PCIe device supports D3cold power state (0/1)."), .truth),
      0
    ),
    (
      Attribute(
        "sriov_drivers_autoprobe",
        gauge(
          "sriov_drivers_autoprobe", "Whether SR-IOV drivers autoprobe is enabled for the device (0/1)."), .truth), 0
    ),
    (
      Attribute(
        "sriov_numvfs",
        gauge("sriov_numvfs", "Number of Virtual Functions (VFs) currently enabled for SR-IOV.")), 0
    ),
    (
      Attribute(
        "sriov_totalvfs",
        gauge("sriov_totalvfs", "Total number of Virtual Functions (VFs) supported by the device.")), 0
    ),
    (
      Attribute(
        "sriov_vf_total_msix", gauge("sriov_vf_total_msix", "Total number of MSI-X vectors for Virtual Functions.")), 0
    ),
  ]
  private static let numaNode = gauge(
    "numa_node", "NUMA node number for the PCI device. -1 indicates unknown or not available.")
  private static let powerState = gauge(
    "power_state", "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.",
    location + ["state"])
  private static let powerStates = ["D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"]

  /// Labels of the info metric and the files that they are in, with the digits of each number.
  private static let identity: [(label: String, file: String, digits: Int)] = [
    ("class_id", "class", 6), ("device_id", "device", 4), ("revision", "revision", 2),
    ("subsystem_device_id", "subsystem_device", 4), ("subsystem_vendor_id", "subsystem_vendor", 4),
    ("vendor_id", "vendor", 4),
  ]

  private struct Device {
    let path: String
    /// The values of `location`.
    let location: [String]
    /// The values of the info metric's labels.
    let info: [String]
  }

  private let info: MetricFamily
  private var devices: DeviceFolders<Device>
  private let reader = AttributeReader()

  init(_ host: Host) {
    let names = host.flags[Self.names] ? PCINames(host.flags[Self.idsFile]) : nil
    var labels =
      Self.location + Self.identity.map(\.label)
      + ["parent_bus", "parent_device", "parent_function", "parent_segment"]
    if names != nil { labels += PCINames.labels }
    let order = labels.indices.sorted { labels[$0].utf8.lexicographicallyPrecedes(labels[$1].utf8) }
    info = Self.gauge(
      "info", "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.", order.map { labels[$0] })
    let reader = reader
    devices = DeviceFolders(host.sys("bus/pci/devices")) { name, path in
      guard let location = Self.location(name) else { return nil }
      var values = location
      for id in Self.identity {
        let number = reader.value(path, id.file) { UInt64(hex: $0) } ?? nil
        values.append(Self.hex(number ?? 0, digits: id.digits))
      }
      let ids = Array(values[4...])
      values += Self.parent(path) ?? ["*", "*", "*", "*"]
      if let names {
        values += names.find(
          PCINames.Identity(
            deviceClass: ids[0], vendor: ids[5], device: ids[1], subsystemVendor: ids[4], subsystemDevice: ids[3]))
      }
      return Device(path: path, location: location, info: order.map { values[$0] })
    }
  }

  /// "0000:45:00.1" as bus, device, function, segment.
  private static func location(_ name: some StringProtocol) -> [String]? {
    let parts = name.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "." }
    guard parts.count == 4, parts.allSatisfy({ UInt32($0, radix: 16) != nil }) else { return nil }
    return [1, 2, 3, 0].map { String(parts[$0]) }
  }

  /// The device that the path's link shows this one below; nil when it is the root of the bus.
  private static func parent(_ path: String) -> [String]? {
    guard let target = Directory.linkTarget(path) else { return nil }
    return target.split(separator: "/").dropLast().last.flatMap { location($0) }
  }

  /// "0x0102".
  private static func hex(_ number: UInt64, digits: Int) -> String {
    let text = String(number, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  func collect(into writer: MetricWriter) throws {
    let present = try devices.present()
    guard !present.isEmpty else { throw NoData("\(devices.path) holds no devices") }
    for device in present {
      writer.write(info, device.info, 1)
      for number in Self.numbers {
        let attribute = number.attribute
        let value = reader.value(device.path, attribute.file, attribute.format.value) ?? nil
        writer.write(attribute.family, device.location, value ?? number.otherwise)
      }
      if let node = reader.signed(device.path, "numa_node"), node != -1 {
        writer.write(Self.numaNode, device.location, Double(node))
      }
      guard let state = reader.text(device.path, "power_state"), !state.isEmpty else { continue }
      for known in Self.powerStates {
        writer.write(Self.powerState, device.location + [known], known == state ? 1 : 0)
      }
    }
  }
}

extension NumberFormat {
  /// "8.0 GT/s PCIe"; "Unknown" is none.
  fileprivate static let gigatransfers = NumberFormat { text in
    var fields = ByteScanner(text)
    guard let speed = fields.double(), fields.field()?.equals("GT/s") == true else { return nil }
    return speed * 1e9
  }
  /// 0, or any other number for 1.
  fileprivate static let truth = NumberFormat { text in Int64(decimal: text).map { $0 == 0 ? 0 : 1 } }
}
