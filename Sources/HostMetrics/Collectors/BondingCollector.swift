// Reads /sys/class/net/bonding_masters, and of each master M: M/bonding/slaves and
// M/lower_SLAVE/bonding_slave/mii_status, which was M/slave_SLAVE/… before Linux 3.13
// (Documentation/networking/bonding.rst).

import Bytes
import Exposition
import Kernel

final class BondingCollector: Collector {
  static let name = "bonding"

  private static let slaves = MetricFamily.gauge(
    "node_bonding_slaves", "Number of configured slaves per bonding interface.", ["master"])
  private static let active = MetricFamily.gauge(
    "node_bonding_active", "Number of active slaves per bonding interface.", ["master"])

  private let folder: String
  private let filter: NetworkDeviceFilter
  private let reader = AttributeReader()

  init(_ host: Host) throws(CollectorConfigurationError) {
    folder = host.sys("class/net")
    filter = try NetworkDeviceFilter(host)
  }

  func collect(into writer: MetricWriter) throws {
    guard let masters = words(folder, "bonding_masters") else {
      throw NoData("\(folder)/bonding_masters is not there")
    }
    for master in masters where !filter.isIgnored(master) {
      let path = "\(folder)/\(master)"
      guard let slaves = words(path, "bonding/slaves") else { continue }
      writer.write(Self.slaves, [master], Double(slaves.count))
      writer.write(Self.active, [master], Double(slaves.count { isUp($0, path) }))
    }
  }

  private func words(_ folder: String, _ file: String) -> [String]? {
    reader.text(folder, file)?.split(whereSeparator: \.isWhitespace).map(String.init)
  }

  private func isUp(_ slave: String, _ master: String) -> Bool {
    for prefix in ["lower", "slave"] {
      if let isUp = reader.value(master, "\(prefix)_\(slave)/bonding_slave/mii_status", { $0.equals("up") }) {
        return isUp
      }
    }
    return false
  }
}
