// Reads the interfaces' counters by rtnetlink (RTM_GETLINK with IFLA_STATS64, rtnetlink(7)), or from /proc/net/dev
// (proc_pid_net(5)), and their addresses by RTM_GETADDR.

import Bytes
import Exposition
import Flags
import Kernel

final class NetdevCollector: Collector {
  static let name = "netdev"

  private static let include = Flag(
    "collector.netdev.device-include", "",
    "Regexp of net devices to include (mutually exclusive to device-exclude).")
  private static let whitelist = Flag(
    "collector.netdev.device-whitelist", "", "DEPRECATED: Use collector.netdev.device-include", isHidden: true)
  private static let exclude = Flag(
    "collector.netdev.device-exclude", "",
    "Regexp of net devices to exclude (mutually exclusive to device-include).")
  private static let blacklist = Flag(
    "collector.netdev.device-blacklist", "", "DEPRECATED: Use collector.netdev.device-exclude", isHidden: true)
  private static let addressInfo = Flag(
    "collector.netdev.address-info", false, "Collect address-info for every device")
  private static let detailed = Flag(
    "collector.netdev.enable-detailed-metrics", false,
    "Use (incompatible) metric names that provide more detailed stats on Linux")
  private static let netlink = Flag(
    "collector.netdev.netlink", true, "Use netlink to gather stats instead of /proc/net/dev.")
  private static let labelAlias = Flag("collector.netdev.label-ifalias", false, "Add ifAlias label")
  static let flags = [
    include.definition, whitelist.definition, exclude.definition, blacklist.definition, addressInfo.definition,
    detailed.definition, netlink.definition, labelAlias.definition,
  ]

  /// A metric: the sum of the counters at these places.
  private typealias Metric = (name: String, places: [Int])

  /// struct rtnl_link_stats64, in its order.
  static let netlinkCounters = [
    "receive_packets", "transmit_packets", "receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors",
    "receive_dropped", "transmit_dropped", "multicast", "collisions", "receive_length_errors", "receive_over_errors",
    "receive_crc_errors", "receive_frame_errors", "receive_fifo_errors", "receive_missed_errors",
    "transmit_aborted_errors", "transmit_carrier_errors", "transmit_fifo_errors", "transmit_heartbeat_errors",
    "transmit_window_errors", "receive_compressed", "transmit_compressed", "receive_nohandler",
  ]

  /// What /proc/net/dev shows, in terms of the counters: net/core/net-procfs.c, dev_seq_printf_stats.
  private static let legacySums: [(name: String, counters: [String])] = [
    ("receive_bytes", ["receive_bytes"]), ("receive_packets", ["receive_packets"]),
    ("receive_errs", ["receive_errors"]), ("receive_drop", ["receive_dropped", "receive_missed_errors"]),
    ("receive_fifo", ["receive_fifo_errors"]),
    (
      "receive_frame",
      ["receive_frame_errors", "receive_length_errors", "receive_over_errors", "receive_crc_errors"]
    ),
    ("receive_compressed", ["receive_compressed"]), ("receive_multicast", ["multicast"]),
    ("receive_nohandler", ["receive_nohandler"]), ("transmit_bytes", ["transmit_bytes"]),
    ("transmit_packets", ["transmit_packets"]), ("transmit_errs", ["transmit_errors"]),
    ("transmit_drop", ["transmit_dropped"]), ("transmit_fifo", ["transmit_fifo_errors"]),
    ("transmit_colls", ["collisions"]),
    (
      "transmit_carrier",
      [
        "transmit_carrier_errors", "transmit_aborted_errors", "transmit_heartbeat_errors", "transmit_window_errors",
      ]
    ),
    ("transmit_compressed", ["transmit_compressed"]),
  ]

