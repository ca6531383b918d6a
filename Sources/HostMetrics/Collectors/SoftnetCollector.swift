// Reads /proc/net/softnet_stat (softnet_seq_show in net/core/net-procfs.c): a line of hexadecimal numbers for each CPU,
// more of them with each generation of kernels.

import Bytes
import Exposition
import Kernel

final class SoftnetCollector: Collector {
  static let name = "softnet"

  /// The columns that are shown. Columns 3 to 7 have been 0 since long.
  private static let columns: [(index: Int, family: MetricFamily)] = [
    (0, .counter("node_softnet_processed_total", "Number of processed packets", ["cpu"])),
    (1, .counter("node_softnet_dropped_total", "Number of dropped packets", ["cpu"])),
    (
      2,
      .counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota", ["cpu"])
    ),
    (
      8,
      .counter(
        "node_softnet_cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting", ["cpu"])
    ),
    (9, .counter("node_softnet_received_rps_total", "Number of times cpu woken up received_rps", ["cpu"])),
    (10, .counter("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached", ["cpu"])),
    (11, .gauge("node_softnet_backlog_len", "Softnet backlog status", ["cpu"])),
  ]
  /// Since Linux 5.10 the line says which CPU it is of; before, it is the line's place.
  private static let cpuColumn = 12

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 4096)

  init(_ host: Host) { file = KernelFile(host.proc("net/softnet_stat")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    var number = 0
    while let line = lines.line() {
      var numbers = InlineArray<13, UInt64>(repeating: 0)
      var count = 0
      var fields = ByteScanner(line)
      while count < numbers.count, let field = fields.field() {
        guard let value = UInt64(hex: field) else {
          throw MalformedFile(file.path, "expected hexadecimal numbers", in: line)
        }
        numbers[count] = value
        count += 1
      }
      guard count >= 9 else { throw MalformedFile(file.path, "expected nine columns or more", in: line) }
      let cpu = count > Self.cpuColumn ? Int(truncatingIfNeeded: numbers[Self.cpuColumn]) : number
      // What an old kernel has not is shown as 0.
      for column in Self.columns {
        writer.begin(column.family)
        writer.label(cpu)
        writer.end(numbers[column.index])
      }
      number += 1
    }
  }
}
