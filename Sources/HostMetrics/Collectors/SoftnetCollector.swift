// Reads /proc/net/softnet_stat (net/core/net-procfs.c of the kernel): a line of hexadecimal numbers for each online
// processor, 9 of them before Linux 2.6.39, 10, 11 since 4.17, 13 and more since 5.10.

import Bytes
import Exposition
import Kernel

final class SoftnetCollector: Collector {
  static let name = "softnet"

  /// Columns by place; one that the kernel does not have is 0.
  private static let columns: [(place: Int, family: MetricFamily)] = [
    (0, .counter("node_softnet_processed_total", "Number of processed packets", ["cpu"])),
    (1, .counter("node_softnet_dropped_total", "Number of dropped packets", ["cpu"])),
    (
      2,
      .counter(
        "node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota", ["cpu"])
    ),
    (
      8,
      .counter(
        "node_softnet_cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting", ["cpu"])
    ),
    (9, .counter("node_softnet_received_rps_total", "Number of times cpu woken up received_rps", ["cpu"])),
    (10, .counter("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached", ["cpu"])),
    (backlog, .gauge("node_softnet_backlog_len", "Softnet backlog status", ["cpu"])),
  ]
  private static let backlog = 11
  /// The place of the processor's number.
  private static let index = 12

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 4096)
  /// A row for each processor.
  private var rows: [InlineArray<13, UInt32>] = []

  init(_ host: Host) { file = KernelFile(host.proc("net/softnet_stat"), .shortLines) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes) }
    for column in Self.columns {
      for row in rows {
        writer.begin(column.family)
        writer.label(Int(row[Self.index]))
        writer.end(UInt64(row[column.place]))
      }
    }
  }

  private func parse(_ bytes: RawSpan) throws {
    rows.removeAll(keepingCapacity: true)
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var row = InlineArray<13, UInt32>(repeating: 0)
      var fields = ByteScanner(line)
      var width = 0
      while width <= Self.index, let field = fields.field() {
        guard let number = UInt64(hex: field).flatMap({ UInt32(exactly: $0) }) else {
          throw MalformedFile(file.path, "expected hexadecimal numbers", in: line)
        }
        row[width] = number
        width += 1
      }
      guard width >= 9 else { throw MalformedFile(file.path, "expected at least 9 columns", in: line) }
      if width <= Self.index {
        // Without the processor's number it is the line's.
        row[Self.backlog] = 0
        row[Self.index] = UInt32(truncatingIfNeeded: rows.count)
      }
      rows.append(row)
    }
  }
}
