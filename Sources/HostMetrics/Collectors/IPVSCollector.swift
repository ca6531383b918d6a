// Reads /proc/net/ip_vs_stats and /proc/net/ip_vs (net/netfilter/ipvs/ip_vs_ctl.c of the kernel): virtual servers
// "TCP  C0A80016:0CEA wlc" or "FWM  10001000 wlc", and below each its real ones
// "  -> C0A85216:0CEA      Tunnel  100    248        2".

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class IPVSCollector: Collector {
  static let name = "ipvs"
  static let flags = [labelsFlag.definition]

  private static let labelsFlag = Flag(
    "collector.ipvs.backend-labels", "local_address,local_port,remote_address,remote_port,proto,local_mark",
    "Comma separated list for IPVS backend stats labels.")

  /// In the order of the third line's hexadecimal numbers.
  private static let totals: [MetricFamily] = [
    .counter("node_ipvs_connections_total", "The total number of connections made."),
    .counter("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
    .counter("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
    .counter("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
    .counter("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
  ]

  /// In the order of a real server's numbers.
  private static let backends: [(name: String, help: String)] = [
    ("weight", "The current backend weight by local and remote address."),
    ("connections_active", "The current active connections by local and remote address."),
    ("connections_inactive", "The current inactive connections by local and remote address."),
  ]

  /// A virtual server or a real one.
  private struct Server {
    var proto = ""
    var address = ""
    var mark = ""
    var port: UInt64 = 0
  }

  /// What a label shows of a virtual and a real server, by the label's name, in byte order.
  private static let labels: [(name: String, value: @Sendable (Server, Server) -> String)] = [
    ("local_address", { local, _ in local.address }),
    ("local_mark", { local, _ in local.mark }),
    ("local_port", { local, _ in String(local.port) }),
    ("proto", { local, _ in local.proto }),
    ("remote_address", { _, remote in remote.address }),
    ("remote_port", { _, remote in String(remote.port) }),
  ]

  private let statistics: KernelFile
  private let servers: KernelFile
  private let labels: [(name: String, value: @Sendable (Server, Server) -> String)]
  private let families: [MetricFamily]
  private var buffer = ByteWriter(capacity: 4096)

  init(_ host: Host) throws(CollectorConfigurationError) {
    statistics = KernelFile(host.proc("net/ip_vs_stats"))
    servers = KernelFile(host.proc("net/ip_vs"))
    let wanted = host.flags[Self.labelsFlag].split(separator: ",").map(String.init)
    let unknown = Set(wanted).subtracting(Self.labels.map { $0.name })
    guard unknown.isEmpty else {
      throw CollectorConfigurationError(
        "unknown IPVS backend labels: \"\(unknown.sorted().joined(separator: ", "))\"")
    }
    let labels = Self.labels.filter { wanted.contains($0.name) }
    self.labels = labels
    families = Self.backends.map { .gauge("node_ipvs_backend_\($0.name)", $0.help, labels.map { $0.name }) }
  }

  func collect(into writer: MetricWriter) throws {
    guard try statistics.readIfPresent(into: &buffer) else { throw NoData("IPVS is not loaded") }
    try buffer.withBytes { bytes in try writeTotals(bytes, into: writer) }
    let sums = try servers.read(into: &buffer) { bytes in try backendSums(bytes) }
    for (place, family) in families.enumerated() {
      for (labels, values) in sums { writer.write(family, labels, Double(values[place])) }
    }
  }

  private func writeTotals(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard lines.line() != nil, lines.line() != nil, let line = lines.line() else {
      throw MalformedFile(statistics.path, "expected three lines")
    }
    var fields = ByteScanner(line)
    for family in Self.totals {
      guard let field = fields.field(), let value = UInt64(hex: field) else {
        throw MalformedFile(statistics.path, "expected five hexadecimal numbers", in: line)
      }
      writer.sample(family, value)
    }
  }

  /// The numbers of the real servers, summed up over those that have the same labels.
  private func backendSums(_ bytes: RawSpan) throws -> [[String]: InlineArray<3, UInt64>] {
    var sums: [[String]: InlineArray<3, UInt64>] = [:]
    var local = Server()
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let kind = fields.field(), let name = fields.field() else { continue }
      if kind.equals("TCP") || kind.equals("UDP") {
        local = try server(name, in: line)
        local.proto = String(utf8: kind)
      } else if kind.equals("FWM") {
        local = Server(proto: "FWM", mark: String(utf8: name))
      } else if kind.equals("->"), !name.equals("RemoteAddress:Port") {
        let remote = try server(name, in: line)
        _ = fields.field()  // how packets are forwarded
        guard let weight = fields.unsigned(), let active = fields.unsigned(), let inactive = fields.unsigned() else {
          throw MalformedFile(servers.path, "expected three numbers", in: line)
        }
        let key = labels.map { $0.value(local, remote) }
        let values: InlineArray<3, UInt64> = [weight, active, inactive]
        for place in values.indices { sums[key, default: [0, 0, 0]][place] &+= values[place] }
      }
    }
    return sums
  }

  /// The server of "C0A80016:0CEA" or "[2620:0000:0000:0000:0000:0000:0000:0001]:0050".
  private func server(_ name: RawSpan, in line: RawSpan) throws -> Server {
    guard let colon = name.lastIndex(of: UInt8(ascii: ":")),
      let port = UInt64(hex: name.extracting(colon + 1..<name.byteCount)), port <= UInt16.max,
      let address = Self.address(name.extracting(0..<colon))
    else { throw MalformedFile(servers.path, "expected ADDRESS:PORT", in: line) }
    return Server(address: address, port: port)
  }

  private static func address(_ text: RawSpan) -> String? {
    if text.byteCount == 8, let number = UInt64(hex: text) {
      return (0..<4).map { String(number >> (24 - 8 * $0) & 0xff) }.joined(separator: ".")
    }
    guard text.byteCount == 41, text.starts(with: "["), text.ends(with: "]") else { return nil }
    var address = in6_addr()
    guard inet_pton(AF_INET6, String(utf8: text.extracting(1..<40)), &address) == 1 else { return nil }
    var shortest = ByteWriter(capacity: 64)
    let bytes = Swift.withUnsafeBytes(of: address) { Array($0) }
    shortest.append(internetAddress: bytes.span.bytes)
    return String(utf8: shortest.bytes)
  }
}