  /// The columns of /proc/net/dev, with the names that they have in detail and without.
  private static let fileColumns: [(detailed: String, legacy: String)] = [
    ("receive_bytes", "receive_bytes"), ("receive_packets", "receive_packets"), ("receive_errors", "receive_errs"),
    ("receive_dropped", "receive_drop"), ("receive_fifo", "receive_fifo"), ("receive_frame", "receive_frame"),
    ("receive_compressed", "receive_compressed"), ("receive_multicast", "receive_multicast"),
    ("transmit_bytes", "transmit_bytes"), ("transmit_packets", "transmit_packets"),
    ("transmit_errors", "transmit_errs"), ("transmit_dropped", "transmit_drop"), ("transmit_fifo", "transmit_fifo"),
    ("transmit_colls", "transmit_colls"), ("transmit_carrier", "transmit_carrier"),
    ("transmit_compressed", "transmit_compressed"),
  ]

  private static let address = MetricFamily.gauge(
    "node_network_address_info", "node network address by device", ["address", "device", "netmask", "scope"])

  private static func metrics(isNetlink: Bool, isDetailed: Bool) -> [Metric] {
    switch (isNetlink, isDetailed) {
    case (true, true): netlinkCounters.enumerated().map { ($1, [$0]) }
    case (true, false): legacySums.map { ($0.name, $0.counters.compactMap(netlinkCounters.firstIndex(of:))) }
    case (false, true): fileColumns.enumerated().map { ($1.detailed, [$0]) }
    case (false, false): fileColumns.enumerated().map { ($1.legacy, [$0]) }
    }
  }

  private final class Device: Named {
    let name: [UInt8]
    let isIgnored: Bool
    let aliasFile: KernelFile
    var alias: [UInt8] = []
    var index: Int32 = 0
    var counters = InlineArray<24, UInt64>(repeating: 0)

    init(_ name: [UInt8], isIgnored: Bool, aliasFile: KernelFile) {
      self.name = name
      self.isIgnored = isIgnored
      self.aliasFile = aliasFile
    }
  }

  private let host: Host
  private let filter: NetworkDeviceFilter
  private let isNetlink: Bool
  private let showsAlias: Bool
  private let showsAddresses: Bool
  private let metrics: [(family: MetricFamily, places: [Int])]
  private let file: KernelFile
  private let socket = NetlinkSocket()
  private var names = InterfaceNames()
  private var buffer = ByteWriter()
  private var cache = NameCache<Device>()
  /// Those that are shown.
  private var shown = DevicesByName<Device>()

  init(_ host: Host) throws(CollectorConfigurationError) {
    self.host = host
    filter = try NetworkDeviceFilter(
      host,
      own: NameFilter(
        include: host.pattern(Self.include, onceCalled: Self.whitelist),
        exclude: host.pattern(Self.exclude, onceCalled: Self.blacklist), flags: "device-exclude & device-include"))
    isNetlink = host.flags[Self.netlink]
    showsAddresses = host.flags[Self.addressInfo]
    let showsAlias = host.flags[Self.labelAlias]
    self.showsAlias = showsAlias
    metrics = Self.metrics(isNetlink: isNetlink, isDetailed: host.flags[Self.detailed]).map { metric in
      (
        MetricFamily.counter(
          "node_network_\(metric.name)_total", "Network device statistic \(metric.name).",
          showsAlias ? ["device", "ifalias"] : ["device"]), metric.places
      )
    }
    file = KernelFile(host.proc("net/dev"))
  }

  func collect(into writer: MetricWriter) throws {
    if isNetlink {
      try socket.dump(.links, into: &buffer)
      takeLinks(buffer.bytes)
    } else {
      try file.read(into: &buffer)
      takeLines(buffer.bytes)
      if showsAlias { readAliases() }
    }
    writeCounters(to: writer)
    if showsAddresses { try writeAddresses(to: writer) }
  }

  // MARK: Reading

  private func takeLinks(_ dump: RawSpan) {
    var seen: [Device] = []
    cache.restart()
    NetworkLink.forEach(in: dump) { link in
      let device = cache.value(for: dump.extracting(link.name)) { makeDevice($0) }
      guard !device.isIgnored, let counters = link.statistics(in: dump) else { return }
      device.index = link.index
      device.counters = counters
      if showsAlias { device.alias = dump.extracting(link.alias).array }
      seen.append(device)
    }
    cache.finish()
    shown.take(seen)
  }

