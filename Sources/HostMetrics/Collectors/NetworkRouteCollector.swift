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

  /// What is shown of a route; two routes of different tables may look the same.
  private struct Row: Hashable {
    let destination, device, gateway, source: [UInt8]
    let priority: UInt32
    let origin: UInt8
    let weight: Int
  }

  private let filter: NetworkDeviceFilter
  private let socket = NetlinkSocket()
  private var names = InterfaceNames()
  private var buffer = ByteWriter()
  private var text = ByteWriter(capacity: 64)
  private var rows: Set<Row> = []
  private var counts: [[UInt8]: Int] = [:]

  init(_ host: Host) throws(CollectorConfigurationError) { filter = try NetworkDeviceFilter(host) }

  func collect(into writer: MetricWriter) throws {
    try names.read(by: socket, through: &buffer)
    try socket.dump(.routes, into: &buffer)
    rows.removeAll(keepingCapacity: true)
    counts.removeAll(keepingCapacity: true)
    buffer.withBytes { dump in
      NetworkRoute.forEach(in: dump) { route in
        if route.isUnicast { route.forEachHop(in: dump) { hop in take(route, hop, dump) } }
      }
    }
    for row in rows { write(row, to: writer) }
    for (device, count) in counts {
      writer.begin(Self.routes)
      writer.label(device)
      writer.end(Double(count))
    }
  }

  private func take(_ route: NetworkRoute, _ hop: NetworkRoute.Hop, _ dump: RawSpan) {
    let device = names[hop.index] ?? []
    guard !filter.isIgnored(device.span.bytes) else { return }
    counts[device, default: 0] += 1
    var destination = Array("default".utf8)
    if route.prefixLength > 0 {
      destination = text(of: dump.extracting(route.destination)) + Array("/\(route.prefixLength)".utf8)
    }
    rows.insert(
      Row(
        destination: destination, device: device, gateway: text(of: dump.extracting(hop.gateway)),
        source: text(of: dump.extracting(route.source)), priority: route.priority, origin: route.origin,
        weight: hop.weight))
  }

  private func text(of address: RawSpan) -> [UInt8] {
    text.removeAll()
    text.append(internetAddress: address)
    return text.withBytes { $0.array }
  }

  private func write(_ row: Row, to writer: MetricWriter) {
    writer.begin(Self.info)
    writer.label(row.destination)
    writer.label(row.device)
    writer.label(row.gateway)
    writer.label(Int(row.priority))
    writer.label(Self.origins[row.origin] ?? "unknown")
    writer.label(row.source)
    if row.weight == 0 { writer.label("") } else { writer.label(row.weight) }
    writer.end(1.0)
  }
}
