// Reads /proc/softirqs (proc_softirqs(5)): a heading, then for each kind "HI:" and a number for each processor.

import Bytes
import Exposition
import Kernel

final class SoftirqsCollector: Collector {
  static let name = "softirqs"
  static let isEnabledByDefault = false

  private static let calls = MetricFamily.counter(
    "node_softirqs_functions_total", "Softirq counts per CPU.", ["cpu", "type"])
  private static let kinds: [StaticString] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
  ]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 16384)

  init(_ host: Host) { file = KernelFile(host.proc("softirqs")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard lines.line() != nil else { throw MalformedFile(file.path, "expected a heading") }
    while let line = lines.line() {
      var fields = ByteScanner(line)
      fields.skipBlanks()
      guard let kind = fields.field(upTo: UInt8(ascii: ":")),
        Self.kinds.contains(where: { kind.equals($0) })
      else { continue }
      var cpu = 0
      while let field = fields.field() {
        guard let value = UInt64(decimal: field) else { throw MalformedFile(file.path, "expected numbers", in: line) }
        writer.begin(Self.calls)
        writer.label(cpu)
        writer.label(kind)
        writer.end(value)
        cpu += 1
      }
    }
  }
}
