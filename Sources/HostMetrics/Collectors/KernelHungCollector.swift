// Reads /proc/sys/kernel/hung_task_detect_count (Documentation/admin-guide/sysctl/kernel.rst), since Linux 6.13.

import Exposition
import Kernel

final class KernelHungCollector: Collector {
  static let name = "kernel_hung"

  private static let hungTasks = MetricFamily.counter(
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.")

  private let folder: String
  private let reader = AttributeReader()

  init(_ host: Host) { folder = host.proc("sys/kernel") }

  func collect(into writer: MetricWriter) throws {
    guard let count = reader.unsigned(folder, "hung_task_detect_count") else {
      throw NoData("this kernel does not count hung tasks")
    }
    writer.sample(Self.hungTasks, count)
  }
}
