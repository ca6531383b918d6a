// Reads the cpu lines of /proc/schedstat (Documentation/scheduler/sched-stats.rst): "cpu0 1 2 3 4 5 6 7 8 9", of
// which the last three are nanoseconds running, nanoseconds waiting, and timeslices.

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

  private struct CPU {
    var number: Int
    var running: UInt64
    var waiting: UInt64
    var timeslices: UInt64
  }

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 16384)
  private var cpus: [CPU] = []

  init(_ host: Host) { file = KernelFile(host.proc("schedstat")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("the kernel keeps no scheduler statistics") }
    buffer.withBytes { bytes in parse(bytes) }
    write(Self.running, into: writer) { Double($0.running) / 1e9 }
    write(Self.waiting, into: writer) { Double($0.waiting) / 1e9 }
    write(Self.timeslices, into: writer) { Double($0.timeslices) }
  }

  private func parse(_ bytes: RawSpan) {
    cpus.removeAll(keepingCapacity: true)
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      guard line.starts(with: "cpu") else { continue }
      var fields = ByteScanner(line)
      fields.position = 3
      guard let number = fields.unsigned().flatMap({ Int(exactly: $0) }) else { continue }
      for _ in 0..<6 { _ = fields.field() }
      guard let running = fields.unsigned(), let waiting = fields.unsigned(), let timeslices = fields.unsigned()
      else { continue }
      cpus.append(CPU(number: number, running: running, waiting: waiting, timeslices: timeslices))
    }
  }

  private func write(_ family: MetricFamily, into writer: MetricWriter, _ value: (CPU) -> Double) {
    for cpu in cpus {
      writer.begin(family)
      writer.label(cpu.number)
      writer.end(value(cpu))
    }
  }
}
