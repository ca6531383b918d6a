// Reads /proc/net/{udp,udp6} (Documentation/networking/proc_net_tcp.rst): a heading, then a line for each socket, whose
// fifth field is "tx_queue:rx_queue", bytes in hexadecimal.

import Bytes
import Exposition
import Kernel

final class UDPQueuesCollector: Collector {
  static let name = "udp_queues"

  private static let queues = MetricFamily.gauge(
    "node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.", ["ip", "queue"])

  private let files: [(version: StaticString, file: KernelFile)]
  private var buffer = ByteWriter(capacity: 16384)

  init(_ host: Host) {
    files = [
      ("v4", KernelFile(host.proc("net/udp"), .shortLines)), ("v6", KernelFile(host.proc("net/udp6"), .shortLines)),
    ]
  }

  func collect(into writer: MetricWriter) throws {
    var isAbsent = true
    for (version, file) in files {
      guard try file.readIfPresent(into: &buffer) else { continue }
      isAbsent = false
      let sums = try buffer.withBytes { bytes in try Self.sums(bytes, of: file.path) }
      write(version, "rx", sums.receive, into: writer)
      write(version, "tx", sums.transmit, into: writer)
    }
    if isAbsent { throw NoData("the kernel has neither IPv4 nor IPv6") }
  }

  private func write(_ version: StaticString, _ queue: StaticString, _ length: UInt64, into writer: MetricWriter) {
    writer.begin(Self.queues)
    writer.label(version)
    writer.label(queue)
    writer.end(length)
  }

  private static func sums(_ bytes: RawSpan, of path: String) throws -> (transmit: UInt64, receive: UInt64) {
    var sums = (transmit: UInt64(0), receive: UInt64(0))
    var lines = ByteScanner(bytes)
    _ = lines.line()
    while let line = lines.line() {
      var fields = ByteScanner(line)
      for _ in 0..<4 { _ = fields.field() }
      guard let field = fields.field(), let (transmit, receive) = queues(field) else {
        throw MalformedFile(path, "expected tx_queue:rx_queue", in: line)
      }
      sums.transmit &+= transmit
      sums.receive &+= receive
    }
    return sums
  }

  private static func queues(_ field: RawSpan) -> (UInt64, UInt64)? {
    var parts = ByteScanner(field)
    guard let transmit = parts.field(upTo: UInt8(ascii: ":")), let transmit = UInt64(hex: transmit),
      let receive = UInt64(hex: parts.rest)
    else { return nil }
    return (transmit, receive)
  }
}
