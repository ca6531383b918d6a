// Reads the state of all processes and threads, and /proc/sys/kernel/{threads-max,pid_max}
// (Documentation/admin-guide/sysctl/kernel.rst).

import Exposition
import Kernel

final class ProcessesCollector: Collector {
  static let name = "processes"
  static let isEnabledByDefault = false

  private static let pids = MetricFamily.gauge("node_processes_pids", "Number of PIDs")
  private static let threads = MetricFamily.gauge("node_processes_threads", "Allocated threads in system")
  private static let states = MetricFamily.gauge(
    "node_processes_state", "Number of processes in each state.", ["state"])
  private static let threadStates = MetricFamily.gauge(
    "node_processes_threads_state", "Number of threads in each state.", ["thread_state"])
  private static let limits = [
    Attribute("threads-max", .gauge("node_processes_max_threads", "Limit of threads in the system")),
    Attribute("pid_max", .gauge("node_processes_max_processes", "Number of max PIDs limit")),
  ]

  private let counter: ProcessCounter
  private let folder: String
  private let reader = AttributeReader()

  init(_ host: Host) {
    counter = ProcessCounter(host.proc(""))
    folder = host.proc("sys/kernel")
  }

  func collect(into writer: MetricWriter) throws {
    let counts = try counter.count()
    writer.sample(Self.pids, Double(counts.processes))
    writer.sample(Self.threads, Double(counts.threads))
    write(Self.states, counts.processStates, into: writer)
    write(Self.threadStates, counts.threadStates, into: writer)
    reader.write(Self.limits, of: folder, labels: [], into: writer)
  }

  private func write(_ family: MetricFamily, _ counts: [Int], into writer: MetricWriter) {
    for (letter, count) in counts.enumerated() where count > 0 {
      writer.write(family, [String(UnicodeScalar(UInt8(letter)))], Double(count))
    }
  }
}
