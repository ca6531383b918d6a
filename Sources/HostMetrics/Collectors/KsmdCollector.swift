// Reads /sys/kernel/mm/ksm (Documentation/admin-guide/mm/ksm.rst): kernel samepage merging.

import Exposition
import Kernel

final class KsmdCollector: Collector {
  static let name = "ksmd"
  static let isEnabledByDefault = false

  private static let attributes =
    [
      Attribute("full_scans", .counter("node_ksmd_full_scans_total", "ksmd 'full_scans' file.")),
      Attribute("sleep_millisecs", .gauge("node_ksmd_sleep_seconds", "ksmd 'sleep_millisecs' file."), .milli),
    ]
    + [
      "merge_across_nodes", "pages_shared", "pages_sharing", "pages_to_scan", "pages_unshared", "pages_volatile", "run",
    ].map { file in Attribute(file, .gauge("node_ksmd_\(file)", "ksmd '\(file)' file.")) }

  private let folder: String
  private let reader = AttributeReader()

  init(_ host: Host) { folder = host.sys("kernel/mm/ksm") }

  func collect(into writer: MetricWriter) throws {
    let count = writer.count
    reader.write(Self.attributes, of: folder, labels: [], into: writer)
    guard writer.count > count else { throw NoData("this kernel has no samepage merging") }
  }
}
