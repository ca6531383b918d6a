// Reads /proc/sys/net/netfilter/nf_conntrack_{count,max} (Documentation/networking/nf_conntrack-sysctl.rst) and
// /proc/net/stat/nf_conntrack: a line of hexadecimal numbers for each CPU below a line of names.

import Bytes
import Exposition
import Kernel

final class ConntrackCollector: Collector {
  static let name = "conntrack"

  private static let entries = MetricFamily.gauge(
    "node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.")
  private static let limit = MetricFamily.gauge(
    "node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")

  /// A column of the statistics: the names of some have changed, their places have not.
  private static let statistics: [(column: Int, family: MetricFamily)] = [
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
        "node_nf_conntrack_stat_insert_failed",
        "Number of entries for which list insertion was attempted but failed.")
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
  private static let columnCount = 17

  private let count: KernelFile
  private let maximum: KernelFile
  private let statistics: KernelFile
  private var buffer = ByteWriter(capacity: 4096)

  init(_ host: Host) {
    count = KernelFile(host.proc("sys/net/netfilter/nf_conntrack_count"))
    maximum = KernelFile(host.proc("sys/net/netfilter/nf_conntrack_max"))
    statistics = KernelFile(host.proc("net/stat/nf_conntrack"))
  }

  func collect(into writer: MetricWriter) throws {
    guard try count.readIfPresent(into: &buffer) else {
      throw NoData("\(count.path) is not there: the module nf_conntrack is not loaded")
    }
    try buffer.withBytes { bytes in writer.sample(Self.entries, try number(bytes, count.path)) }
    try maximum.read(into: &buffer) { bytes in writer.sample(Self.limit, try number(bytes, maximum.path)) }
    try statistics.read(into: &buffer) { bytes in try sum(bytes, into: writer) }
  }

  private func number(_ bytes: RawSpan, _ path: String) throws -> UInt64 {
    guard let value = UInt64(decimal: bytes.trimmed) else { throw MalformedFile(path, "expected a number", in: bytes) }
    return value
  }

  /// Sums each column over the CPUs.
  private func sum(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var sums = InlineArray<17, UInt64>(repeating: 0)
    var lines = ByteScanner(bytes)
    _ = lines.line()  // the names
    while let line = lines.line() {
      var fields = ByteScanner(line)
      var column = 0
      while let field = fields.field() {
        guard let value = UInt64(hex: field), column < Self.columnCount else {
          throw MalformedFile(statistics.path, "expected at most 17 hexadecimal numbers", in: line)
        }
        sums[column] &+= value
        column += 1
      }
      // search_restart came last.
      guard column >= Self.columnCount - 1 else {
        throw MalformedFile(statistics.path, "expected 16 hexadecimal numbers or more", in: line)
      }
    }
    for statistic in Self.statistics { writer.sample(statistic.family, sums[statistic.column]) }
  }
}
