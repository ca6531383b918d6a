// Asks the drivers of the network devices for their name and version, their link modes and their own counters
// (SIOCETHTOOL, include/uapi/linux/ethtool.h).

import Bytes
import Exposition
import Flags
import Kernel
import Patterns

final class EthtoolCollector: Collector {
  static let name = "ethtool"
  static let isEnabledByDefault = false

  private static let include = Flag(
    "collector.ethtool.device-include", "",
    "Regexp of ethtool devices to include (mutually exclusive to device-exclude).")
  private static let exclude = Flag(
    "collector.ethtool.device-exclude", "",
    "Regexp of ethtool devices to exclude (mutually exclusive to device-include).")
  private static let metricsInclude = Flag(
    "collector.ethtool.metrics-include", ".*", "Regexp of ethtool stats to include.")
  static let flags = [include.definition, exclude.definition, metricsInclude.definition]

  private static let info = MetricFamily.gauge(
    "node_ethtool_info",
    "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, firmware_version, version.",
    ["bus_info", "device", "driver", "expansion_rom_version", "firmware_version", "version"])
  private static let autonegotiate = MetricFamily.gauge(
    "node_network_autonegotiate", "If this port is using autonegotiate", ["device"])

  /// Counters that most drivers have; the others are named and described by what the driver calls them.
  private static let common: [String: MetricFamily] = [
    "rx_bytes": counter("received_bytes_total", "Network interface bytes received"),
    "rx_dropped": counter("received_dropped_total", "Number of received frames dropped"),
    "rx_errors": counter("received_errors_total", "Number of received frames with errors"),
    "rx_packets": counter("received_packets_total", "Network interface packets received"),
    "tx_bytes": counter("transmitted_bytes_total", "Network interface bytes sent"),
    "tx_errors": counter("transmitted_errors_total", "Number of sent frames with errors"),
    "tx_packets": counter("transmitted_packets_total", "Network interface packets sent"),
  ]

  private static func counter(_ name: String, _ help: String) -> MetricFamily {
    .untyped("node_ethtool_\(name)", help, ["device"])
  }

  /// The counters' names of a device, as its driver gave them last time, and what they are shown as.
  private struct Columns {
    var names: [[UInt8]] = []
    var families: [MetricFamily?] = []
  }

  private let host: Host
  private let filter: NetworkDeviceFilter
  private let metricsFilter: NameFilter
  private let socket = EthtoolSocket()
  private var families = EthtoolCollector.common
  private var columns: [String: Columns] = [:]

  init(_ host: Host) throws(CollectorConfigurationError) {
    self.host = host
    filter = try NetworkDeviceFilter(
      host,
      own: NameFilter(
        include: host.flags[Self.include], exclude: host.flags[Self.exclude],
        flags: "collector.ethtool.device-exclude & collector.ethtool.device-include"))
    metricsFilter = try NameFilter(include: host.flags[Self.metricsInclude])
  }

  func collect(into writer: MetricWriter) throws {
    let devices = try NoData.ifAbsent { try Directory.names(host.sys("class/net")) }
    for device in devices where !filter.isIgnored(device) {
      attempt("link settings", device) { () throws(KernelError) in
        write(try socket.linkSettings(of: device), of: device, to: writer)
      }
      attempt("driver information", device) { () throws(KernelError) in
        write(try socket.driverInformation(of: device), of: device, to: writer)
      }
      attempt("counters", device) { () throws(KernelError) in
        write(try socket.statistics(of: device), of: device, to: writer)
      }
    }
    if columns.count > devices.count { columns = columns.filter { devices.contains($0.key) } }
  }

  /// What a driver does not tell is not shown.
  private func attempt(_ what: String, _ device: String, _ body: () throws(KernelError) -> Void) {
    do {
      try body()
    } catch {
      host.logger.debug("no ethtool \(what)", metadata: ["device": "\(device)", "err": "\(error)"])
    }
  }

  // MARK: Writing

  private func write(_ settings: LinkSettings, of device: String, to writer: MetricWriter) {
    EthtoolLinkModes.write(settings.supported, of: device, as: EthtoolLinkModes.supported, to: writer)
    EthtoolLinkModes.writePorts(settings.supported, of: device, to: writer)
    EthtoolLinkModes.write(settings.advertised, of: device, as: EthtoolLinkModes.advertised, to: writer)
    writer.write(Self.autonegotiate, [device], settings.isAutonegotiating ? 1 : 0)
  }

  private func write(_ driver: DriverInformation, of device: String, to writer: MetricWriter) {
    let labels = [
      driver.busInformation, device, driver.driver, driver.expansionROMVersion, driver.firmwareVersion, driver.version,
    ]
    writer.write(Self.info, labels, 1)
  }

  private func write(_ counters: [(name: [UInt8], value: UInt64)], of device: String, to writer: MetricWriter) {
    var known = columns[device] ?? Columns()
    if !known.names.elementsEqual(counters.lazy.map(\.name)) {
      known.names = counters.map(\.name)
      known.families = families(of: known.names)
      columns[device] = known
    }
    for (family, counter) in zip(known.families, counters) {
      guard let family else { continue }
      writer.begin(family)
      writer.label(device)
      writer.end(counter.value)
    }
  }

  /// Nil for those that are not to be shown: unwanted, or not to be told from others of the device. Of counters with
  /// the very same name the last is shown.
  private func families(of names: [[UInt8]]) -> [MetricFamily?] {
    let last = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { $1 })
    let wanted: [(short: String, full: String)?] = names.enumerated().map { index, name in
      let short = name.asMetricName
      return last[name] == index && !metricsFilter.isIgnored(short) ? (short, Self.metricName(short)) : nil
    }
    let uses = Dictionary(wanted.compactMap { $0 }.map { ($0.full, 1) }, uniquingKeysWith: +)
    return wanted.map { name in
      guard let name, !name.full.isEmpty, uses[name.full] == 1 else { return nil }
      if let family = families[name.short] { return family }
      let family = Self.counter(name.full, "Network interface \(name.short)")
      families[name.short] = family
      return family
    }
  }

  // MARK: Names

  /// What comes behind `node_ethtool_`: in lower case, with `rx` and `tx` between underscores written out, but not two
  /// of a kind one after the other.
  static func metricName(_ sanitized: String) -> String {
    var words = sanitized.lowercased().drop { $0 == "_" }.split(separator: "_", omittingEmptySubsequences: false)
    for (short, long) in [("rx", "received"), ("tx", "transmitted")] {
      var hasReplaced = false
      for index in words.indices {
        hasReplaced = words[index] == short && !hasReplaced
        if hasReplaced { words[index] = long[...] }
      }
    }
    return words.joined(separator: "_")
  }
}
