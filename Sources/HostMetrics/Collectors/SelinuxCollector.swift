// SELinux's state: selinuxfs below /sys (selinux(8)) and /etc/selinux/config (selinux_config(5)) of the system that
// pilotfish runs in, whatever --path.sysfs and --path.rootfs say.

import Bytes
import Exposition
import Glibc
import Kernel

final class SelinuxCollector: Collector {
  static let name = "selinux"

  private static let configured = MetricFamily.gauge(
    "node_selinux_config_mode", "Configured SELinux enforcement mode")
  private static let current = MetricFamily.gauge("node_selinux_current_mode", "Current SELinux enforcement mode")
  private static let enabled = MetricFamily.gauge(
    "node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false")

  private let folder: String
  private let enforceFile: KernelFile
  private let configFile: KernelFile
  private let labelFile: KernelFile
  private var buffer = ByteWriter(capacity: 4096)

  convenience init(_ host: Host) { self.init(root: "") }

  /// - Parameter root: stands before the paths.
  init(root: String) {
    folder = "\(root)/sys/fs/selinux"
    enforceFile = KernelFile("\(folder)/enforce", limit: 4096)
    configFile = KernelFile("\(root)/etc/selinux/config", limit: 1 << 20)
    labelFile = KernelFile("\(root)/proc/self/attr/current", limit: 4096)
  }

  func collect(into writer: MetricWriter) throws {
    guard let current = try currentMode() else { return writer.sample(Self.enabled, 0.0) }
    writer.sample(Self.enabled, 1.0)
    writer.sample(Self.current, current)
    writer.sample(Self.configured, configuredMode())
  }

  /// 1 enforcing, 0 permissive, -1 unknown. Nil without SELinux; where its files cannot be written, as in a container
  /// that is not to see it; and before it has a policy, when all processes have the label "kernel".
  private func currentMode() throws -> Double? {
    var mount = statvfs()
    guard statvfs(folder, &mount) == 0, mount.f_flag & UInt(ST_RDONLY) == 0 else { return nil }
    guard try enforceFile.readIfPresent(into: &buffer) else { return nil }
    let mode = buffer.withBytes { Int64(decimal: $0.trimmed).map(Double.init) ?? -1 }
    guard (try? labelFile.read(into: &buffer)) != nil else { return mode }
    let hasPolicy = buffer.withBytes { label in
      !label.extracting(0..<(label.firstIndex(of: 0) ?? label.byteCount)).equals("kernel")
    }
    return hasPolicy ? mode : nil
  }

  /// 1 enforcing, 0 permissive, -1 disabled or not said.
  private func configuredMode() -> Double {
    guard (try? configFile.read(into: &buffer)) != nil else { return -1 }
    return buffer.withBytes { Self.mode(in: $0) }
  }

  private static func mode(in config: RawSpan) -> Double {
    var lines = ByteScanner(config)
    while let line = lines.line()?.trimmed {
      guard line.starts(with: "SELINUX=") else { continue }
      let value = line.extracting(8..<line.byteCount).trimmed
      return value.equals("enforcing") ? 1 : value.equals("permissive") ? 0 : -1
    }
    return -1
  }
}
