// Reads /proc/cpuinfo (proc_cpuinfo(5)): "key : value" lines, a blank line behind each processor.

import Bytes
import Exposition
import Flags
import Kernel

/// What the cpu collector takes from /proc/cpuinfo, when it is asked to; frequencies only beside the cpufreq collector.
final class CPUInfo {
  static let flags = [infoFlag.definition, flagsIncludeFlag.definition, bugsIncludeFlag.definition]

  private static let infoFlag = Flag("collector.cpu.info", false, "Enables metric cpu_info")
  private static let flagsIncludeFlag = Flag(
    "collector.cpu.info.flags-include", "",
    "Filter the `flags` field in cpuInfo with a value that must be a regular expression")
  private static let bugsIncludeFlag = Flag(
    "collector.cpu.info.bugs-include", "",
    "Filter the `bugs` field in cpuInfo with a value that must be a regular expression")

  /// The labels of node_cpu_info and the key of each value.
  private static let labels: [(label: String, key: String)] = [
    ("cachesize", "cache size"), ("core", "core id"), ("cpu", "processor"), ("family", "cpu family"),
    ("microcode", "microcode"), ("model", "model"), ("model_name", "model name"), ("package", "physical id"),
    ("stepping", "stepping"), ("vendor", "vendor_id"),
  ]
  private static let info = MetricFamily.gauge(
    "node_cpu_info", "CPU information from /proc/cpuinfo.", labels.map(\.label))
  private static let frequency = MetricFamily.gauge(
    "node_cpu_frequency_hertz", "CPU frequency in hertz from /proc/cpuinfo.", ["core", "cpu", "package"])
  private static let flagInfo = MetricFamily.gauge(
    "node_cpu_flag_info", "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.", ["flag"]
  )
  private static let bugInfo = MetricFamily.gauge(
    "node_cpu_bug_info", "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.", ["bug"])

  private let file: KernelFile
  private let showsFrequency: Bool
  private let flagsFilter: NameFilter?
  private let bugsFilter: NameFilter?
  private var buffer = ByteWriter(capacity: 16384)

  /// Nil when no flag asks for it; a pattern asks for it too.
  init?(_ host: Host) throws(CollectorConfigurationError) {
    let flagsInclude = host.flags[Self.flagsIncludeFlag]
    let bugsInclude = host.flags[Self.bugsIncludeFlag]
    guard host.flags[Self.infoFlag] || !flagsInclude.isEmpty || !bugsInclude.isEmpty else { return nil }
    file = KernelFile(host.proc("cpuinfo"))
    showsFrequency = CollectorRegistry.isOn(CpufreqCollector.self, host.flags)
    flagsFilter = flagsInclude.isEmpty ? nil : try NameFilter(include: flagsInclude)
    bugsFilter = bugsInclude.isEmpty ? nil : try NameFilter(include: bugsInclude)
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer)
    var processors: [[String: String]] = [[:]]
    var lines = ByteScanner(buffer.bytes)
    while let line = lines.line() {
      var text = ByteScanner(line)
      if line.trimmed.byteCount == 0 {
        processors.append([:])
      } else if let key = text.field(upTo: UInt8(ascii: ":")) {
        processors[processors.count - 1][String(utf8: key.trimmed)] = String(utf8: text.rest.trimmed)
      }
    }
    processors.removeAll { $0["processor"] == nil }
    for processor in processors {
      writer.write(Self.info, Self.labels.map { processor[$0.key] ?? "" }, 1)
    }
    for processor in processors where showsFrequency {
      let labels = ["core id", "processor", "physical id"].map { processor[$0] ?? "" }
      // Machines other than x86 do not say; node_exporter shows 0 then.
      writer.write(Self.frequency, labels, Double(processor["cpu MHz"] ?? "").map { $0 * 1e6 } ?? 0)
    }
    write(Self.flagInfo, processors.first?["flags"], flagsFilter, into: writer)
    write(Self.bugInfo, processors.first?["bugs"], bugsFilter, into: writer)
  }

  private func write(_ family: MetricFamily, _ words: String?, _ filter: NameFilter?, into writer: MetricWriter) {
    guard let words, let filter else { return }
    for word in words.split(separator: " ").map(String.init) where !filter.isIgnored(word) {
      writer.write(family, [word], 1)
    }
  }
}
