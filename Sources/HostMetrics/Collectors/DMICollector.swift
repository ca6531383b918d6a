// Reads /sys/class/dmi/id (Documentation/ABI/testing/sysfs-firmware-dmi-entries): what the firmware says about the
// machine. It does not change until the next boot, and is read once.

import Bytes
import Exposition
import Kernel

final class DMICollector: Collector {
  static let name = "dmi"

  /// In byte order; the files have the same names but for one.
  private static let labels = [
    "bios_date", "bios_release", "bios_vendor", "bios_version", "board_asset_tag", "board_name", "board_serial",
    "board_vendor", "board_version", "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version",
    "product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version",
    "system_vendor",
  ]
  private static let help =
    "A metric with a constant '1' value labeled by \(labels.joined(separator: ", ")) if provided by DMI."

  private let path: String
  private let info: MetricFamily
  private let values: [String]

  init(_ host: Host) {
    path = host.sys("class/dmi/id")
    let reader = AttributeReader.short()
    // The first failed open says that there is no such folder.
    let names = Set((try? Directory.names(path)) ?? [])
    var known: [(label: String, value: String)] = []
    for label in Self.labels {
      let file = label == "system_vendor" ? "sys_vendor" : label
      // Serial numbers are for root only: without it their labels are left out.
      guard names.contains(file), let value = reader.value(path, file, { String(mendedUTF8: $0) }) else { continue }
      known.append((label, value))
    }
    info = .gauge("node_dmi_info", Self.help, known.map(\.label))
    values = known.map(\.value)
  }

  func collect(into writer: MetricWriter) throws {
    guard !values.isEmpty else { throw NoData("\(path) holds nothing") }
    writer.write(info, values, 1)
  }
}
