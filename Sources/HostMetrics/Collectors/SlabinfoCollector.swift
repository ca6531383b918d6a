// Reads /proc/slabinfo 2.1 (proc_slabinfo(5)), which only root may:
// "tw_sock_TCP  704  864  256  32  2 : tunables  0  0  0 : slabdata  27  27  0".

import Bytes
import Exposition
import Flags
import Kernel

final class SlabinfoCollector: Collector {
  static let name = "slabinfo"
  static let isEnabledByDefault = false
  static let flags = [include.definition, exclude.definition]

  private static let include = Flag(
    "collector.slabinfo.slabs-include", ".*", "Regexp of slabs to include in slabinfo collector.")
  private static let exclude = Flag(
    "collector.slabinfo.slabs-exclude", "", "Regexp of slabs to exclude in slabinfo collector.")

  /// The numbers behind the slab's name, in their order.
  private static let columns: [MetricFamily] = [
    slab("active_objects", "The number of objects that are currently active (i.e., in use)."),
    slab("objects", "The total number of allocated objects (i.e., objects that are both in use and not in use)."),
    slab("object_size_bytes", "The size of objects in this slab, in bytes."),
    slab("objects_per_slab", "The number of objects stored in each slab."),
    slab("pages_per_slab", "The number of pages allocated for each slab."),
  ]

  private static func slab(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_slabinfo_\(name)", help, ["slab"])
  }

  private let file: KernelFile
  private let filter: NameFilter
  private var isShown = NameCache<Bool>()
  private var buffer = ByteWriter(capacity: 32 << 10)

  init(_ host: Host) throws(CollectorConfigurationError) {
    file = KernelFile(host.proc("slabinfo"))
    filter = try NameFilter(include: host.flags[Self.include], exclude: host.flags[Self.exclude])
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    isShown.restart()
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      if line.starts(with: "slabinfo - ") || line.starts(with: "# name") { continue }
      var fields = ByteScanner(line)
      guard let name = fields.field() else { continue }
      let shows = isShown.value(for: name) { !filter.isIgnored($0.span.bytes) }
      for family in Self.columns where shows {
        guard let value = fields.unsigned() else { throw MalformedFile(file.path, "expected five numbers", in: line) }
        writer.write(family, name, Double(value))
      }
    }
    isShown.finish()
  }
}
