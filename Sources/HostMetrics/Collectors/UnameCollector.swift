// uname(2).

import Exposition
import Glibc
import Kernel

final class UnameCollector: Collector {
  static let name = "uname"

  private static let info = MetricFamily.gauge(
    "node_uname_info", "Labeled system information as provided by the uname system call.",
    ["domainname", "machine", "nodename", "release", "sysname", "version"])

  init(_ host: Host) {}

  func collect(into writer: MetricWriter) throws {
    var name = utsname()
    guard uname(&name) == 0 else { throw KernelError("uname", "the system") }
    writer.begin(Self.info)
    writer.label(text(of: &name.__domainname))
    writer.label(text(of: &name.machine))
    writer.label(text(of: &name.nodename))
    writer.label(text(of: &name.release))
    writer.label(text(of: &name.sysname))
    writer.label(text(of: &name.version))
    writer.end(1.0)
  }

  /// A NUL-terminated array of chars, which Swift sees as a tuple.
  private func text<Tuple>(of field: inout Tuple) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
