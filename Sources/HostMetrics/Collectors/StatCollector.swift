// Reads /proc/stat but for its cpu lines (proc_stat(5)): interrupts, context switches, processes.

import Bytes
import Exposition
import Flags
import Kernel

final class StatCollector: Collector {
  static let name = "stat"
  static let flags = [softirqFlag.definition]

  private static let softirqFlag = Flag("collector.stat.softirq", false, "Export softirq calls per vector")

  /// A line's key, and the family of its first number.
  private static let lines: [(key: StaticString, family: MetricFamily)] = [
    ("intr", .counter("node_intr_total", "Total number of interrupts serviced.")),
    ("ctxt", .counter("node_context_switches_total", "Total number of context switches.")),
    ("btime", .gauge("node_boot_time_seconds", "Node boot time, in unixtime.")),
    ("processes", .counter("node_forks_total", "Total number of forks.")),
    ("procs_running", .gauge("node_procs_running", "Number of processes in runnable state.")),
    ("procs_blocked", .gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.")),
  ]

  private static let softirqs = MetricFamily.counter("node_softirqs_total", "Number of softirq calls.", ["vector"])
  /// In the order of the softirq line's numbers, behind the total (include/linux/interrupt.h).
  private static let vectors: [StaticString] = [
    "hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu",
  ]

  private let file: KernelFile
  private let showsSoftirqs: Bool
  private var buffer = ByteWriter(capacity: 8192)

  init(_ host: Host) {
    file = KernelFile(host.proc("stat"), .onePiece)
    showsSoftirqs = host.flags[Self.softirqFlag]
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let key = fields.field() else { continue }
      if let family = Self.family(of: key) {
        guard let value = fields.unsigned() else { throw MalformedFile(file.path, "expected a number", in: line) }
        writer.sample(family, value)
      } else if showsSoftirqs, key.equals("softirq") {
        try collectSoftirqs(line, into: writer)
      }
    }
  }

  private static func family(of key: RawSpan) -> MetricFamily? {
    for line in lines where key.equals(line.key) { return line.family }
    return nil
  }

  private func collectSoftirqs(_ line: RawSpan, into writer: MetricWriter) throws {
    var fields = ByteScanner(line)
    _ = fields.field()  // the key
    _ = fields.field()  // the total
    for vector in Self.vectors {
      guard let calls = fields.unsigned() else { throw MalformedFile(file.path, "expected ten vectors", in: line) }
      writer.begin(Self.softirqs)
      writer.label(vector)
      writer.end(calls)
    }
  }
}
