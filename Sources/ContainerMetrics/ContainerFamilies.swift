// cAdvisor's families of containers (https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md), with
// its names, types and help texts, and what each shows of a container.

/// A family, and where its values are.
struct ContainerFamily: Sendable {
  typealias Statistics = ContainerStatistics
  typealias Value = (labels: [String], value: Double)

  let name: String
  let isCounter: Bool
  let help: String
  /// Those besides the container's own.
  let labels: [String]
  let values: @Sendable (Statistics) -> [Value]

  static let all: [ContainerFamily] = limits + cpu + memory + network + disks + others

  // MARK: The table

  private static let others = [
    gauge("container_last_seen", "Last time a container was seen by the exporter") { $0.lastSeen?.rounded(.down) },
    gauge("container_creation_time_seconds", "Container creation time since unix epoch in seconds.") {
      $0.creationTime?.rounded(.down)
    },
    gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds.") {
      $0.startTime?.rounded(.down)
    },
    gauge("container_health_state", "The result of the container's health check") { $0.health },
    gauge("container_threads", "Number of threads running inside the container") { $0.threads },
    gauge(
      "container_threads_max", "Maximum number of threads allowed inside the container, infinity if value is zero"
    ) { $0.threadsLimit },
  ]

  private static let limits = [
    gauge("container_spec_cpu_period", "CPU period of the container.") { $0.limits.cpuPeriod },
    gauge("container_spec_cpu_quota", "CPU quota of the container.") { $0.limits.cpuQuota },
    gauge("container_spec_cpu_shares", "CPU share of the container.") { $0.limits.cpuShares },
    gauge("container_spec_memory_limit_bytes", "Memory limit for the container.") { $0.limits.memory },
  ]

  private static let cpu = [
    counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", by: ["cpu"]) {
      $0.cpu.usage.map { [(["total"], $0 / 1e9)] } ?? []
    },
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.") {
      $0.cpu.user.map { $0 / 1e9 }
    },
    counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.") {
      $0.cpu.system.map { $0 / 1e9 }
    },
    counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.") { $0.cpu.periods },
    counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.") {
      $0.cpu.throttledPeriods
    },
    counter("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.") {
      $0.cpu.throttledTime.map { $0 / 1e9 }
    },
  ]

  private static let memory = [
    gauge("container_memory_cache", "Number of bytes of page cache memory.") { $0.memory.cache },
    counter("container_memory_failcnt", "Number of memory usage hits limits") { $0.memory.limitHits },
    counter(
      "container_memory_failures_total", "Cumulative count of memory allocation failures.",
      by: ["failure_type", "scope"]
    ) { container in
      [("pgfault", container.memory.pageFaults), ("pgmajfault", container.memory.majorPageFaults)].flatMap {
        (type: String, faults: Statistics.Faults?) -> [Value] in
        guard let faults else { return [] }
        return [([type, "container"], faults.own), ([type, "hierarchy"], faults.hierarchical)]
      }
    },
    gauge(
      "container_memory_file_dirty_bytes",
      "Number of bytes of file cache that has been modified but not yet written back to disk."
    ) { $0.memory.dirty },
    gauge(
      "container_memory_file_writeback_bytes",
      "Number of bytes of file cache that is currently being written back to disk."
    ) { $0.memory.writeback },
    gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.") { $0.memory.mappedFile },
    gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes") { $0.memory.maximumUsage },
    counter(
      "container_memory_pgscan_total", "Cumulative number of pages scanned by the page reclaim algorithm."
    ) { $0.memory.pagesScanned },
    counter(
      "container_memory_pgsteal_total", "Cumulative number of pages reclaimed by the page reclaim algorithm."
    ) { $0.memory.pagesReclaimed },
    gauge("container_memory_rss", "Size of RSS in bytes.") { $0.memory.rss },
    gauge("container_memory_swap", "Container swap usage in bytes.") { $0.memory.swap },
    gauge("container_memory_total_active_file_bytes", "Current total active file in bytes.") { $0.memory.activeFile },
    gauge("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.") {
      $0.memory.inactiveFile
    },
    gauge(
      "container_memory_usage_bytes",
      "Current memory usage in bytes, including all memory regardless of when it was accessed"
    ) { $0.memory.usage },
    gauge("container_memory_working_set_bytes", "Current working set in bytes.") { $0.memory.workingSet },
  ]

  private static let disks =
    [
      disk("container_fs_reads_bytes_total", "Cumulative count of bytes read") { $0.readBytes },
      disk("container_fs_reads_total", "Cumulative count of reads completed") { $0.reads },
      disk("container_fs_writes_bytes_total", "Cumulative count of bytes written") { $0.writtenBytes },
      disk("container_fs_writes_total", "Cumulative count of writes completed") { $0.writes },
    ] + [
      counter(
        "container_blkio_device_usage_total", "Blkio Device bytes usage", by: ["device", "major", "minor", "operation"]
      ) { container in
        container.disks.flatMap { disk -> [Value] in
          [("Read", disk.readBytes), ("Write", disk.writtenBytes)].compactMap {
            (operation: String, bytes: Double?) -> Value? in
            bytes.map { ([disk.device, "\(disk.major)", "\(disk.minor)", operation], $0) }
          }
        }
      }
    ]

  private static let network: [ContainerFamily] = {
    let directions:
      [(
        name: String, done: String, doing: String,
        traffic: @Sendable (Statistics.NetworkInterface) -> Statistics.Traffic
      )] = [
        ("receive", "received", "receiving", { $0.received }),
        ("transmit", "transmitted", "transmitting", { $0.transmitted }),
      ]
    return directions.flatMap { direction in
      Statistics.Traffic.counters.map { counter in
        let help =
          switch counter.name {
          case "errors": "Cumulative count of errors encountered while \(direction.doing)"
          case "packets_dropped": "Cumulative count of packets dropped while \(direction.doing)"
          default: "Cumulative count of \(counter.name) \(direction.done)"
          }
        return ContainerFamily.counter(
          "container_network_\(direction.name)_\(counter.name)_total", help, by: ["interface"]
        ) { container in
          container.networks.compactMap { interface -> Value? in
            direction.traffic(interface)[keyPath: counter.value].map { ([interface.name], $0) }
          }
        }
      }
    }
  }()

  // MARK: Its entries

  private static func gauge(
    _ name: String, _ help: String, _ value: @escaping @Sendable (Statistics) -> Double?
  ) -> ContainerFamily {
    ContainerFamily(name: name, isCounter: false, help: help, labels: []) { value($0).map { [([], $0)] } ?? [] }
  }

  private static func counter(
    _ name: String, _ help: String, _ value: @escaping @Sendable (Statistics) -> Double?
  ) -> ContainerFamily {
    ContainerFamily(name: name, isCounter: true, help: help, labels: []) { value($0).map { [([], $0)] } ?? [] }
  }

  private static func counter(
    _ name: String, _ help: String, by labels: [String], _ values: @escaping @Sendable (Statistics) -> [Value]
  ) -> ContainerFamily {
    ContainerFamily(name: name, isCounter: true, help: help, labels: labels, values: values)
  }

  private static func disk(
    _ name: String, _ help: String, _ value: @escaping @Sendable (Statistics.Disk) -> Double?
  ) -> ContainerFamily {
    counter(name, help, by: ["device"]) { container in
      container.disks.compactMap { disk -> Value? in value(disk).map { ([disk.device], $0) } }
    }
  }
}
