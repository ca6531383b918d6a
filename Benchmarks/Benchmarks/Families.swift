// The exporter's page: about 600 samples in 200 families, with labels and values as node_exporter's are.

import Bytes
import Exposition

struct Families {
  private let plain: [MetricFamily]
  private let devices: [MetricFamily]
  private let modes: MetricFamily
  private let deviceNames: [[UInt8]]
  private static let modeNames: [StaticString] = [
    "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
  ]
  private static let cpus = 8

  init() {
    plain = (0..<140).map { .gauge("node_memory_field\($0)_bytes", "Memory information field number \($0).") }
    devices = (0..<59).map { .counter("node_disk_field\($0)_total", "Disk statistics field number \($0).", ["device"]) }
    modes = .counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", ["cpu", "mode"])
    deviceNames = (0..<7).map { Array("nvme\($0)n1".utf8) }
  }

  /// Whole numbers, large and small, and fractions, no two of them alike.
  private static func value(_ index: Int, _ round: Int) -> Double {
    switch index % 4 {
    case 0: Double(16_777_216 * (index + 1) + round)
    case 1: Double(index * 17 + round) / 100
    case 2: 0
    default: Double(index) + 1.7e9 + Double(round % 1000) * 0.001
    }
  }

  func write(to writer: MetricWriter, round: Int) {
    for (index, family) in plain.enumerated() { writer.sample(family, Self.value(index, round)) }
    for (index, family) in devices.enumerated() {
      for (device, name) in deviceNames.enumerated() {
        writer.begin(family)
        writer.label(name.span.bytes)
        writer.end(Self.value(index * 7 + device, round))
      }
    }
    for cpu in 0..<Self.cpus {
      for (index, mode) in Self.modeNames.enumerated() {
        writer.begin(modes)
        writer.label(cpu)
        writer.label(mode)
        writer.end(Self.value(cpu * 8 + index, round))
      }
    }
  }

  /// The page, and its samples.
  static func page(as format: ExpositionFormat = .text) -> (text: [UInt8], samples: Int) {
    let writer = MetricWriter()
    Families().write(to: writer, round: 1)
    var output = ByteWriter()
    TextExposition().render([writer], as: format, into: &output)
    return (output.withBytes { $0.array }, writer.count)
  }
}
