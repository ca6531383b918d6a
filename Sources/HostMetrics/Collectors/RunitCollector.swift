// Reads SERVICEDIR/*/supervise/status of runit's supervisors (runsv(8)), 20 bytes: the time of the last change as a
// TAI64N label (12 bytes), the process (4), whether it is paused, what is wanted ('u' or 'd'), whether it was told to
// terminate, the state (0 down, 1 run, 2 finish).

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class RunitCollector: Collector {
  static let name = "runit"
  static let isEnabledByDefault = false

  private static let folder = Flag("collector.runit.servicedir", "/etc/service", "Path to runit service directory.")
  static let flags = [folder.definition]

  private static func family(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_service_\(name)", help, ["service", "supervisor"])
  }

  private static let state = family("state", "State of runit service.")
  private static let desired = family("desired_state", "Desired state of runit service.")
  private static let normal = family("normal_state", "Normal state of runit service.")
  private static let changed = family(
    "state_last_change_timestamp_seconds", "Unix timestamp of the last runit service state change.")

  private static let length = 20
  /// The TAI64 label of 1970; the ten seconds are between TAI and UTC then.
  private static let epoch: UInt64 = 1 << 62 + 10

  private let folder: String
  private let reader = AttributeReader()

  init(_ host: Host) {
    folder = host.flags[Self.folder]
    host.warnAboutDeprecation(of: Self.self)
  }

  func collect(into writer: MetricWriter) throws {
    for service in try Directory.names(folder) {
      // What has no status is no service, or not supervised.
      reader.contents("\(folder)/\(service)", "supervise/status") { status in
        guard status.byteCount >= Self.length else { return }
        // runit's own file is one folder up; node_exporter looks for it here.
        let isDown = access("\(folder)/\(service)/supervise/down", F_OK) == 0
        write(service, status, isNormallyUp: !isDown, to: writer)
      }
    }
  }

  private func write(_ service: String, _ status: RawSpan, isNormallyUp: Bool, to writer: MetricWriter) {
    let label = status.bigEndian(0, 8)
    let values = [
      (Self.state, Double(status[19])),
      (Self.desired, status[17] == UInt8(ascii: "u") ? 1 : 0),
      (Self.changed, Double(Int64(bitPattern: label &- Self.epoch))),
      (Self.normal, isNormallyUp ? 1 : 0),
    ]
    for (family, value) in values { writer.write(family, [service, "runit"], value) }
  }
}
