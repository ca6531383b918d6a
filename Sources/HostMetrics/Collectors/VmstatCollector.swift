// Reads /proc/vmstat: a key and a number a line (proc_vmstat(5)).

import Bytes
import Exposition
import Flags
import Kernel

final class VmstatCollector: Collector {
  static let name = "vmstat"
  static let flags = [fieldsFlag.definition]

  private static let fieldsFlag = Flag(
    "collector.vmstat.fields", "^(oom_kill|pgpg|pswp|pg.*fault).*", "Regexp of fields to return for vmstat collector.")

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 8192)
  private var families: FamilyCache

  init(_ host: Host) throws(CollectorConfigurationError) {
    file = KernelFile(host.proc("vmstat"))
    let shown = try NameFilter(include: host.flags[Self.fieldsFlag])
    families = FamilyCache { key in
      shown.isIgnored(key) ? nil : .untyped("node_vmstat_\(key)", "/proc/vmstat information field \(key).")
    }
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try families.write(bytes, of: file.path, into: writer) }
  }
}
