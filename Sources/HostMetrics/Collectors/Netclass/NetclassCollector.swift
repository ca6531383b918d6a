// Reads what the kernel knows of network interfaces but their counters: /sys/class/net/*/
// (Documentation/ABI/testing/sysfs-class-net), or the same by netlink (rtnetlink(7), RTM_GETLINK, and ethtool's
// ETHTOOL_MSG_LINKMODES_GET), which costs a fraction.

import Bytes
import Exposition
import Flags
import Kernel

final class NetclassCollector: Collector {
  static let name = "netclass"

  private static let ignored = Flag(
    "collector.netclass.ignored-devices", "^$", "Regexp of net devices to ignore for netclass collector.")
  private static let ignoresInvalidSpeed = Flag(
    "collector.netclass.ignore-invalid-speed", false,
    "Ignore devices where the speed is invalid. This will be the default behavior in 2.x.")
  private static let netlink = Flag(
    "collector.netclass.netlink", false, "Use netlink to gather stats instead of /proc/net/dev.")
  private static let withStatistics = Flag(
    "collector.netclass_rtnl.with-stats", false,
    "Expose the statistics for each network device, replacing netdev collector.")
  static let flags = [
    ignored.definition, ignoresInvalidSpeed.definition, netlink.definition, withStatistics.definition,
  ]

  private static let up = MetricFamily.gauge(
    "node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", ["device"])
  private static let info = MetricFamily.gauge(
    "node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
    ["address", "adminstate", "broadcast", "device", "duplex", "ifalias", "operstate"])
  private static let netlinkInfo = MetricFamily.gauge(
    "node_network_info", "Non-numeric data of <iface>, value is always 1.",
    ["address", "broadcast", "device", "duplex", "ifalias", "operstate"])
  private static let alternativeName = MetricFamily.gauge(
    "node_network_altnames_info", "Non-numeric data of <iface> altname, value is always 1.", ["altname", "device"])
  private static let properties = zip(NetclassInterface.Property.allCases, NetclassInterface.properties).map {
    (property: $0, family: family($1.metric, $1.metric.hasSuffix("_total") ? .counter : .gauge))
  }
  /// struct rtnl_link_stats64, in its order.
  private static let counters = NetdevCollector.netlinkCounters.map { family("\($0)_total", .gauge) }

  private static func family(_ name: String, _ type: MetricType) -> MetricFamily {
    MetricFamily("node_network_\(name)", type, "Network device property: \(name)", labels: ["device"])
  }

  /// Of the loopback interface of every network.
  private static let loopbackIndex: Int64 = 1
  private static let fileWords = words("half", "full", "unknown")
  private static let netlinkWords = words("Half", "Full", "Unknown")

  private static func words(_ half: String, _ full: String, _ unknown: String) -> (
    half: [UInt8], full: [UInt8], unknown: [UInt8]
  ) { (Array(half.utf8), Array(full.utf8), Array(unknown.utf8)) }

  private let host: Host
  private let filter: NetworkDeviceFilter
  private let ignoresInvalidSpeed: Bool
  private let isNetlink: Bool
  private let showsCounters: Bool

  private let routing = NetlinkSocket()
  private let generic = NetlinkSocket(.generic)
  private var ethtool: GenericFamily?
  private var buffer = ByteWriter()
  private var cache = NameCache<NetclassInterface>()
  /// The interfaces of the last dump as the kernel lists them, by name, and by number.
  private var listed: [NetclassInterface] = []
  private var sorted: [NetclassInterface] = []
  private var byIndex: [Int64: NetclassInterface] = [:]
  /// Those that only the files show.
  private var unlisted: [String: NetclassInterface] = [:]
  /// Those that the files showed when they were looked through.
  private var shown: [NetclassInterface] = []
  /// Whether netlink meant the same interfaces then, all of them; and whether it lists others since.
  private var isSameNetwork = false
  private var isListChanged = false

  init(_ host: Host) throws(CollectorConfigurationError) {
    self.host = host
    filter = try NetworkDeviceFilter(
      host, own: NameFilter(include: "", exclude: host.flags[Self.ignored], flags: "ignored-devices"))
    ignoresInvalidSpeed = host.flags[Self.ignoresInvalidSpeed]
    isNetlink = host.flags[Self.netlink]
    showsCounters = host.flags[Self.withStatistics]
  }

