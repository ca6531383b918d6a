// Reads /sys/class/nvme-subsystem/nvme-subsysN: the controllers nvmeN in it are the paths by which its namespaces
// nvmeXnY are reached (drivers/nvme/host/multipath.c).

import Bytes
import Exposition
import Kernel

final class NvmesubsystemCollector: Collector {
  static let name = "nvmesubsystem"
  static let isEnabledByDefault = false

  private static let info = DeviceInfo(
    "node_nvmesubsystem_info", "Non-numeric information about an NVMe subsystem.", device: "subsystem",
    ["nqn": "subsysnqn", "model": "model", "serial": "serial", "iopolicy": "iopolicy"])
  private static let namespace = MetricFamily.gauge(
    "node_nvmesubsystem_namespace_info", "Maps an NVMe namespace block device to its subsystem.",
    ["device", "subsystem"])
  private static let paths = MetricFamily.gauge(
    "node_nvmesubsystem_paths", "Number of controller paths for an NVMe subsystem.", ["subsystem"])
  private static let livePaths = MetricFamily.gauge(
    "node_nvmesubsystem_paths_live", "Number of controller paths in live state for an NVMe subsystem.", ["subsystem"])
  private static let pathState = MetricFamily.gauge(
    "node_nvmesubsystem_path_state",
    "Current NVMe controller path state (1 for the current state, 0 for all others).",
    ["controller", "state", "subsystem", "transport"])

  /// The last stands for all that are not among the others.
  private static let states = ["live", "connecting", "resetting", "dead", "deleting", "new", "unknown"]

  private final class Subsystem {
    let name: String
    let path: String
    var members: DeviceFolders<(name: String, path: String, isController: Bool)>

    init(name: String, path: String) {
      self.name = name
      self.path = path
      members = DeviceFolders(path) { name, path in NvmeName(name).map { (name, path, $0.namespace == nil) } }
    }
  }

  private var subsystems: DeviceFolders<Subsystem>
  private let reader = AttributeReader.short()

  init(_ host: Host) {
    subsystems = DeviceFolders(host.sys("class/nvme-subsystem")) { name, path in
      name.hasPrefix("nvme-subsys") ? Subsystem(name: name, path: path) : nil
    }
  }

  func collect(into writer: MetricWriter) throws {
    for subsystem in try subsystems.presentOrNoData() {
      let name = subsystem.name
      // A subsystem that has just gone shows nothing.
      guard let members = try? subsystem.members.present() else { continue }
      Self.info.write(name, subsystem.path, reader, into: writer)
      var paths = 0
      var livePaths = 0
      for member in members {
        guard member.isController else {
          writer.write(Self.namespace, [member.name, name], 1)
          continue
        }
        guard let state = state(of: member.path) else { continue }
        paths += 1
        if state == Self.states[0] { livePaths += 1 }
        let transport = reader.text(member.path, "transport") ?? ""
        for known in Self.states {
          writer.write(Self.pathState, [member.name, known, name, transport], known == state ? 1 : 0)
        }
      }
      writer.write(Self.paths, [name], Double(paths))
      writer.write(Self.livePaths, [name], Double(livePaths))
    }
  }

  /// One of the states; nil when the controller has just gone.
  private func state(of controller: String) -> String? {
    guard let state = reader.text(controller, "state") else { return nil }
    if state == "deleting (no IO)" { return "deleting" }
    return Self.states.contains(state) ? state : Self.states.last
  }
}
