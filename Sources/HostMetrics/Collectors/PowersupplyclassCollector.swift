// Reads /sys/class/power_supply/* (Documentation/ABI/testing/sysfs-class-power): batteries, mains adapters, USB ports.

import Bytes
import Exposition
import Flags
import Kernel

final class PowersupplyclassCollector: Collector {
  static let name = "powersupplyclass"
  static let flags = [ignored.definition]

  private static let ignored = Flag(
    "collector.powersupply.ignored-supplies", "^$",
    "Regexp of power supplies to ignore for powersupplyclass collector.")

  /// A file, and its metric if that has another name.
  private typealias Names = (file: String, metric: String?)

  private static let attributes =
    table(
      .decimal,
      [
        ("authentic", nil), ("calibrate", nil), ("capacity", nil), ("capacity_alert_max", nil),
        ("capacity_alert_min", nil), ("cycle_count", "cyclecount"), ("online", nil), ("present", nil),
        ("time_to_empty_now", "time_to_empty_seconds"), ("time_to_full_now", "time_to_full_seconds"),
      ])
    + table(
      .micro,
      [
        ("current_boot", nil), ("current_max", nil), ("current_now", "current_ampere"), ("energy_empty", nil),
        ("energy_empty_design", nil), ("energy_full", nil), ("energy_full_design", nil),
        ("energy_now", "energy_watthour"), ("voltage_boot", nil), ("voltage_max", nil), ("voltage_max_design", nil),
        ("voltage_min", nil), ("voltage_min_design", nil), ("voltage_now", "voltage_volt"), ("voltage_ocv", nil),
        ("charge_control_limit", nil), ("charge_control_limit_max", nil), ("charge_counter", nil),
        ("charge_empty", nil), ("charge_empty_design", nil), ("charge_full", nil), ("charge_full_design", nil),
        ("charge_now", "charge_ampere"), ("charge_term_current", nil), ("constant_charge_current", nil),
        ("constant_charge_current_max", nil), ("constant_charge_voltage", nil), ("constant_charge_voltage_max", nil),
        ("precharge_current", nil), ("input_current_limit", nil), ("power_now", "power_watt"),
      ])
    + table(
      .over(10),
      [
        ("temp", "temp_celsius"), ("temp_alert_max", "temp_alert_max_celsius"),
        ("temp_alert_min", "temp_alert_min_celsius"), ("temp_ambient", "temp_ambient_celsius"),
        ("temp_ambient_max", "temp_ambient_max_celsius"), ("temp_ambient_min", "temp_ambient_min_celsius"),
        ("temp_max", "temp_max_celsius"), ("temp_min", "temp_min_celsius"),
      ])

  /// Labels, which have their files' names; those without a text are left out.
  private static let texts = [
    "capacity_level", "charge_type", "health", "manufacturer", "model_name", "scope", "serial_number", "status",
    "technology", "type", "usb_type",
  ]
  private static let nameLabel = "power_supply"

  private static func table(_ format: NumberFormat, _ names: [Names]) -> [Attribute] {
    names.map { file, metric in
      let metric = metric ?? file
      return Attribute(
        file,
        .gauge(
          "node_power_supply_\(metric)", "\(metric) value of /sys/class/power_supply/<power_supply>.", [nameLabel]),
        format)
    }
  }

  private static func info(_ labels: [String]) -> MetricFamily {
    .gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.", labels)
  }

  private final class Supply {
    let name: String
    let path: String
    /// What a supply has differs much.
    var files: FolderFiles<(attributes: [Attribute], texts: [String])>
    /// With the labels that had a text at the last scrape.
    var info = PowersupplyclassCollector.info([])

    init(name: String, path: String) {
      self.name = name
      self.path = path
      files = FolderFiles([path]) { folders in
        let names = Set(folders[0])
        return (attributes.filter { names.contains($0.file) }, texts.filter { names.contains($0) })
      }
    }
  }

  private var supplies: DeviceFolders<Supply>
  private let reader = AttributeReader.short()

  init(_ host: Host) throws(CollectorConfigurationError) {
    let filter = try NameFilter(exclude: host.flags[Self.ignored])
    supplies = DeviceFolders(host.sys("class/power_supply")) { name, path in
      filter.isIgnored(name) ? nil : Supply(name: name, path: path)
    }
  }

  func collect(into writer: MetricWriter) throws {
    for supply in try supplies.presentOrNoData() {
      let files = supply.files.current()
      // One that has just gone.
      if files.attributes.isEmpty, files.texts.isEmpty { continue }
      reader.write(files.attributes, of: supply.path, labels: [supply.name], into: writer)
      writeInfo(of: supply, files.texts, into: writer)
    }
  }

  private func writeInfo(of supply: Supply, _ files: [String], into writer: MetricWriter) {
    var labels: [(name: String, value: String)] = [(Self.nameLabel, supply.name)]
    for file in files {
      guard let text = reader.value(supply.path, file, { String(mendedUTF8: $0) }), !text.isEmpty else { continue }
      labels.append((file, text))
    }
    labels.sort { $0.name < $1.name }
    let names = labels.map(\.name)
    if supply.info.labels != names { supply.info = Self.info(names) }
    writer.write(supply.info, labels.map(\.value), 1)
  }
}