  func collect(into writer: MetricWriter) throws {
    if isNetlink {
      try collectByNetlink(into: writer)
    } else {
      let interfaces = try readInterfaces()
      write(interfaces, info: Self.info, showsAdministrativeState: true, to: writer)
    }
  }

  // MARK: As the files show it

  /// Those that sysfs shows, by name. What netlink tells of them is taken from there, once the files have shown that
  /// both mean the same interface: a container may see one network by netlink and another one in its /sys.
  private func readInterfaces() throws -> [NetclassInterface] {
    if isSameNetwork, dumpInterfaces() == (true, true), !isListChanged, shown.allSatisfy(\.isToldByNetlink) {
      return shown
    }
    let path = host.sys("class/net")
    let directory: AttributeDirectory
    do {
      directory = try AttributeDirectory(path)
    } catch {
      guard error.isAbsence else { throw error }
      throw NoData("\(error)")
    }
    let (hasLinks, hasSpeeds) = directory.isSysfs ? dumpInterfaces() : (false, false)
    isListChanged = false
    var interfaces: [NetclassInterface] = []
    var candidates = (hasLinks ? sorted : [])[...]
    var seen: [String: NetclassInterface] = [:]
    for name in try Directory.names(path) {
      while let first = candidates.first, first.text.utf8.lexicographicallyPrecedes(name.utf8) {
        candidates.removeFirst()
      }
      let isListed = candidates.first?.text == name
      let interface = isListed ? candidates[candidates.startIndex] : unlisted[name] ?? make(Array(name.utf8))
      if !isListed { seen[name] = interface }
      guard !interface.isIgnored else { continue }
      if update(interface, from: directory, isListed: isListed, hasSpeeds: hasSpeeds) { interfaces.append(interface) }
    }
    unlisted = seen
    // All networks have the same loopback interface: it proves nothing.
    shown = interfaces
    isSameNetwork =
      interfaces.allSatisfy { $0.trustedIndex > 0 } && interfaces.contains { $0.trustedIndex > Self.loopbackIndex }
    return interfaces
  }

  /// False when the interface is gone.
  private func update(
    _ interface: NetclassInterface, from directory: borrowing AttributeDirectory, isListed: Bool, hasSpeeds: Bool
  ) -> Bool {
    let told = (interface[.index], interface[.link], interface.address.text)
    if isListed, isSameNetwork, interface.trustedIndex == told.0 {
      // Netlink does not tell how an interface got its address; and its name and its device's number, which it does not
      // tell either, do not change.
      if !interface.hasAllFlags { _ = interface.read(.flags, from: directory, through: &buffer) }
      if interface.isUp == true, !hasSpeeds { interface.readSpeed(from: directory, through: &buffer) }
      return interface.readAddressOrigin(from: directory, through: &buffer)
    }
    let isThere = interface.read(from: directory, through: &buffer)
    let isSame = isListed && told == (interface[.index], interface[.link], interface.address.text)
    interface.trustedIndex = isSame ? interface[.index] ?? 0 : 0
    return isThere
  }

  // MARK: As node_exporter's netlink mode shows it

  private func collectByNetlink(into writer: MetricWriter) throws {
    try routing.dump(.links, into: &buffer)
    buffer.withBytes { takeLinks($0) { $0.takeAsTold($1, in: $2) } }
    _ = dumpSpeeds { $0.take($1, words: Self.netlinkWords, isSigned: false) }
    let interfaces = sorted.filter { !$0.isIgnored }
    readWhatNetlinkDoesNotTell(of: interfaces)
    write(interfaces, info: Self.netlinkInfo, showsAdministrativeState: false, to: writer)
    for interface in interfaces {
      for name in interface.alternativeNames where !name.isEmpty {
        writer.begin(Self.alternativeName)
        writer.label(name)
        writer.label(interface.name)
        writer.end(1.0)
      }
    }
    guard showsCounters else { return }
    for (index, family) in Self.counters.enumerated() {
      for interface in interfaces {
        guard let counters = interface.counters else { continue }
        writer.begin(family)
        writer.label(interface.name)
        writer.end(counters[index])
      }
    }
  }

