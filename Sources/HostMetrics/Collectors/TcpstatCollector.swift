// Counts the TCP sockets by state, and what waits in them, by sock_diag(7).

import Bytes
import Exposition
import Glibc
import Kernel

final class TcpstatCollector: Collector {
  static let name = "tcpstat"
  static let isEnabledByDefault = false

  private static let states = MetricFamily.gauge(
    "node_tcp_connection_states", "Number of connection states.", ["state"])
  /// include/net/tcp_states.h; the first is for what is none of them.
  private static let names: [StaticString] = [
    "unknown", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait",
    "last_ack", "listen", "closing",
  ]
  private static let ipv4 = NetlinkRequest.tcpSockets(family: AF_INET)
  private static let ipv6 = NetlinkRequest.tcpSockets(family: AF_INET6)

  private let socket = NetlinkSocket(.sockDiag)
  private var buffer = ByteWriter()
  private var counts = [Int](repeating: 0, count: names.count)
  private var queued: (received: UInt64, sent: UInt64) = (0, 0)

  init(_ host: Host) {}

  func collect(into writer: MetricWriter) throws {
    for index in counts.indices { counts[index] = 0 }
    queued = (0, 0)
    guard try count(Self.ipv4) else { throw NoData("the kernel has no inet_diag to list sockets") }
    // Whether or not the kernel has IPv6.
    _ = try count(Self.ipv6)
    for (name, count) in zip(Self.names, counts) where count > 0 { write(name, Double(count), to: writer) }
    guard counts.contains(where: { $0 > 0 }) else { return }
    write("rx_queued_bytes", Double(queued.received), to: writer)
    write("tx_queued_bytes", Double(queued.sent), to: writer)
  }

  /// False when the kernel cannot list such sockets.
  private func count(_ request: NetlinkRequest) throws(KernelError) -> Bool {
    var counts = counts
    var queued = queued
    do {
      try socket.dump(request, through: &buffer) { part in
        TCPSocket.forEach(in: part) { socket in
          counts[Int(socket.state) < counts.count ? Int(socket.state) : 0] += 1
          queued.received &+= UInt64(socket.receiveQueue)
          queued.sent &+= UInt64(socket.sendQueue)
        }
      }
    } catch {
      guard error.isAbsence else { throw error }
      return false
    }
    self.counts = counts
    self.queued = queued
    return true
  }

  private func write(_ state: StaticString, _ value: Double, to writer: MetricWriter) {
    writer.begin(Self.states)
    writer.label(state)
    writer.end(value)
  }
}
