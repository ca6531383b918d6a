// Reads /proc/buddyinfo (Documentation/filesystems/proc.rst): "Node 0, zone   Normal   4381   1093    185 ...",
// the free blocks of 1, 2, 4, ... pages.

import Bytes
import Exposition
import Kernel

final class BuddyinfoCollector: Collector {
  static let name = "buddyinfo"
  static let isEnabledByDefault = false

  private static let blocks = MetricFamily.gauge(
    "node_buddyinfo_blocks", "Count of free blocks according to size.", ["node", "size", "zone"])

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 1024)

  init(_ host: Host) { file = KernelFile(host.proc("buddyinfo")) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard fields.field() != nil, let node = fields.field(upTo: UInt8(ascii: ",")), fields.field() != nil,
        let zone = fields.field()
      else { throw MalformedFile(file.path, "expected a node and a zone", in: line) }
      var size = 0
      while let field = fields.field() {
        guard let count = UInt64(decimal: field) else { throw MalformedFile(file.path, "expected a number", in: line) }
        writer.begin(Self.blocks)
        writer.label(node.trimmed)
        writer.label(size)
        writer.label(zone)
        writer.end(count)
        size += 1
      }
    }
  }
}
