// Reads /proc/meminfo (Documentation/filesystems/proc.rst, "meminfo").

import Bytes
import Exposition
import Kernel

final class MeminfoCollector: Collector {
  static let name = "meminfo"

  /// The fields that node_exporter knows; "(x)" becomes "_x" in the name. What is not here is not shown.
  private static let fields: Set<String> = [
    "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive", "Active(anon)",
    "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked", "SwapTotal", "SwapFree", "Zswap",
    "Zswapped", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "Slab", "SReclaimable", "SUnreclaim",
    "KernelStack", "PageTables", "NFS_Unstable", "Bounce", "WritebackTmp", "CommitLimit", "Committed_AS",
    "VmallocTotal", "VmallocUsed", "VmallocChunk", "Percpu", "HardwareCorrupted", "AnonHugePages", "ShmemHugePages",
    "ShmemPmdMapped", "CmaTotal", "CmaFree", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
    "Hugepagesize", "DirectMap4k", "DirectMap2M", "DirectMap1G",
  ]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 4096)
  private var families = FamilyCache { key in
    guard fields.contains(key) else { return nil }
    let name = key.filter { $0 != ")" }.split(separator: "(").joined(separator: "_")
    // HugePages_Total and its kin are counts of pages, all else is in kB.
    let field = key.hasPrefix("HugePages_") ? name : name + "_bytes"
    return .gauge("node_memory_\(field)", "Memory information field \(field).")
  }

  init(_ host: Host) { file = KernelFile(host.proc("meminfo")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    var position = -1
    while let line = lines.line() {
      position += 1
      var fields = ByteScanner(line)
      guard let key = fields.field(upTo: UInt8(ascii: ":")) else { continue }
      guard let family = families.family(of: key, at: position) else { continue }
      guard let value = fields.unsigned() else { throw MalformedFile(file.path, "expected a number", in: line) }
      let isKilobytes = fields.field()?.equals("kB") ?? false
      writer.sample(family, isKilobytes ? Double(value) * 1024 : Double(value))
    }
  }
}
