// Reads /proc/softirqs (proc_softirqs(5)): a line a kind of softirq, a column a CPU.

import Bytes
import Exposition
import Kernel

final class SoftirqsCollector: Collector {
  static let name = "softirqs"
  static let isEnabledByDefault = false

  private static let functions = MetricFamily.counter(
    "node_softirqs_functions_total", "Softirq counts per CPU.", ["cpu", "type"])

  /// The kinds that are shown (include/linux/interrupt.h).
  private static let types: [StaticString] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
  ]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 8192)

  init(_ host: Host) { file = KernelFile(host.proc("softirqs")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    _ = lines.line()  // the CPUs
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let name = fields.field(upTo: UInt8(ascii: ":"))?.trimmed,
        let type = Self.types.first(where: { name.equals($0) })
      else { continue }
      var cpu = 0
      while let field = fields.field() {
        guard let count = UInt64(decimal: field) else { throw MalformedFile(file.path, "expected numbers", in: line) }
        writer.begin(Self.functions)
        writer.label(cpu)
        writer.label(type)
        writer.end(count)
        cpu += 1
      }
    }
  }
}
