// Reads /sys/class/hwmon/hwmonN and hwmonN/device (Documentation/hwmon/sysfs-interface.rst): temperatures, fans,
// voltages.

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class HwmonCollector: Collector {
  static let name = "hwmon"
  static let flags = [
    chipInclude.definition, chipExclude.definition, sensorInclude.definition, sensorExclude.definition,
  ]

  private static let chipInclude = Flag(
    "collector.hwmon.chip-include", "",
    "Regexp of hwmon chip to include (mutually exclusive to device-exclude).")
  private static let chipExclude = Flag(
    "collector.hwmon.chip-exclude", "",
    "Regexp of hwmon chip to exclude (mutually exclusive to device-include).")
  private static let sensorInclude = Flag(
    "collector.hwmon.sensor-include", "",
    "Regexp of hwmon sensor to include (mutually exclusive to sensor-exclude).")
  private static let sensorExclude = Flag(
    "collector.hwmon.sensor-exclude", "",
    "Regexp of hwmon sensor to exclude (mutually exclusive to sensor-include).")

  // The families of the sensors' values follow from their files' names: HwmonMetric.
  private static let chipName = MetricFamily.gauge(
    "node_hwmon_chip_names", "Annotation metric for human-readable chip names", ["chip", "chip_name"])
  private static let sensorLabel = MetricFamily.gauge(
    "node_hwmon_sensor_label", "Label for given chip and sensor", ["chip", "label", "sensor"])

  private final class Chip {
    /// hwmonN.
    let folder: String
    let path: String
    /// What the driver calls it, "coretemp"; nil when it does not.
    let driverName: String?
    /// By its place among the devices, "platform_coretemp_0".
    let baseName: String
    /// The label `chip`: nil when the chip is not shown.
    var label: String?
    var sensors = FolderFiles<[Sensor]>([]) { _ in [] }

    init?(folder: String, path: String, _ reader: AttributeReader) {
      self.folder = folder
      self.path = path
      driverName = reader.text(path, "name").flatMap { hwmonName($0).nonEmpty }
      let device = Self.realPath("\(path)/device").map { $0.suffix(2).map(hwmonName).filter { !$0.isEmpty } }
      guard
        let name = device?.joined(separator: "_").nonEmpty ?? driverName
          ?? Self.realPath(path)?.last.flatMap({ hwmonName($0).nonEmpty })
      else { return nil }
      baseName = name
    }

    /// The parts of the path that a link leads to.
    private static func realPath(_ path: String) -> [String]? {
      guard let real = realpath(path, nil) else { return nil }
      defer { free(real) }
      return String(cString: real).split(separator: "/").map(String.init)
    }
  }

  /// The files of a sensor: of equal names in the chip's folder and its device's, the device's comes first.
  private struct Sensor {
    typealias Place = (folder: String, file: String)

    /// Of its samples: the chip's and its own name.
    let labels: [String]
    var label: [Place] = []
    var values: [(metric: HwmonMetric, places: [Place])] = []
  }

  private var chips: DeviceFolders<Chip>
  private var known: [Chip] = []
  private let chipFilter: NameFilter
  private let sensorFilter: NameFilter
  private let metrics = HwmonMetrics()
  private let reader = AttributeReader.short()

  init(_ host: Host) throws(CollectorConfigurationError) {
    chipFilter = try NameFilter(include: host.flags[Self.chipInclude], exclude: host.flags[Self.chipExclude])
    sensorFilter = try NameFilter(include: host.flags[Self.sensorInclude], exclude: host.flags[Self.sensorExclude])
    let reader = AttributeReader()
    chips = DeviceFolders(host.sys("class/hwmon")) { name, path in Chip(folder: name, path: path, reader) }
  }

  func collect(into writer: MetricWriter) throws {
    let chips = try chips.presentOrNoData()
    if !chips.elementsEqual(known, by: ===) { name(chips) }
    for chip in chips {
      guard let label = chip.label else { continue }
      let sensors = chip.sensors.current()
      if let name = chip.driverName { writer.write(Self.chipName, [label, name], 1) }
      for sensor in sensors { write(sensor, into: writer) }
    }
  }

  // MARK: Names

  /// Gives the chips their labels. Chips of one device (a fan control and sensors, the bands of a radio) are told apart
  /// by their drivers' names, or else by their folders'.
  private func name(_ chips: [Chip]) {
    known = chips
    let byDevice = Dictionary(grouping: chips, by: \.baseName)
    for chip in chips {
      let siblings = byDevice[chip.baseName] ?? []
      var label = chip.baseName
      if siblings.count > 1 {
        let namesakes = siblings.count { $0.driverName == chip.driverName }
        label += "_" + (namesakes == 1 ? chip.driverName ?? chip.folder : chip.folder)
      }
      chip.label = chipFilter.isIgnored(label) ? nil : label
      let folders = [chip.path, "\(chip.path)/device"]
      chip.sensors = FolderFiles(folders) { [sensorFilter, metrics] files in
        Self.sensors(of: label, zip(folders, files).map { ($0, $1) }, metrics) { sensor in
          !sensorFilter.isIgnored("\(label);\(sensor)")
        }
      }
    }
  }

  /// The sensors that the files belong to.
  private static func sensors(
    of chip: String, _ folders: [(path: String, files: [String])], _ metrics: HwmonMetrics,
    where isShown: (_ sensor: String) -> Bool
  ) -> [Sensor] {
    var places: [String: [String: (file: HwmonFile, places: [Sensor.Place])]] = [:]
    for folder in folders {
      for name in folder.files {
        guard let file = HwmonFile(name) else { continue }
        places[file.sensor, default: [:]][file.element, default: (file, [])].places.insert((folder.path, name), at: 0)
      }
    }
    return places.filter { isShown($0.key) }.sorted { $0.key < $1.key }.map { name, elements in
      var sensor = Sensor(labels: [chip, name], label: elements["label"]?.places ?? [])
      for element in elements.values.sorted(by: { $0.file.element < $1.file.element }) {
        guard let metric = metrics.metric(of: element.file, hasPlainFile: elements[""] != nil) else { continue }
        sensor.values.append((metric, element.places))
      }
      return sensor
    }
  }

  // MARK: Values

  private func write(_ sensor: Sensor, into writer: MetricWriter) {
    let label = text(sensor.label)
    if let label { writer.write(Self.sensorLabel, [sensor.labels[0], label, sensor.labels[1]], 1) }
    for (metric, places) in sensor.values {
      guard let value = value(places, metric.format) else { continue }
      if !metric.isNamedByLabel {
        writer.write(metric.family, sensor.labels, value)
      } else if let label {
        writer.write(metric.family, [sensor.labels[0], hwmonName(label)], value)
      }
    }
  }

  private func text(_ places: [Sensor.Place]) -> String? {
    for (folder, file) in places {
      if let text = reader.contents(folder, file, { String(mendedUTF8: $0.withoutNewlines) }) { return text }
    }
    return nil
  }

  private func value(_ places: [Sensor.Place], _ format: NumberFormat) -> Double? {
    for (folder, file) in places {
      if let value = reader.contents(folder, file, { format.value($0.withoutNewlines) }) { return value }
    }
    return nil
  }
}

extension String {
  /// Nil instead of an empty text.
  fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
