// Shows the routes to other hosts by rtnetlink (RTM_GETROUTE, rtnetlink(7)).

import Bytes
import Exposition
import Kernel

final class NetworkRouteCollector: Collector {
  static let name = "network_route"
  static let isEnabledByDefault = false

  private static let info = MetricFamily.gauge(
    "node_network_route_info", "network routing table information",
    ["dest", "device", "gw", "priority", "proto", "src", "weight"])
  private static let routes = MetricFamily.gauge(
    "node_network_routes", "network routes by interface", ["device"])

  /// RTPROT_… (include/uapi/linux/rtnetlink.h).
  private static let origins: [UInt8: StaticString] = [
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 42: "babel", 186: "bgp", 187: "isis",
    188: "ospf", 189: "rip", 192: "eigrp",
  ]

  private let filter: NetworkDeviceFilter
  private let socket = NetlinkSocket()
  private var names = InterfaceNames()
  private var buffer = ByteWriter()
  private var text = ByteWriter(capacity: 64)
  private var counts: [[UInt8]: Int] = [:]

  init(_ host: Host) throws(CollectorConfigurationError) { filter = try NetworkDeviceFilter(host) }

  func collect(into writer: MetricWriter) throws {
    try names.read(by: socket, through: &buffer)
    try socket.dump(.routes, into: &buffer)
    counts.removeAll(keepingCapacity: true)
    buffer.withBytes { dump in
      NetworkRoute.forEach(in: dump) { route in
        guard route.isUnicast else { return }
        route.forEachHop(in: dump) { hop in write(route, hop, dump, to: writer) }
      }
    }
    for (device, count) in counts {
      writer.begin(Self.routes)
      writer.label(device)
      writer.end(Double(count))
    }
  }

  private func write(_ route: NetworkRoute, _ hop: NetworkRoute.Hop, _ dump: RawSpan, to writer: MetricWriter) {
    let device = names[hop.index] ?? []
    guard !filter.isIgnored(device.span.bytes) else { return }
    counts[device, default: 0] += 1
    writer.begin(Self.info)
    if route.prefixLength == 0 {
      writer.label("default")
    } else {
      text.removeAll()
      text.append(internetAddress: dump.extracting(route.destination))
      text.append(UInt8(ascii: "/"))
      text.append(decimal: UInt64(route.prefixLength))
      text.withBytes { writer.label($0) }
    }
    writer.label(device)
    label(dump.extracting(hop.gateway), to: writer)
    writer.label(Int(route.priority))
    writer.label(Self.origins[route.origin] ?? "unknown")
    label(dump.extracting(route.source), to: writer)
    if hop.weight == 0 { writer.label("") } else { writer.label(hop.weight) }
    writer.end(1.0)
  }

  private func label(_ address: RawSpan, to writer: MetricWriter) {
    text.removeAll()
    text.append(internetAddress: address)
    text.withBytes { writer.label($0) }
  }
}
