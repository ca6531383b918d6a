// Counts the entries of the ARP table by interface: by rtnetlink (RTM_GETNEIGH, rtnetlink(7)), or from /proc/net/arp
// (proc_pid_net(5)).

import Bytes
import Exposition
import Flags
import Kernel

final class ARPCollector: Collector {
  static let name = "arp"

  private static let include = Flag(
    "collector.arp.device-include", "", "Regexp of arp devices to include (mutually exclusive to device-exclude).")
  private static let exclude = Flag(
    "collector.arp.device-exclude", "", "Regexp of arp devices to exclude (mutually exclusive to device-include).")
  private static let netlink = Flag(
    "collector.arp.netlink", true, "Use netlink to gather stats instead of /proc/net/arp.")
  static let flags = [include.definition, exclude.definition, netlink.definition]

  private static let entries = MetricFamily.gauge("node_arp_entries", "ARP entries by device", ["device"])
  /// Of a line of /proc/net/arp and of its heading, "IP address  HW type  Flags  HW address  Mask  Device".
  private static let columns = (entry: 6, heading: 9)

  private let filter: NetworkDeviceFilter
  private let isNetlink: Bool
  private let file: KernelFile
  private let socket = NetlinkSocket()
  private var buffer = ByteWriter()
  private var counts: [[UInt8]: Int] = [:]
  private var countsByIndex: [Int32: Int] = [:]

  init(_ host: Host) throws(CollectorConfigurationError) {
    filter = try NetworkDeviceFilter(
      host,
      own: NameFilter(
        include: host.flags[Self.include], exclude: host.flags[Self.exclude],
        flags: "collector.arp.device-exclude & collector.arp.device-include"))
    isNetlink = host.flags[Self.netlink]
    file = KernelFile(host.proc("net/arp"))
  }

  func collect(into writer: MetricWriter) throws {
    counts.removeAll(keepingCapacity: true)
    if isNetlink {
      try socket.dump(.ipv4Neighbours, into: &buffer)
      buffer.withBytes { count(neighbours: $0) }
    } else {
      try file.read(into: &buffer) { bytes in try count(lines: bytes) }
    }
    for (device, count) in counts where !filter.isIgnored(device.span.bytes) {
      writer.begin(Self.entries)
      writer.label(device)
      writer.end(Double(count))
    }
  }

  /// Without those that need no ARP, as /proc/net/arp has it.
  private func count(neighbours dump: RawSpan) {
    countsByIndex.removeAll(keepingCapacity: true)
    NetworkNeighbour.forEach(in: dump) { neighbour in
      if !neighbour.needsNoARP { countsByIndex[neighbour.index, default: 0] += 1 }
    }
    for (index, count) in countsByIndex {
      if let name = NetworkLink.name(ofIndex: index) { counts[name] = count }
    }
  }

  private func count(lines text: RawSpan) throws {
    var lines = ByteScanner(text)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      var count = 0
      var device: [UInt8] = []
      while let field = fields.field() {
        count += 1
        if count == Self.columns.entry { device = field.array }
      }
      if count == 0 || count == Self.columns.heading { continue }
      guard count == Self.columns.entry else { throw MalformedFile(file.path, "expected six columns", in: line) }
      counts[device, default: 0] += 1
    }
  }
}
