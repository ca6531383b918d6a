// Reads /proc/pressure/{cpu,io,memory,irq} (Documentation/accounting/psi.rst):
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781", microseconds.

import Bytes
import Exposition
import Kernel

final class PressureCollector: Collector {
  static let name = "pressure"

  /// A resource's file, and what its lines `some` and `full` are shown as.
  private struct Resource {
    let file: String
    /// Whether a kernel that has pressure information may lack this one.
    var isOptional = false
    var some: MetricFamily?
    var full: MetricFamily?

    func family(of line: RawSpan) -> MetricFamily? {
      line.starts(with: "some ") ? some : line.starts(with: "full ") ? full : nil
    }
  }

  private static let resources: [Resource] = [
    Resource(
      file: "cpu",
      some: .counter(
        "node_pressure_cpu_waiting_seconds_total",
        "Total time in seconds that processes have waited for CPU time")),
    Resource(
      file: "io",
      some: .counter(
        "node_pressure_io_waiting_seconds_total",
        "Total time in seconds that processes have waited due to IO congestion"),
      full: .counter(
        "node_pressure_io_stalled_seconds_total",
        "Total time in seconds no process could make progress due to IO congestion")),
    Resource(
      file: "memory",
      some: .counter(
        "node_pressure_memory_waiting_seconds_total",
        "Total time in seconds that processes have waited for memory"),
      full: .counter(
        "node_pressure_memory_stalled_seconds_total",
        "Total time in seconds no process could make progress due to memory congestion")),
    Resource(
      file: "irq", isOptional: true,
      full: .counter(
        "node_pressure_irq_stalled_seconds_total",
        "Total time in seconds no process could make progress due to IRQ congestion")),
  ]

  private let files: [KernelFile]
  private var buffer = ByteWriter(capacity: 256)

  init(_ host: Host) { files = Self.resources.map { KernelFile(host.proc("pressure/\($0.file)"), .onePiece) } }

  func collect(into writer: MetricWriter) throws {
    for (resource, file) in zip(Self.resources, files) {
      guard try file.readIfPresent(into: &buffer) else {
        if resource.isOptional { continue }
        throw NoData("pressure information is unavailable, it needs a kernel since 4.20 with CONFIG_PSI and psi=1")
      }
      try buffer.withBytes { bytes in try write(resource, file.path, bytes, into: writer) }
    }
  }

  private func write(_ resource: Resource, _ path: String, _ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      guard let family = resource.family(of: line) else { continue }
      guard let total = Self.total(in: line) else { throw MalformedFile(path, "expected total=MICROSECONDS", in: line) }
      // Two divisions, as node_exporter has them: the last digit is the same.
      writer.sample(family, Double(total) / 1000 / 1000)
    }
  }

  private static func total(in line: RawSpan) -> UInt64? {
    var fields = ByteScanner(line)
    while let field = fields.field() {
      if field.starts(with: "total=") { return UInt64(decimal: field.extracting(6..<field.byteCount)) }
    }
    return nil
  }
}
