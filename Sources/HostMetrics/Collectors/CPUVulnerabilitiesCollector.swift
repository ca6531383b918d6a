// Reads /sys/devices/system/cpu/vulnerabilities (Documentation/ABI/testing/sysfs-devices-system-cpu):
// "Not affected", "Vulnerable: no microcode", "Mitigation: Retpolines; IBPB: conditional".

import Exposition
import Kernel

final class CPUVulnerabilitiesCollector: Collector {
  static let name = "cpu_vulnerabilities"
  static let isEnabledByDefault = false

  private static let info = MetricFamily.gauge(
    "node_cpu_vulnerabilities_info",
    "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of the "
      + "vulnerability. The same state is stored as a string in the label",
    ["codename", "mitigation", "state"])

  private var files: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()

  init(_ host: Host) { files = DeviceFolders(host.sys("devices/system/cpu/vulnerabilities")) }

  func collect(into writer: MetricWriter) throws {
    for file in try files.present() {
      guard let text = reader.text(files.path, file.name) else { continue }
      let (state, mitigation) = Self.parse(text)
      writer.write(Self.info, [file.name, mitigation, state], 1)
    }
  }

  /// The state, which is the beginning of the text, and what stands behind the word that it is in.
  static func parse(_ text: String) -> (state: String, mitigation: String) {
    if text.lowercased().hasPrefix("not affected") { return ("not affected", "") }
    let words = text.split { $0 == " " || $0 == "\t" || $0 == "\n" }
    let first = words.first?.lowercased() ?? ""
    for state in ["vulnerable", "mitigation", "unknown"] where first.hasPrefix(state) {
      return (state, words.dropFirst().joined(separator: " "))
    }
    return ("unknown", text)
  }
}
