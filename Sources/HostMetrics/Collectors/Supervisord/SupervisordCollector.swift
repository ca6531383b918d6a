// Asks supervisord for its processes by XML-RPC (http://supervisord.org/api.html, supervisor.getAllProcessInfo).

import Bytes
import Exposition
import Flags
import Kernel

final class SupervisordCollector: Collector {
  static let name = "supervisord"
  static let isEnabledByDefault = false

  private static let url = Flag(
    "collector.supervisord.url", "http://localhost:9001/RPC2", "XML RPC endpoint.", environment: "SUPERVISORD_URL")
  static let flags = [url.definition]

  private static let labels = ["group", "name"]
  private static let up = MetricFamily.gauge("node_supervisord_up", "Process Up", labels)
  private static let state = MetricFamily.gauge("node_supervisord_state", "Process State", labels)
  private static let exitStatus = MetricFamily.gauge("node_supervisord_exit_status", "Process Exit Status", labels)
  private static let startTime = MetricFamily.counter(
    "node_supervisord_start_time_seconds", "Process start time", labels)

  /// STARTING, RUNNING, STOPPING: http://supervisord.org/subprocess.html#process-states
  private static let upStates: Set<Int64> = [10, 20, 40]
  /// Nanoseconds that supervisord may take.
  static let patience: UInt64 = 10_000_000_000

  private let client: XMLRPCClient

  convenience init(_ host: Host) throws(CollectorConfigurationError) { try self.init(host, patience: Self.patience) }

  init(_ host: Host, patience: UInt64) throws(CollectorConfigurationError) {
    let url = host.flags[Self.url]
    guard let client = XMLRPCClient(url, patience: patience) else {
      throw CollectorConfigurationError(
        "--collector.supervisord.url: \(url) is neither http://HOST[:PORT]/PATH nor unix:///PATH")
    }
    self.client = client
    host.warnAboutDeprecation(of: Self.self)
  }

  func collect(into writer: MetricWriter) throws {
    for process in try client.structs(of: "supervisor.getAllProcessInfo") {
      guard let name = process["name"]?.text, let group = process["group"]?.text,
        let state = process["state"]?.number, let exitStatus = process["exitstatus"]?.number,
        let start = process["start"]?.number
      else { continue }
      let isUp = Self.upStates.contains(state)
      let samples = [(Self.state, state), (Self.exitStatus, exitStatus), (Self.up, isUp ? 1 : 0)]
      for (family, value) in samples + (isUp ? [(Self.startTime, start)] : []) {
        writer.write(family, [group, name], Double(value))
      }
    }
  }
}
