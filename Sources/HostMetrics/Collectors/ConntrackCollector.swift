// Reads /proc/sys/net/netfilter/nf_conntrack_{count,max} (Documentation/networking/nf_conntrack-sysctl.rst) and
// /proc/net/stat/nf_conntrack: a heading, then a line of hexadecimal numbers for each processor.

import Bytes
import Exposition
import Kernel

final class ConntrackCollector: Collector {
  static let name = "conntrack"

  private static let entries = MetricFamily.gauge(
    "node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.")
  private static let limit = MetricFamily.gauge(
    "node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")

  /// Columns of the statistics, by place: kernels have renamed some headings, but never moved one.
  private static let columns: [(place: Int, family: MetricFamily)] = [
    (2, .gauge("node_nf_conntrack_stat_found", "Number of searched entries which were successful.")),
    (4, .gauge("node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked.")),
    (
      5,
      .gauge(
        "node_nf_conntrack_stat_ignore", "Number of packets seen which are already connected to a conntrack entry.")
    ),
    (8, .gauge("node_nf_conntrack_stat_insert", "Number of entries inserted into the list.")),
    (
      9,
      .gauge(
        "node_nf_conntrack_stat_insert_failed", "Number of entries for which list insertion was attempted but failed.")
    ),
    (10, .gauge("node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure.")),
    (
      11,
      .gauge(
        "node_nf_conntrack_stat_early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.")
    ),
    (
      16,
      .gauge(
        "node_nf_conntrack_stat_search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.")
    ),
  ]
  private static let width = 17

  private let count: KernelFile
  private let maximum: KernelFile
  private let statistics: KernelFile
  private var buffer = ByteWriter(capacity: 4096)

  init(_ host: Host) {
    count = KernelFile(host.proc("sys/net/netfilter/nf_conntrack_count"), .onePiece)
    maximum = KernelFile(host.proc("sys/net/netfilter/nf_conntrack_max"), .onePiece)
    statistics = KernelFile(host.proc("net/stat/nf_conntrack"), .shortLines)
  }

  func collect(into writer: MetricWriter) throws {
    for (file, family) in [(count, Self.entries), (maximum, Self.limit)] {
      try read(file) { bytes in
        guard let value = UInt64(decimal: bytes.trimmed) else { throw MalformedFile(file.path, "expected a number") }
        writer.sample(family, value)
      }
    }
    try read(statistics) { bytes in
      let sums = try Self.sums(bytes, of: statistics.path)
      for column in Self.columns { writer.sample(column.family, sums[column.place]) }
    }
  }

  private func read(_ file: KernelFile, _ body: (RawSpan) throws -> Void) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("connection tracking is not loaded") }
    try buffer.withBytes { bytes in try body(bytes) }
  }

  /// The sum of each column over the processors; the last one came with Linux 2.6.35.
  private static func sums(_ bytes: RawSpan, of path: String) throws -> InlineArray<17, UInt64> {
    var sums = InlineArray<17, UInt64>(repeating: 0)
    var lines = ByteScanner(bytes)
    _ = lines.line()
    while let line = lines.line() {
      var fields = ByteScanner(line)
      var place = 0
      while let field = fields.field() {
        guard place < Self.width, let number = UInt64(hex: field) else {
          throw MalformedFile(path, "expected 16 or 17 hexadecimal numbers", in: line)
        }
        sums[place] &+= number
        place += 1
      }
      guard place >= Self.width - 1 else {
        throw MalformedFile(path, "expected 16 or 17 hexadecimal numbers", in: line)
      }
    }
    return sums
  }
}
