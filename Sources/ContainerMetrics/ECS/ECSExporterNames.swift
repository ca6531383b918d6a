// The metrics of ecs_exporter (https://github.com/prometheus-community/ecs_exporter), for those who come from it. Times
// are multiplied as there, so that the numbers are the same to the last digit.

import Exposition

public enum ECSExporterNames {
  private static let info = MetricFamily.gauge(
    "ecs_task_metadata_info", "ECS task metadata, sourced from the task metadata endpoint version 4.",
    ECSTask.details.map(\.label))

  private static let ofTask: [(family: MetricFamily, value: @Sendable (ECSTask) -> Double?)] = [
    (
      .gauge(
        "ecs_task_cpu_limit_vcpus",
        "Configured task CPU limit in vCPUs (1 vCPU = 1024 CPU units). This is optional when running on EC2; if no "
          + "limit is set, this metric has no value."), { $0.cpuLimit }
    ),
    (
      .gauge(
        "ecs_task_memory_limit_bytes",
        "Configured task memory limit in bytes. This is optional when running on EC2; if no limit is set, this "
          + "metric has no value."), { $0.memoryLimit }
    ),
    (
      .gauge(
        "ecs_task_ephemeral_storage_used_bytes", "Current Fargate task ephemeral storage usage in bytes."),
      { $0.usedStorage }
    ),
    (
      .gauge(
        "ecs_task_ephemeral_storage_allocated_bytes",
        "Configured Fargate task ephemeral storage allocated size in bytes."), { $0.reservedStorage }
    ),
    (
      .gauge(
        "ecs_task_image_pull_start_timestamp_seconds",
        "The time at which the task started pulling docker images for its containers."),
      { $0.pullStart.map { $0 * 1e-9 } }
    ),
    (
      .gauge(
        "ecs_task_image_pull_stop_timestamp_seconds",
        "The time at which the task stopped (i.e. completed) pulling docker images for its containers."),
      { $0.pullStop.map { $0 * 1e-9 } }
    ),
  ]

  private static let ofContainer:
    [(family: MetricFamily, value: @Sendable (ECSTask.Container, ContainerStatistics) -> Double?)] = [
      (
        .counter(
          "ecs_container_restarts_total",
          "Cumulative total count of container restarts. Only has a value if the container has been configured to "
            + "restart on failure.", ["container_name"]), { container, _ in container.restarts }
      ),
      (
        .counter(
          "ecs_container_cpu_usage_seconds_total", "Cumulative total container CPU usage in seconds.",
          ["container_name"]), { _, statistics in statistics.cpu.usage.map { $0 * 1e-9 } }
      ),
      (
        .gauge(
          "ecs_container_memory_usage_bytes", "Current container memory usage in bytes.", ["container_name"]),
        { _, statistics in statistics.memory.usage }
      ),
      (
        .gauge(
          "ecs_container_memory_limit_bytes",
          "Configured container memory limit in bytes, set from the container-level limit in the task definition if "
            + "any, otherwise the task-level limit.", ["container_name"]), { container, _ in container.memoryLimit }
      ),
      (
        .gauge(
          "ecs_container_memory_page_cache_size_bytes",
          "Current container memory page cache size in bytes. This is not a subset of used bytes.",
          ["container_name"]), { _, statistics in statistics.memory.cache }
      ),
    ]

  private typealias InterfaceMetric = (
    family: MetricFamily, value: @Sendable (ContainerStatistics.NetworkInterface) -> Double?
  )

  private static let ofInterface = ContainerStatistics.Traffic.counters.flatMap { counter -> [InterfaceMetric] in
    let (received, transmitted) =
      switch counter.name {
      case "bytes": ("size of network packets received in bytes", "size of network packets transmitted in bytes")
      case "packets": ("count of network packets received", "count of network packets transmitted")
      case "errors": ("count of network errors in receiving", "count of network errors in transmit")
      default: ("count of network packets dropped in receiving", "count of network packets dropped in transmit")
      }
    func family(_ direction: String, _ what: String) -> MetricFamily {
      .counter("ecs_network_\(direction)_\(counter.name)_total", "Cumulative total \(what).", ["interface"])
    }
    return [
      (family("receive", received), { @Sendable in $0.received[keyPath: counter.value] }),
      (family("transmit", transmitted), { @Sendable in $0.transmitted[keyPath: counter.value] }),
    ]
  }

  /// Writes a task; what is not known of it is left out.
  public static func write(_ reading: ECSReading, to writer: MetricWriter) {
    writer.begin(info)
    for value in reading.task.info { writer.label(value) }
    writer.end(1.0)
    for metric in ofTask {
      guard let value = metric.value(reading.task) else { continue }
      writer.sample(metric.family, value)
    }
    for metric in ofContainer {
      for container in reading.task.containers {
        guard let statistics = container.statistics, let value = metric.value(container, statistics) else { continue }
        writer.begin(metric.family)
        writer.label(container.name)
        writer.end(value)
      }
    }
    for metric in ofInterface {
      for interface in reading.interfaces {
        guard let value = metric.value(interface) else { continue }
        writer.begin(metric.family)
        writer.label(interface.name)
        writer.end(value)
      }
    }
  }
}
