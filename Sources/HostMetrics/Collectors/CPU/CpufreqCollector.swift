// Reads /sys/devices/system/cpu/cpuN/cpufreq (Documentation/admin-guide/pm/cpufreq.rst), whose frequencies are in kHz.

import Bytes
import Exposition
import Kernel

final class CpufreqCollector: Collector {
  static let name = "cpufreq"

  private static let frequencies = [
    frequency("cpuinfo_cur_freq", "frequency_hertz", "Current CPU thread frequency in hertz."),
    frequency("cpuinfo_avg_freq", "frequency_avg_hertz", "Average CPU thread frequency in hertz."),
    frequency("cpuinfo_min_freq", "frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    frequency("cpuinfo_max_freq", "frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    frequency("scaling_cur_freq", "scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    frequency("scaling_min_freq", "scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    frequency("scaling_max_freq", "scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
  ]
  private static let governor = MetricFamily.gauge(
    "node_cpu_scaling_governor", "Current enabled CPU frequency governor.", ["cpu", "governor"])

  private static func frequency(_ file: String, _ name: String, _ help: String) -> Attribute {
    Attribute(file, .gauge("node_cpu_\(name)", help, ["cpu"]), .kilo)
  }

  private var cpus: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()

  init(_ host: Host) {
    cpus = DeviceFolders(host.sys("devices/system/cpu")) { name, path in
      name.hasPrefix("cpu") && UInt32(name.dropFirst(3)) != nil
        ? DeviceFolder(name: String(name.dropFirst(3)), path: "\(path)/cpufreq") : nil
    }
  }

  /// A CPU that is offline has no frequency.
  func collect(into writer: MetricWriter) throws {
    let present = try cpus.present()
    guard !present.isEmpty else { throw NoData("\(cpus.path) holds no CPUs") }
    let offline = Set(CPUTopology.cpus(inList: reader.text(cpus.path, "offline") ?? "").map { String($0) })
    for cpu in present where !offline.contains(cpu.name) && Directory.exists(cpu.path) {
      reader.write(Self.frequencies, of: cpu.path, labels: [cpu.name], into: writer)
      guard let chosen = reader.text(cpu.path, "scaling_governor"), !chosen.isEmpty,
        let available = reader.text(cpu.path, "scaling_available_governors")
      else { continue }
      for governor in available.split(separator: " ", omittingEmptySubsequences: false) {
        writer.write(Self.governor, [cpu.name, String(governor)], governor == chosen ? 1 : 0)
      }
    }
  }
}
