// Reads /proc/loadavg (proc_loadavg(5)): "0.20 0.18 0.12 1/80 11206".

import Bytes
import Exposition
import Kernel

final class LoadavgCollector: Collector {
  static let name = "loadavg"

  private static let families: [MetricFamily] = [
    .gauge("node_load1", "1m load average."),
    .gauge("node_load5", "5m load average."),
    .gauge("node_load15", "15m load average."),
  ]

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 128)

  init(_ host: Host) { file = KernelFile(host.proc("loadavg"), .onePiece) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer)
    var fields = ByteScanner(buffer.bytes)
    for family in Self.families {
      guard let load = fields.double() else { throw MalformedFile(file.path, "expected three load averages") }
      writer.sample(family, load)
    }
  }
}
