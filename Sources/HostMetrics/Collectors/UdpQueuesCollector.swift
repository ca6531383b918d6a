// Reads /proc/net/udp and udp6 (proc_pid_net(5)): a line a socket, the fifth field its queues, "TX:RX" in hexadecimal.

import Bytes
import Exposition
import Kernel

final class UdpQueuesCollector: Collector {
  static let name = "udp_queues"

  private static let queues = MetricFamily.gauge(
    "node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.", ["ip", "queue"])

  private let files: [(version: StaticString, file: KernelFile)]
  private var buffer = ByteWriter(capacity: 4096)

  init(_ host: Host) {
    files = [("v4", KernelFile(host.proc("net/udp"))), ("v6", KernelFile(host.proc("net/udp6")))]
  }

  func collect(into writer: MetricWriter) throws {
    var hasData = false
    for (version, file) in files {
      guard try file.readIfPresent(into: &buffer) else { continue }
      hasData = true
      let sums = try buffer.withBytes { bytes in try sum(bytes, file.path) }
      write(version, "tx", sums.sent, into: writer)
      write(version, "rx", sums.received, into: writer)
    }
    guard hasData else { throw NoData("\(files[0].file.path) and \(files[1].file.path) are not there") }
  }

  private func write(_ version: StaticString, _ queue: StaticString, _ bytes: UInt64, into writer: MetricWriter) {
    writer.begin(Self.queues)
    writer.label(version)
    writer.label(queue)
    writer.end(bytes)
  }

  /// The bytes in all sockets' queues.
  private func sum(_ bytes: RawSpan, _ path: String) throws -> (sent: UInt64, received: UInt64) {
    var sums: (sent: UInt64, received: UInt64) = (0, 0)
    var lines = ByteScanner(bytes)
    _ = lines.line()  // the names
    while let line = lines.line() {
      var fields = ByteScanner(line)
      for _ in 0..<4 { _ = fields.field() }
      guard let field = fields.field(), let colon = field.firstIndex(of: UInt8(ascii: ":")),
        let sent = UInt64(hex: field.extracting(0..<colon)),
        let received = UInt64(hex: field.extracting(colon + 1..<field.byteCount))
      else { throw MalformedFile(path, "expected the queues, TX:RX, in the fifth field", in: line) }
      sums.sent &+= sent
      sums.received &+= received
    }
    return sums
  }
}
