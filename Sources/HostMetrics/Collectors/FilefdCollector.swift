// Reads /proc/sys/fs/file-nr (Documentation/admin-guide/sysctl/fs.rst): "1024  0  1631329".

import Bytes
import Exposition
import Kernel

final class FilefdCollector: Collector {
  static let name = "filefd"

  private static let allocated = MetricFamily.gauge(
    "node_filefd_allocated", "File descriptor statistics: allocated.")
  private static let maximum = MetricFamily.gauge("node_filefd_maximum", "File descriptor statistics: maximum.")

  private let file: KernelFile
  private var buffer = ByteWriter(capacity: 64)

  init(_ host: Host) { file = KernelFile(host.proc("sys/fs/file-nr"), .onePiece) }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  /// The number in the middle has been 0 since Linux 2.6.
  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var fields = ByteScanner(bytes.trimmed)
    guard let allocated = fields.double(), fields.field() != nil, let maximum = fields.double() else {
      throw MalformedFile(file.path, "expected three numbers", in: bytes)
    }
    writer.sample(Self.allocated, allocated)
    writer.sample(Self.maximum, maximum)
  }
}
