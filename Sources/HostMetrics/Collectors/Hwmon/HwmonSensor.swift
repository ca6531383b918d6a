// The grammar of the files of a hardware monitoring chip, such as temp1_input, and what they are shown as
// (Documentation/hwmon/sysfs-interface.rst).

import Bytes
import Exposition

/// A file of a chip: "temp1_crit" is the element crit of sensor 1 of the type temp.
struct HwmonFile: Equatable {
  let type: String
  let number: Int
  /// Empty in "pwm1" and "vrm".
  let element: String

  var sensor: String { "\(type)\(number)" }

  private static let types: Set = [
    "vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy", "humidity",
    "intrusion", "freq",
  ]

  /// Nil when the file is none of a sensor's: no digits are number 0, and behind digits stands "_element" or nothing.
  init?(_ name: String) {
    let type = name.utf8.prefix { !$0.isDigit }
    let digits = name.utf8[type.endIndex...].prefix { $0.isDigit }
    let rest = name[digits.endIndex...]
    guard Self.types.contains(String(name[..<type.endIndex])),
      let number = digits.isEmpty ? 0 : Int(name[digits.startIndex..<digits.endIndex]),
      rest.isEmpty || rest.hasPrefix("_") && rest.utf8.count > 1
    else { return nil }
    self.type = String(name[..<type.endIndex])
    self.number = number
    element = String(rest.dropFirst())
  }
}

/// What an element of a sensor is shown as.
struct HwmonMetric {
  let family: MetricFamily
  let format: NumberFormat
  /// Whether the label `sensor` is the sensor's own label instead of its name; without one there is no sample.
  let isNamedByLabel: Bool

  /// - Parameter hasPlainFile: whether the sensor has a file without an element.
  init?(type: String, element: String, hasPlainFile: Bool) {
    guard let (name, help, format) = Self.shown(type, element, hasPlainFile) else { return nil }
    let isCounter = name.hasSuffix("_joule_total")
    family = MetricFamily("node_hwmon_\(name)", isCounter ? .counter : .gauge, help, labels: ["chip", "sensor"])
    self.format = format
    isNamedByLabel = type == "freq" && element == "input"
  }

  /// As node_exporter has it: three kinds of sensors have a name of their own, the others that of type and element.
  private static func shown(
    _ type: String, _ element: String, _ hasPlainFile: Bool
  ) -> (name: String, help: String, format: NumberFormat)? {
    var name = type
    if element == "input" {
      if hasPlainFile { name += "_input" }
    } else if !element.isEmpty {
      name += "_" + hwmonName(element)
    }
    switch (type, element) {
    case ("beep_enable", ""): return ("beep_enabled", "Hardware beep enabled", .isOne)
    case ("vrm", ""): return ("voltage_regulator_version", "Hardware voltage regulator", .plain)
    case ("update_interval", ""):
      return ("update_interval_seconds", "Hardware monitor update interval", .thousandths)
    case ("beep_enable", _), ("vrm", _), ("update_interval", _), (_, "label"): return nil
    case (_, "fault"), (_, "alarm"): return (name, "Hardware sensor \(element) status (\(type))", .plain)
    case (_, "beep"): return ("\(name)_enabled", "Hardware monitor sensor has beeping enabled", .plain)
    case ("in", _), ("cpu", _): return ("\(name)_volts", "Hardware monitor for voltage (\(element))", .thousandths)
    case ("temp", _) where element != "type":
      let shown = element.isEmpty ? "input" : element
      return ("\(name)_celsius", "Hardware monitor for temperature (\(shown))", .thousandths)
    case ("curr", _): return ("\(name)_amps", "Hardware monitor for current (\(element))", .thousandths)
    case ("energy", _):
      return ("\(name)_joule_total", "Hardware monitor for joules used so far (\(element))", .millionths)
    case ("power", "accuracy"): return (name, "Hardware monitor power meter accuracy, as a ratio", .millionths)
    case ("power", "average_interval"), ("power", "average_interval_min"), ("power", "average_interval_max"):
      return ("\(name)_seconds", "Hardware monitor power usage update interval (\(element))", .thousandths)
    case ("power", _): return ("\(name)_watt", "Hardware monitor for power usage in watts (\(element))", .millionths)
    case ("humidity", _):
      return (
        name,
        "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) "
          + "(\(element))", .millionths
      )
    case ("fan", "input"), ("fan", "min"), ("fan", "max"), ("fan", "target"):
      return ("\(name)_rpm", "Hardware monitor for fan revolutions per minute (\(element))", .plain)
    case ("freq", "input"): return ("\(name)_freq_mhz", "Hardware monitor for GPU frequency in MHz", .millionths)
    default: return (name, "Hardware monitor \(type) element \(element)", .plain)
    }
  }
}

/// The metrics of all chips' sensors, each made once.
final class HwmonMetrics {
  private struct Key: Hashable {
    let type: String
    let element: String
    let hasPlainFile: Bool
  }

  private var known: [Key: HwmonMetric?] = [:]

  func metric(of file: HwmonFile, hasPlainFile: Bool) -> HwmonMetric? {
    let key = Key(type: file.type, element: file.element, hasPlainFile: hasPlainFile)
    if let metric = known[key] { return metric }
    let metric = HwmonMetric(type: key.type, element: key.element, hasPlainFile: hasPlainFile)
    known[key] = .some(metric)
    return metric
  }
}

/// A text as part of a metric's name or as a chip's label: in lower case, "_" for what a name may not hold, none of
/// these at the ends.
func hwmonName(_ text: String) -> String {
  let shown = text.lowercased().unicodeScalars.map { scalar -> UInt8 in
    let byte = UInt8(truncatingIfNeeded: scalar.value)
    let isShown = byte.isDigit || byte &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: ":")
    return scalar.isASCII && isShown ? byte : UInt8(ascii: "_")
  }
  let isBlank = { (byte: UInt8) in byte == UInt8(ascii: "_") }
  guard let first = shown.firstIndex(where: { !isBlank($0) }), let last = shown.lastIndex(where: { !isBlank($0) })
  else { return "" }
  return String(decoding: shown[first...last], as: UTF8.self)
}

extension RawSpan {
  /// Without newlines at both ends; blanks stay, and make a text no number.
  var withoutNewlines: RawSpan {
    @_lifetime(copy self) get {
      var (start, end) = (0, byteCount)
      while start < end, self[start] == .newline { start += 1 }
      while end > start, self[end - 1] == .newline { end -= 1 }
      return extracting(start..<end)
    }
  }
}

/// The text of a file without newlines at its ends, as Go's strconv.ParseFloat takes it.
extension NumberFormat {
  fileprivate static let isOne = NumberFormat { text in text.equals("1") ? 1 : 0 }
  fileprivate static let plain = NumberFormat { text in Double(goSyntax: text) }
  fileprivate static let thousandths = NumberFormat { text in Double(goSyntax: text).map { $0 * 0.001 } }
  fileprivate static let millionths = NumberFormat { text in Double(goSyntax: text).map { $0 / 1_000_000 } }
}
