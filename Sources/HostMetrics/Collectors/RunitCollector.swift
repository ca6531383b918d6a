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
  private var buffer = ByteWriter(capacity: 128)

  init(_ host: Host) {
    folder = host.flags[Self.folder]
    DeprecatedCollector.warn(Self.name, host)
  }

  func collect(into writer: MetricWriter) throws {
    for service in try Directory.names(folder) {
      // What has no status is no service, or not supervised.
      guard (try? KernelFile("\(folder)/\(service)/supervise/status", limit: 4096).read(into: &buffer)) != nil,
        buffer.count >= Self.length
      else { continue }
      // runit's own file is one folder up; node_exporter looks for it here.
      let isDown = access("\(folder)/\(service)/supervise/down", F_OK) == 0
      buffer.withBytes { status in write(service, status, isNormallyUp: !isDown, to: writer) }
    }
  }

  private func write(_ service: String, _ status: RawSpan, isNormallyUp: Bool, to writer: MetricWriter) {
    var label: UInt64 = 0
    for offset in 0..<8 { label = label << 8 | UInt64(status[offset]) }
    let values = [
      (Self.state, Double(status[19])),
      (Self.desired, status[17] == UInt8(ascii: "u") ? 1 : 0),
      (Self.changed, Double(Int64(bitPattern: label &- Self.epoch))),
      (Self.normal, isNormallyUp ? 1 : 0),
    ]
    for (family, value) in values {
      writer.begin(family)
      writer.label(service)
      writer.label("runit" as StaticString)
      writer.end(value)
    }
  }
}