  private func readWhatNetlinkDoesNotTell(of interfaces: [NetclassInterface]) {
    let directory: AttributeDirectory
    do {
      directory = try AttributeDirectory(host.sys("class/net"))
    } catch {
      return
    }
    for interface in interfaces {
      for property in [NetclassInterface.Property.addressAssignType, .deviceID, .nameAssignType] {
        _ = interface.read(property, from: directory, through: &buffer)
      }
    }
  }

  // MARK: Netlink

  /// Takes what netlink tells of interfaces and of their speeds in the form of the files; false for what it does not.
  private func dumpInterfaces() -> (links: Bool, speeds: Bool) {
    guard dumpLinks({ $0.take($1, in: $2) }) else { return (false, false) }
    let hasSpeeds = dumpSpeeds { interface, mode in
      if interface.isUp == true { interface.take(mode, words: Self.fileWords, isSigned: true) }
    }
    return (true, hasSpeeds)
  }

  /// False when the kernel does not tell.
  private func dumpLinks(_ take: (NetclassInterface, NetworkLink, RawSpan) -> Void) -> Bool {
    do {
      try routing.dump(.links, into: &buffer)
    } catch {
      return false
    }
    buffer.withBytes { takeLinks($0, take) }
    return true
  }

  private func takeLinks(_ dump: RawSpan, _ take: (NetclassInterface, NetworkLink, RawSpan) -> Void) {
    var found: [NetclassInterface] = []
    var hasChanged = false
    cache.restart()
    NetworkLink.forEach(in: dump) { link in
      let interface = cache.value(for: dump.extracting(link.name)) { make($0) }
      if interface[.index] != Int64(link.index) { hasChanged = true }
      if interface.isIgnored { interface[.index] = Int64(link.index) } else { take(interface, link, dump) }
      found.append(interface)
    }
    cache.finish()
    guard hasChanged || !found.elementsEqual(listed, by: ===) else { return }
    isListChanged = true
    listed = found
    sorted = found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    byIndex = Dictionary(found.map { ($0[.index] ?? 0, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// False when the kernel does not tell: before Linux 5.6, or without CONFIG_ETHTOOL_NETLINK.
  private func dumpSpeeds(_ take: (NetclassInterface, EthernetLinkMode) -> Void) -> Bool {
    do {
      let family = try self.ethtool ?? GenericFamily(EthernetLinkMode.family, by: generic, through: &buffer)
      self.ethtool = family
      try generic.dump(EthernetLinkMode.request(family), into: &buffer)
      buffer.withBytes { dump in
        EthernetLinkMode.forEach(in: dump, family) { mode in
          if let interface = byIndex[Int64(mode.index)], !interface.isIgnored { take(interface, mode) }
        }
      }
      return true
    } catch {
      self.ethtool = nil
      return false
    }
  }

  private func make(_ name: [UInt8]) -> NetclassInterface {
    NetclassInterface(name, isIgnored: filter.isIgnored(name.span.bytes))
  }

  // MARK: Writing

  private func write(
    _ interfaces: [NetclassInterface], info: MetricFamily, showsAdministrativeState: Bool, to writer: MetricWriter
  ) {
    for interface in interfaces {
      writer.begin(Self.up)
      writer.label(interface.name)
      writer.end(interface.isOperational ? 1.0 : 0.0)
    }
    for interface in interfaces {
      writer.begin(info)
      writer.label(interface.address.text)
      if showsAdministrativeState { writer.label(interface.isUp.map { $0 ? "up" : "down" } ?? "unknown") }
      writer.label(interface.broadcast.text)
      writer.label(interface.name)
      writer.label(interface.duplex)
      writer.label(interface.alias)
      writer.label(interface.operationalState)
      writer.end(1.0)
    }
    for (property, family) in Self.properties {
      for interface in interfaces {
        guard let value = interface[property], let shown = shown(value, property) else { continue }
        writer.begin(family)
        writer.label(interface.name)
        writer.end(shown)
      }
    }
  }

  /// Speeds in bytes per second; nil when one is not to be shown.
  private func shown(_ value: Int64, _ property: NetclassInterface.Property) -> Double? {
    guard property == .speed else { return Double(value) }
    guard value >= 0 || !ignoresInvalidSpeed else { return nil }
    return Double(value &* 1_000_000 / 8)
  }
}
