// Reads the cpu lines of /proc/schedstat (Documentation/scheduler/sched-stats.rst): times are in nanoseconds.

import Bytes
import Exposition
import Kernel

final class SchedstatCollector: Collector {
  static let name = "schedstat"

  private static let running = MetricFamily.counter(
    "node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", ["cpu"])
  private static let waiting = MetricFamily.counter(
    "node_schedstat_waiting_seconds_total", "Number of seconds spent by processing waiting for this CPU.", ["cpu"])
  private static let timeslices = MetricFamily.counter(
    "node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", ["cpu"])

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 8192)

  init(_ host: Host) { file = KernelFile(host.proc("schedstat")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else {
      throw NoData("\(file.path) is not there: the kernel has no CONFIG_SCHEDSTATS")
    }
    try buffer.withBytes { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      guard line.starts(with: "cpu") else { continue }
      var fields = ByteScanner(line)
      guard let name = fields.field(), name.byteCount > 3 else { continue }
      // yld_count, a zero, sched_count, sched_goidle, ttwu_count, ttwu_local
      for _ in 0..<6 { _ = fields.field() }
      guard let running = fields.unsigned(), let waiting = fields.unsigned(), let timeslices = fields.unsigned() else {
        throw MalformedFile(file.path, "expected nine numbers", in: line)
      }
      let cpu = name.extracting(3..<name.byteCount)
      write(Self.running, cpu, Double(running) / 1e9, into: writer)
      write(Self.waiting, cpu, Double(waiting) / 1e9, into: writer)
      write(Self.timeslices, cpu, Double(timeslices), into: writer)
    }
  }

  private func write(_ family: MetricFamily, _ cpu: RawSpan, _ value: Double, into writer: MetricWriter) {
    writer.begin(family)
    writer.label(cpu)
    writer.end(value)
  }
}
