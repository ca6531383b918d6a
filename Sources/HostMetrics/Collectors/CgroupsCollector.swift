// Reads /proc/cgroups (Documentation/admin-guide/cgroup-v1/cgroups.rst): "cpuset  5  47  1", which are a controller, its
// hierarchy, its cgroups and whether it is enabled.

import Bytes
import Exposition
import Kernel

final class CgroupsCollector: Collector {
  static let name = "cgroups"
  static let isEnabledByDefault = false

  private static let cgroups = MetricFamily.gauge(
    "node_cgroups_cgroups", "Current cgroup number of the subsystem.", ["subsys_name"])
  private static let enabled = MetricFamily.gauge(
    "node_cgroups_enabled", "Current cgroup number of the subsystem.", ["subsys_name"])

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 1024)

  init(_ host: Host) { file = KernelFile(host.proc("cgroups")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      guard line.byteCount > 0, line[0] != UInt8(ascii: "#") else { continue }
      var fields = ByteScanner(line)
      guard let name = fields.field(), fields.unsigned() != nil, let cgroups = fields.unsigned(),
        let enabled = fields.unsigned()
      else { throw MalformedFile(file.path, "expected a controller and three numbers", in: line) }
      writer.write(Self.cgroups, name, Double(cgroups))
      writer.write(Self.enabled, name, Double(enabled))
    }
  }
}
