// Reads /sys/class/infiniband/*/ports/N (Documentation/ABI/stable/sysfs-class-infiniband): adapters for InfiniBand,
// RoCE and Omni-Path.

import Bytes
import Exposition
import Flags
import Kernel

final class InfinibandCollector: Collector {
  static let name = "infiniband"
  static let flags = [include.definition, exclude.definition]

  private static let include = Flag(
    "collector.infiniband.device-include", "",
    "Regexp of infiniband devices to include (mutually exclusive to device-exclude).")
  private static let exclude = Flag(
    "collector.infiniband.device-exclude", "",
    "Regexp of infiniband devices to exclude (mutually exclusive to device-include).")

  private static let info = DeviceInfo(
    "node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.",
    device: "device", ["board_id": "board_id", "firmware_version": "fw_ver", "hca_type": "hca_type"])

  private final class Device {
    let name: String
    let path: String
    var ports: DeviceFolders<Port>

    init(name: String, path: String) {
      self.name = name
      self.path = path
      ports = DeviceFolders("\(path)/ports") { port, path in
        UInt32(port).map { Port(labels: [name, String($0)], path: path) }
      }
    }
  }

  private final class Port {
    let labels: [String]
    let path: String
    /// By folder: which of its counters a driver has, differs.
    var counters: [FolderFiles<[Attribute]>]

    init(labels: [String], path: String) {
      self.labels = labels
      self.path = path
      counters = infinibandCounters.map { FolderFiles("\(path)/\($0.folder)", of: $0.counters) }
    }
  }

  private var devices: DeviceFolders<Device>
  private let reader = AttributeReader.short()

  init(_ host: Host) throws(CollectorConfigurationError) {
    let filter = try NameFilter(include: host.flags[Self.include], exclude: host.flags[Self.exclude])
    // Left out before anything is read: with some adapters a read is a command to firmware that does not know it.
    devices = DeviceFolders(host.sys("class/infiniband")) { name, path in
      filter.isIgnored(name) ? nil : Device(name: name, path: path)
    }
  }

  func collect(into writer: MetricWriter) throws {
    for device in try devices.presentOrNoData() {
      Self.info.write(device.name, device.path, reader, into: writer)
      // A device that has just gone has no ports.
      for port in (try? device.ports.present()) ?? [] {
        reader.write(infinibandStates, of: port.path, labels: port.labels, into: writer)
        for (index, folder) in infinibandCounters.enumerated() {
          let counters = port.counters[index].current()
          reader.write(counters, of: "\(port.path)/\(folder.folder)", labels: port.labels, into: writer)
        }
      }
    }
  }
}
