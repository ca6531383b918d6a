// Reads /proc/swaps (proc_swaps(5)): a head, then "/dev/zram0  partition  8388604  76  100", which are a device, its
// kind, its size and what is used of it in kB, and its priority.

import Bytes
import Exposition
import Kernel

final class SwapCollector: Collector {
  static let name = "swap"
  static let isEnabledByDefault = false

  /// The numbers in their order, each with what makes its unit of the kernel's.
  private static let columns: [(family: MetricFamily, factor: Double)] = [
    (.gauge("node_swap_size_bytes", "Swap device size in bytes.", labels), 1024),
    (.gauge("node_swap_used_bytes", "Swap device used in bytes.", labels), 1024),
    (.gauge("node_swap_priority", "Swap device priority.", labels), 1),
  ]
  private static let labels = ["device", "swap_type"]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 1024)

  init(_ host: Host) { file = KernelFile(host.proc("swaps")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    _ = lines.line()
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let device = fields.field(), let kind = fields.field() else {
        throw MalformedFile(file.path, "expected a device and its kind", in: line)
      }
      for column in Self.columns {
        guard let field = fields.field(), let value = Int64(decimal: field) else {
          throw MalformedFile(file.path, "expected three numbers", in: line)
        }
        writer.begin(column.family)
        writer.label(device)
        writer.label(kind)
        writer.end(Double(value) * column.factor)
      }
    }
  }
}
