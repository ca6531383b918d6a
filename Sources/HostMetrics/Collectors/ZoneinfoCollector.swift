// Reads /proc/zoneinfo (proc_zoneinfo(5)): for each zone a line "Node 0, zone  DMA", then "key  number" lines and
// "protection: (0, 2039, 31932)".

import Bytes
import Exposition
import Kernel

final class ZoneinfoCollector: Collector {
  static let name = "zoneinfo"
  static let isEnabledByDefault = false

  private static let labels = ["node", "zone"]

  /// A key and the family of its number.
  private static let numbers: [(key: StaticString, family: MetricFamily)] = [
    ("nr_free_pages", gauge("nr_free_pages", "Total number of free pages in the zone")),
    ("min", gauge("min_pages", "Zone watermark pages_min")),
    ("low", gauge("low_pages", "Zone watermark pages_low")),
    ("high", gauge("high_pages", "Zone watermark pages_high")),
    ("scanned", gauge("scanned_pages", "Pages scanned since last reclaim")),
    ("spanned", gauge("spanned_pages", "Total pages spanned by the zone, including holes")),
    ("present", gauge("present_pages", "Physical pages existing within the zone")),
    ("managed", gauge("managed_pages", "Present pages managed by the buddy system")),
    ("nr_active_anon", gauge("nr_active_anon_pages", "Number of anonymous pages recently more used")),
    ("nr_inactive_anon", gauge("nr_inactive_anon_pages", "Number of anonymous pages recently less used")),
    ("nr_isolated_anon", gauge("nr_isolated_anon_pages", "Temporary isolated pages from anon lru")),
    ("nr_anon_pages", gauge("nr_anon_pages", "Number of anonymous pages currently used by the system")),
    (
      "nr_anon_transparent_hugepages",
      gauge(
        "nr_anon_transparent_hugepages",
        "Number of anonymous transparent huge pages currently used by the system")
    ),
    ("nr_active_file", gauge("nr_active_file_pages", "Number of active pages with file-backing")),
    ("nr_inactive_file", gauge("nr_inactive_file_pages", "Number of inactive pages with file-backing")),
    ("nr_isolated_file", gauge("nr_isolated_file_pages", "Temporary isolated pages from file lru")),
    ("nr_file_pages", gauge("nr_file_pages", "Number of file pages")),
    ("nr_slab_reclaimable", gauge("nr_slab_reclaimable_pages", "Number of reclaimable slab pages")),
    ("nr_slab_unreclaimable", gauge("nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages")),
    ("nr_mlock_stack", gauge("nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU")),
    ("nr_kernel_stack", gauge("nr_kernel_stacks", "Number of kernel stacks")),
    ("nr_mapped", gauge("nr_mapped_pages", "Number of mapped pages")),
    ("nr_dirty", gauge("nr_dirty_pages", "Number of dirty pages")),
    ("nr_writeback", gauge("nr_writeback_pages", "Number of writeback pages")),
    ("nr_unevictable", gauge("nr_unevictable_pages", "Number of unevictable pages")),
    ("nr_shmem", gauge("nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)")),
    ("nr_dirtied", counter("nr_dirtied_total", "Page dirtyings since bootup")),
    ("nr_written", counter("nr_written_total", "Page writings since bootup")),
    ("numa_hit", counter("numa_hit_total", "Allocated in intended node")),
    ("numa_miss", counter("numa_miss_total", "Allocated in non intended node")),
    ("numa_foreign", counter("numa_foreign_total", "Was intended here, hit elsewhere")),
    ("numa_interleave", counter("numa_interleave_total", "Interleaver preferred this zone")),
    ("numa_local", counter("numa_local_total", "Allocation from local node")),
    ("numa_other", counter("numa_other_total", "Allocation from other node")),
  ]

  private static func gauge(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_zoneinfo_\(name)", help, labels)
  }
  private static func counter(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_zoneinfo_\(name)", help, labels)
  }

  /// The kernel has at most six kinds of zone, and one number for each.
  private static let protections = (0..<16).map { index in
    gauge("protection_\(index)", "Protection array \(index). field")
  }

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 16 << 10)
  /// Node and zone of the lines that are being read; none before the first zone.
  private var zone: [String] = []
  /// The zone's numbers, as in the table: a key may come twice, and the last counts.
  private var values = [Int64?](repeating: nil, count: numbers.count)

  init(_ host: Host) { file = KernelFile(host.proc("zoneinfo")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) {
    zone = []
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let key = fields.field() else { continue }
      if key.equals("Node") {
        finishZone(into: writer)
        guard let node = fields.field(upTo: UInt8(ascii: ",")), fields.field() != nil, let name = fields.field() else {
          continue
        }
        zone = [String(utf8: node.trimmed), String(utf8: name)]
      } else if key.equals("protection:") {
        writeProtection(fields.rest, into: writer)
      } else if let place = Self.place(of: key), let value = fields.field() {
        values[place] = Int64(decimal: value)
      }
    }
    finishZone(into: writer)
  }

  private static func place(of key: RawSpan) -> Int? {
    for (place, number) in numbers.enumerated() where key.equals(number.key) { return place }
    return nil
  }

  private func finishZone(into writer: MetricWriter) {
    for place in values.indices {
      if let value = values[place], !zone.isEmpty { writer.write(Self.numbers[place].family, zone, Double(value)) }
      values[place] = nil
    }
  }

  /// "(0, 2039, 31932)"; all of it or nothing.
  private func writeProtection(_ text: RawSpan, into writer: MetricWriter) {
    guard !zone.isEmpty else { return }
    let numbers = String(utf8: text).split { " (),".contains($0) }.map { Int64($0) }
    for (family, number) in zip(Self.protections, numbers) where !numbers.contains(nil) {
      writer.write(family, zone, Double(number ?? 0))
    }
  }
}
