// Reads /proc/sys/kernel/random/{entropy_avail,poolsize} (Documentation/admin-guide/sysctl/kernel.rst, "random").

import Bytes
import Exposition
import Kernel

final class EntropyCollector: Collector {
  static let name = "entropy"

  private static let families: [(file: String, family: MetricFamily)] = [
    ("entropy_avail", .gauge("node_entropy_available_bits", "Bits of available entropy.")),
    ("poolsize", .gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")),
  ]

  private let files: [KernelFile]
  private var buffer = ByteWriter(capacity: 64)

  init(_ host: Host) { files = Self.families.map { KernelFile(host.proc("sys/kernel/random/\($0.file)"), .onePiece) } }

  func collect(into writer: MetricWriter) throws {
    var hasData = false
    for (file, metric) in zip(files, Self.families) {
      guard try file.readIfPresent(into: &buffer) else { continue }
      guard let value = buffer.withBytes({ bytes in UInt64(decimal: bytes.trimmed) }) else { continue }
      writer.sample(metric.family, value)
      hasData = true
    }
    guard hasData else { throw NoData("\(files[0].path) and \(files[1].path) hold no numbers") }
  }
}
