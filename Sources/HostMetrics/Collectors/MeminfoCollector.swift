// Reads /proc/meminfo (Documentation/filesystems/proc.rst, "meminfo").

import Bytes
import Exposition
import Flags
import Kernel

final class MeminfoCollector: Collector {
  static let name = "meminfo"
  static let flags = [unknownFields.definition]

  private static let unknownFields = Flag(
    "collector.meminfo.unknown-fields", false,
    "Export fields of /proc/meminfo that node_exporter does not know, too.")

  /// The fields that node_exporter knows; "(x)" becomes "_x" in the name. What is not here is shown when a flag says so.
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
  private var families: FamilyCache

  init(_ host: Host) {
    file = KernelFile(host.proc("meminfo"), .onePiece)
    let showsUnknown = host.flags[Self.unknownFields]
    families = FamilyCache { key in
      guard showsUnknown || Self.fields.contains(key) else { return nil }
      let name = Self.fieldName(key)
      // HugePages_Total and its kin are counts of pages, all else is in kB.
      let field = key.hasPrefix("HugePages_") ? name : name + "_bytes"
      return .gauge("node_memory_\(field)", "Memory information field \(field).")
    }
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try families.write(bytes, of: file.path, into: writer) }
  }

  /// "Active(anon)" gives "Active_anon".
  static func fieldName(_ key: String) -> String {
    (key.hasSuffix(")") ? key.dropLast() : key[...]).utf8.asMetricName
  }
}
