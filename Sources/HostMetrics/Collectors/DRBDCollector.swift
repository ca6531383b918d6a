// Reads /proc/drbd of DRBD 8 (https://linbit.com/drbd-user-guide/users-guide-drbd-8-4/, "Performance indicators"):
//  1: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//     ns:17324442 nr:10961011 dw:28263521 ... oos:12349

import Bytes
import Exposition
import Kernel

final class DRBDCollector: Collector {
  static let name = "drbd"
  static let isEnabledByDefault = false

  /// A number's key, its family, and what makes its unit of the kernel's.
  private static let numbers: [(key: StaticString, family: MetricFamily, factor: Double)] = [
    ("ns", counter("network_sent_bytes_total", "Total number of bytes sent via the network."), 1024),
    // In kB too, but node_exporter shows it as it is.
    ("nr", counter("network_received_bytes_total", "Total number of bytes received via the network."), 1),
    ("dw", counter("disk_written_bytes_total", "Net data written on local hard disk; in bytes."), 1024),
    ("dr", counter("disk_read_bytes_total", "Net data read from local hard disk; in bytes."), 1024),
    (
      "al", counter("activitylog_writes_total", "Number of updates of the activity log area of the meta data."), 1
    ),
    ("bm", counter("bitmap_writes_total", "Number of updates of the bitmap area of the meta data."), 1),
    ("lo", gauge("local_pending", "Number of open requests to the local I/O sub-system."), 1),
    (
      "pe",
      gauge(
        "remote_pending",
        "Number of requests sent to the peer, but that have not yet been answered by the latter."), 1
    ),
    (
      "ua",
      gauge(
        "remote_unacknowledged",
        "Number of requests received by the peer via the network connection, but that have not yet been answered."), 1
    ),
    (
      "ap",
      gauge(
        "application_pending", "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD."), 1
    ),
    ("ep", gauge("epochs", "Number of Epochs currently on the fly."), 1),
    ("oos", gauge("out_of_sync_bytes", "Amount of data known to be out of sync; in bytes."), 1024),
  ]
  /// The key of a pair "local/remote", its family, and the word for which 1 is shown.
  private static let pairs: [(key: StaticString, family: MetricFamily, good: StaticString)] = [
    (
      "ro",
      .gauge(
        "node_drbd_node_role_is_primary", "Whether the role of the node is in the primary state.", ["device", "node"]),
      "Primary"
    ),
    (
      "ds",
      .gauge(
        "node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date.", ["device", "node"]),
      "UpToDate"
    ),
  ]
  private static let connected = gauge("connected", "Whether DRBD is connected to the peer.")

  private static func counter(_ name: String, _ help: String) -> MetricFamily {
    .counter("node_drbd_\(name)", help, ["device"])
  }
  private static func gauge(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_drbd_\(name)", help, ["device"])
  }

  private let file: KernelFile
  private var buffer = ByteWriter()

  init(_ host: Host) { file = KernelFile(host.proc("drbd")) }

  func collect(into writer: MetricWriter) throws {
    guard try file.readIfPresent(into: &buffer) else { throw NoData("DRBD is not loaded") }
    try buffer.withBytes { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var device = "unknown"
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      while let field = fields.field() {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { continue }
        let key = field.extracting(0..<colon)
        let value = field.extracting(colon + 1..<field.byteCount)
        if value.byteCount == 0 {
          if let number = UInt64(decimal: key) { device = "drbd\(number)" }
        } else if value.firstIndex(of: UInt8(ascii: ":")) == nil {
          try take(key, value, of: device, into: writer)
        }
      }
    }
  }

  private func take(_ key: RawSpan, _ value: RawSpan, of device: String, into writer: MetricWriter) throws {
    if key.equals("cs") { return writer.write(Self.connected, [device], value.equals("Connected") ? 1 : 0) }
    for number in Self.numbers where key.equals(number.key) {
      guard let count = Double(goSyntax: value) else { throw MalformedFile(file.path, "expected a number", in: value) }
      return writer.write(number.family, [device], count * number.factor)
    }
    for pair in Self.pairs where key.equals(pair.key) {
      let slash = value.firstIndex(of: UInt8(ascii: "/")) ?? value.byteCount
      let isGood = value.extracting(0..<slash).equals(pair.good)
      writer.write(pair.family, [device, "local"], isGood ? 1 : 0)
      guard slash < value.byteCount else { return }
      let isRemoteGood = value.extracting(slash + 1..<value.byteCount).equals(pair.good)
      writer.write(pair.family, [device, "remote"], isRemoteGood ? 1 : 0)
    }
  }
}