  /// Two lines of heading, then "  eth0: 1 2 3 …"; a name may stand right before its first number.
  private func takeLines(_ text: RawSpan) {
    var seen: [Device] = []
    cache.restart()
    var lines = ByteScanner(text)
    while let line = lines.line() {
      guard let colon = line.lastIndex(of: UInt8(ascii: ":")) else { continue }
      let device = cache.value(for: line.extracting(0..<colon).trimmed) { makeDevice($0) }
      guard !device.isIgnored else { continue }
      var fields = ByteScanner(line.extracting(colon + 1..<line.byteCount))
      var column = 0
      while column < Self.fileColumns.count, let number = fields.unsigned() {
        device.counters[column] = number
        column += 1
      }
      if column == Self.fileColumns.count { seen.append(device) }
    }
    cache.finish()
    shown.take(seen)
  }

  private func makeDevice(_ name: [UInt8]) -> Device {
    let path = host.sys("class/net/\(String(decoding: name, as: UTF8.self))/ifalias")
    return Device(name, isIgnored: filter.isIgnored(name.span.bytes), aliasFile: KernelFile(path, limit: 4096))
  }

  /// An interface without a readable alias has none.
  private func readAliases() {
    for device in shown.devices {
      do {
        try device.aliasFile.read(into: &buffer)
        let alias = Self.trimmed(buffer.bytes)
        device.alias = alias
      } catch {
        device.alias = []
      }
    }
  }

  private static func trimmed(_ text: RawSpan) -> [UInt8] { text.trimmed.array }

  // MARK: Writing

  private func writeCounters(to writer: MetricWriter) {
    let devices = shown.devices
    for metric in metrics {
      for device in devices {
        var sum: UInt64 = 0
        for place in metric.places { sum &+= device.counters[place] }
        writer.begin(metric.family)
        writer.label(device.name)
        if showsAlias { writer.label(device.alias) }
        writer.end(sum)
      }
    }
  }

  private func writeAddresses(to writer: MetricWriter) throws {
    try names.read(by: socket, through: &buffer)
    try socket.dump(.addresses, into: &buffer)
    var text = ByteWriter(capacity: 64)
    for address in NetworkAddress.all(in: buffer.bytes) {
      guard let name = names[address.index], !filter.isIgnored(name.span.bytes) else { continue }
      text.removeAll()
      text.append(internetAddress: address.address.span.bytes)
      writer.begin(Self.address)
      writer.label(text.bytes)
      writer.label(name)
      writer.label(Int(address.prefixLength))
      writer.label(Self.scope(of: address.address))
      writer.end(1.0)
    }
  }

  /// The reach of an address of 4 or 16 bytes, in node_exporter's words; empty for the unspecified and the rest.
  static func scope(of address: [UInt8]) -> String {
    let isLoopback: Bool
    let isLinkLocal: Bool
    let isMulticast: Bool
    if address.count == 4 {
      isLoopback = address[0] == 127
      isLinkLocal = (address[0] == 169 && address[1] == 254) || address.starts(with: [224, 0, 0])
      isMulticast = address[0] & 0xf0 == 0xe0
      if address == [255, 255, 255, 255] { return "" }
    } else {
      isLoopback = address.dropLast().allSatisfy { $0 == 0 } && address.last == 1
      isMulticast = address[0] == 0xff
      isLinkLocal = (address[0] == 0xfe && address[1] & 0xc0 == 0x80) || (isMulticast && address[1] & 0x0f == 2)
      if isMulticast, address[1] & 0x0f == 1 { return "interface-local" }
    }
    if isLoopback || isLinkLocal { return "link-local" }
    return isMulticast || address.allSatisfy { $0 == 0 } ? "" : "global"
  }
}
