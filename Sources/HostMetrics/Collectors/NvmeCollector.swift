// Reads /sys/class/nvme/nvmeN and the namespaces nvmeXnY in it (drivers/nvme/host/sysfs.c).

import Bytes
import Exposition
import Kernel

final class NvmeCollector: Collector {
  static let name = "nvme"

  private static let info = DeviceInfo(
    "node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.", device: "device",
    [
      "firmware_revision": "firmware_rev", "model": "model", "serial": "serial", "state": "state", "cntlid": "cntlid",
    ])
  private static let namespace = MetricFamily.gauge(
    "node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1", ["ana_state", "device", "nsid"])
  private static let capacity = MetricFamily.gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
    ["device", "nsid"])
  private static let size = MetricFamily.gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size", ["device", "nsid"])
  private static let used = MetricFamily.gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
    ["device", "nsid"])
  private static let blockSize = MetricFamily.gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. "
      + "Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size", ["device", "nsid"])

  private final class Controller {
    let name: String
    let path: String
    /// By their numbers.
    var namespaces: DeviceFolders<DeviceFolder>

    init(name: String, path: String) {
      self.name = name
      self.path = path
      namespaces = DeviceFolders(path) { name, path in
        NvmeName(name)?.namespace.map { DeviceFolder(name: $0, path: path) }
      }
    }
  }

  private var controllers: DeviceFolders<Controller>
  private let reader = AttributeReader.short()

  init(_ host: Host) {
    controllers = DeviceFolders(host.sys("class/nvme")) { name, path in Controller(name: name, path: path) }
  }

  func collect(into writer: MetricWriter) throws {
    for controller in try controllers.presentOrNoData() {
      Self.info.write(controller.name, controller.path, reader, into: writer)
      // A controller that has just gone has no namespaces.
      for namespace in (try? controller.namespaces.present()) ?? [] {
        write(namespace, of: controller.name, into: writer)
      }
    }
  }

  private func write(_ namespace: DeviceFolder, of device: String, into writer: MetricWriter) {
    guard let used = reader.unsigned(namespace.path, "nuse"), let size = reader.unsigned(namespace.path, "size"),
      let blockSize = reader.unsigned(namespace.path, "queue/logical_block_size")
    else { return }
    let state = reader.text(namespace.path, "ana_state") ?? "unknown"
    writer.write(Self.namespace, [state, device, namespace.name], 1)
    let labels = [device, namespace.name]
    // The kernel's size counts 512 bytes whatever the block size; node_exporter multiplies so, and dashboards show it.
    writer.write(Self.capacity, labels, Double(size &* blockSize))
    writer.write(Self.size, labels, Double(size &* blockSize))
    writer.write(Self.used, labels, Double(used &* blockSize))
    writer.write(Self.blockSize, labels, Double(blockSize))
  }
}

/// The name of a controller, nvme0, or of a namespace, nvme0n1.
struct NvmeName {
  /// The namespace's number; nil in a controller's name.
  let namespace: String?

  /// Nil when the name is neither, such as nvme0c1n1, a hidden path of a namespace that is reached in several ways.
  init?(_ name: String) {
    if name.number(after: "nvme") != nil {
      namespace = nil
      return
    }
    guard let separator = name.lastIndex(of: "n"), String(name[..<separator]).number(after: "nvme") != nil,
      let number = String(name[separator...]).number(after: "n")
    else { return nil }
    namespace = number
  }
}
