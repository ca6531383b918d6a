// Reads /proc/sys/kernel/random/{entropy_avail,poolsize} (Documentation/admin-guide/sysctl/kernel.rst, "random").

import Exposition
import Kernel

final class EntropyCollector: Collector {
  static let name = "entropy"

  private static let attributes = [
    Attribute("entropy_avail", .gauge("node_entropy_available_bits", "Bits of available entropy.")),
    Attribute("poolsize", .gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")),
  ]

  private let folder: String
  private let reader = AttributeReader()

  init(_ host: Host) { folder = host.proc("sys/kernel/random") }

  func collect(into writer: MetricWriter) throws {
    let count = writer.count
    reader.write(Self.attributes, of: folder, labels: [], into: writer)
    guard writer.count > count else { throw NoData("\(folder) holds no entropy_avail and no poolsize") }
  }
}
