// Reads the files of /proc/sys that the flags name (Documentation/admin-guide/sysctl): "fs.file-nr" is sys/fs/file-nr.

import Bytes
import Exposition
import Flags
import Kernel

final class SysctlCollector: Collector {
  static let name = "sysctl"
  static let isEnabledByDefault = false
  static let flags = [include.definition, includeInfo.definition]

  private static let include = Flag("collector.sysctl.include", [String](), "Select sysctl metrics to include")
  private static let includeInfo = Flag(
    "collector.sysctl.include-info", [String](), "Select sysctl metrics to include as info metrics")

  private static let info = MetricFamily.gauge("node_sysctl_info", "sysctl info", ["index", "name", "value"])

  /// A sysctl as a flag gives it: "kernel.pid_max", or "fs.file-nr:allocated,unused,max" with a name for each of its
  /// values.
  private struct Setting {
    let name: String
    let isInfo: Bool
    let file: KernelFile
    /// For a setting with one value, and for each of many that have no names.
    let single: MetricFamily
    let indexed: MetricFamily
    let named: [MetricFamily]

    init(_ text: String, isInfo: Bool, _ host: Host) {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let keys = parts.count < 2 ? [] : parts[1].split(separator: ",", omittingEmptySubsequences: false)
      let metric = "node_sysctl_\(parts[0].utf8.asMetricName)"
      let help = "sysctl \(parts[0])"
      name = parts[0]
      self.isInfo = isInfo
      file = KernelFile(host.proc("sys/" + parts[0].split(separator: ".").joined(separator: "/")), limit: 1 << 20)
      single = .untyped(metric, help)
      indexed = .untyped(metric, help, ["index"])
      named = keys.enumerated().map { index, key in
        .untyped("\(metric)_\(key.utf8.asMetricName)", "\(help), field \(index)")
      }
    }
  }

  private let settings: [Setting]
  private var buffer = ByteWriter(capacity: 256)

  init(_ host: Host) {
    settings =
      host.flags[Self.include].map { Setting($0, isInfo: false, host) }
      + host.flags[Self.includeInfo].map { Setting($0, isInfo: true, host) }
  }

  /// A setting that cannot be read or is not what its flag says does not keep the others back.
  func collect(into writer: MetricWriter) throws {
    try settings.forEachIndependently { setting in
      try setting.file.read(into: &buffer) { bytes in try write(setting, bytes, into: writer) }
    }
  }

  private func write(_ setting: Setting, _ text: RawSpan, into writer: MetricWriter) throws(MalformedFile) {
    let count = Self.countOfValues(text)
    let path = setting.file.path
    guard count > 0 else { throw MalformedFile(path, "expected a value") }
    guard setting.named.isEmpty || count == setting.named.count else {
      throw MalformedFile(path, "expected \(setting.named.count) values, as many as the flag names")
    }
    guard setting.named.isEmpty || !setting.isInfo else {
      throw MalformedFile(path, "expected no names for the values of an info metric")
    }
    var lines = ByteScanner(text)
    var index = 0
    while let line = lines.line() {
      var fields = ByteScanner(line)
      while let field = fields.field() {
        if setting.isInfo {
          writer.begin(Self.info)
          writer.label(index)
          writer.label(setting.name)
          writer.label(field)
          writer.end(1.0)
        } else {
          guard let value = Int64(decimal: field) else { throw MalformedFile(path, "expected whole numbers", in: line) }
          if !setting.named.isEmpty {
            writer.sample(setting.named[index], Double(value))
          } else if count == 1 {
            writer.sample(setting.single, Double(value))
          } else {
            writer.begin(setting.indexed)
            writer.label(index)
            writer.end(Double(value))
          }
        }
        index += 1
      }
    }
  }

  private static func countOfValues(_ text: RawSpan) -> Int {
    var count = 0
    var lines = ByteScanner(text)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      while fields.field() != nil { count += 1 }
    }
    return count
  }
}
