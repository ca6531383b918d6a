// Reads /sys/devices/system/cpu: isolated, cpuN/online, cpuN/topology and cpuN/thermal_throttle
// (Documentation/ABI/testing/sysfs-devices-system-cpu).

import Bytes
import Exposition
import Kernel

/// What the cpu collector takes from sysfs: isolation, whether a CPU is online, how often it was throttled.
final class CPUTopology {
  private static let isolated = MetricFamily.gauge(
    "node_cpu_isolated", "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.", ["cpu"])
  private static let online = MetricFamily.gauge(
    "node_cpu_online", "CPUs that are online and being scheduled.", ["cpu"])
  private static let coreThrottles = MetricFamily.counter(
    "node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.", ["core", "package"])
  private static let packageThrottles = MetricFamily.counter(
    "node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.", ["package"])

  /// A file with one number, and the labels under which it is shown.
  private struct Gauge {
    let labels: [String]
    let file: KernelFile
  }

  private let folder: String
  private let isolatedCPUs: [Int]
  private var onlineGauges: [Gauge] = []
  private var coreGauges: [Gauge] = []
  private var packageGauges: [Gauge] = []
  private var buffer = ByteWriter(capacity: 128)

  init(_ host: Host) {
    folder = host.sys("devices/system/cpu")
    // Without the file no CPU is isolated.
    isolatedCPUs = Self.cpus(inList: AttributeReader().text(folder, "isolated") ?? "")
  }

  /// - Parameters:
  ///   - isChanged: whether CPUs came or went since the last call; sysfs is looked through anew then.
  ///   - perCore: whether to show what there is of each core.
  func collect(isChanged: Bool, perCore: Bool, into writer: MetricWriter) {
    if isChanged { discover() }
    write(Self.packageThrottles, packageGauges, into: writer)
    guard perCore else { return }
    for cpu in isolatedCPUs {
      writer.begin(Self.isolated)
      writer.label(cpu)
      writer.end(1.0)
    }
    write(Self.online, onlineGauges, into: writer)
    write(Self.coreThrottles, coreGauges, into: writer)
  }

  private func write(_ family: MetricFamily, _ gauges: [Gauge], into writer: MetricWriter) {
    for gauge in gauges {
      // A CPU that went away between two scrapes loses its own series only.
      guard let value = number(gauge.file) else { continue }
      writer.write(family, gauge.labels, Double(value))
    }
  }

  private func discover() {
    (onlineGauges, coreGauges, packageGauges) = ([], [], [])
    var cores: Set<[String]> = []
    var packages: Set<String> = []
    let names = (try? Directory.names(folder)) ?? []
    // Where the first CPU cannot be unplugged, node_exporter shows nothing of the others.
    let showsOnline = number(KernelFile("\(folder)/cpu0/online", .onePiece)) != nil
    for name in names where name.hasPrefix("cpu") && name.dropFirst(3).allSatisfy(\.isWholeNumber) && name != "cpu" {
      let path = "\(folder)/\(name)"
      let onlineFile = KernelFile("\(path)/online", .onePiece)
      if showsOnline, number(onlineFile) != nil {
        onlineGauges.append(Gauge(labels: [String(name.dropFirst(3))], file: onlineFile))
      }
      guard let package = number(KernelFile("\(path)/topology/physical_package_id", .onePiece)),
        let core = number(KernelFile("\(path)/topology/core_id", .onePiece))
      else { continue }
      let coreFile = KernelFile("\(path)/thermal_throttle/core_throttle_count", .onePiece)
      if number(coreFile) != nil, cores.insert(["\(core)", "\(package)"]).inserted {
        coreGauges.append(Gauge(labels: ["\(core)", "\(package)"], file: coreFile))
      }
      let packageFile = KernelFile("\(path)/thermal_throttle/package_throttle_count", .onePiece)
      if number(packageFile) != nil, packages.insert("\(package)").inserted {
        packageGauges.append(Gauge(labels: ["\(package)"], file: packageFile))
      }
    }
  }

  /// The file's number; nil when there is none.
  private func number(_ file: KernelFile) -> UInt64? {
    (try? file.read(into: &buffer) { bytes in UInt64(decimal: bytes.trimmed) }) ?? nil
  }

  /// "1,3-5,9" gives 1, 3, 4, 5 and 9.
  static func cpus(inList list: String) -> [Int] {
    list.split { $0 == "," || $0.isWhitespace }.flatMap { part -> [Int] in
      let ends = part.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first >= 0, last < 1 << 20, first <= last else {
        return []
      }
      return Array(first...last)
    }
  }
}
