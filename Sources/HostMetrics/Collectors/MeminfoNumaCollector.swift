// Reads /sys/devices/system/node/nodeN/{meminfo,numastat}
// (Documentation/ABI/stable/sysfs-devices-node, Documentation/admin-guide/numastat.rst).

import Bytes
import Exposition
import Kernel

final class MeminfoNumaCollector: Collector {
  static let name = "meminfo_numa"
  static let isEnabledByDefault = false

  private struct Node {
    let number: String
    let meminfo: KernelFile
    let numastat: KernelFile
  }

  private var folders: DeviceFolders<Node>
  private var buffer = ByteWriter(capacity: 4096)
  /// "Node 0 MemTotal:  7825620 kB".
  private var memory = FamilyCache { key in
    let field = MeminfoCollector.fieldName(key)
    return .gauge("node_memory_numa_\(field)", "Memory information field \(field).", ["node"])
  }
  /// "numa_hit 193460335812".
  private var allocations = FamilyCache { key in
    let field = key.utf8.asMetricName + "_total"
    return .counter("node_memory_numa_\(field)", "Memory information field \(field).", ["node"])
  }

  init(_ host: Host) {
    folders = DeviceFolders(host.sys("devices/system/node")) { name, path in
      let number = name.dropFirst(4)
      guard name.hasPrefix("node"), UInt32(number) != nil else { return nil }
      return Node(
        number: String(number), meminfo: KernelFile("\(path)/meminfo"), numastat: KernelFile("\(path)/numastat"))
    }
  }

  func collect(into writer: MetricWriter) throws {
    for node in try folders.present() {
      let labels = [node.number]
      if try node.meminfo.readIfPresent(into: &buffer) {
        try buffer.withBytes { bytes in
          try memory.write(bytes, of: node.meminfo.path, skipping: 2, labels: labels, into: writer)
        }
      }
      if try node.numastat.readIfPresent(into: &buffer) {
        try buffer.withBytes { bytes in
          try allocations.write(bytes, of: node.numastat.path, labels: labels, into: writer)
        }
      }
    }
  }
}
