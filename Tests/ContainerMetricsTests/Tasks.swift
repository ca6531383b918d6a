import AWS
import Bytes
import Exposition
import Testing

@testable import ContainerMetrics

/// What the metadata endpoint answers of a task.
struct Answers: CustomTestStringConvertible {
  let testDescription: String
  var task: String
  var statistics: String

  /// Fargate: one network for all, statistics by the names of cgroups v1, no limits of the containers; one container has
  /// stopped.
  static let fargate = Answers(
    testDescription: "fargate",
    task: """
      {"Cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/c", "Family": "web", "Revision": "7",
       "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/c/t1", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
       "Limits": {"CPU": 0.5, "Memory": 1024}, "AvailabilityZone": "eu-west-1a", "LaunchType": "FARGATE",
       "PullStartedAt": "2026-01-02T03:04:05.123456789Z", "PullStoppedAt": "2026-01-02T03:04:06.5Z",
       "EphemeralStorageMetrics": {"Utilized": 2, "Reserved": 20},
       "Containers": [
        {"DockerId": "t1-1", "Name": "init", "DockerName": "init", "Image": "alpine", "KnownStatus": "STOPPED",
         "Limits": {"CPU": 2}, "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.5"]}]},
        {"DockerId": "t1-2", "Name": "app", "DockerName": "app", "Image": "app:1",
         "Labels": {"com.amazonaws.ecs.container-name": "app", "team": "a\\"b", "a.b": "1", "a-b": "2"},
         "Limits": {"CPU": 0}, "CreatedAt": "2026-01-02T03:04:07.9Z", "StartedAt": "2026-01-02T03:04:08.1Z",
         "RestartCount": 3, "Health": {"status": "HEALTHY"},
         "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.5"]}]},
        {"DockerId": "t1-3", "Name": "agent", "DockerName": "agent", "Image": "pilotfish", "Limits": {"CPU": 64, "Memory": 128},
         "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.5"]}]}]}
      """,
    statistics: """
      {"t1-1": null,
       "t1-2": {
        "cpu_stats": {"cpu_usage": {"total_usage": 3500000000, "percpu_usage": [1, 2], "usage_in_kernelmode": 500000000,
          "usage_in_usermode": 3000000000}, "throttling_data": {"periods": 10, "throttled_periods": 2,
          "throttled_time": 1500000000}},
        "memory_stats": {"usage": 1000, "max_usage": 2000, "failcnt": 4, "limit": 9223372036854771712,
          "stats": {"cache": 1, "total_cache": 300, "rss": 2, "total_rss": 500, "inactive_file": 3,
          "total_inactive_file": 250, "total_active_file": 50, "total_mapped_file": 70, "pgfault": 5, "total_pgfault": 9,
          "pgmajfault": 1}},
        "blkio_stats": {"io_service_bytes_recursive": [
          {"major": 1048000, "minor": 1, "op": "Read", "value": 100}, {"major": 1048000, "minor": 1, "op": "Write", "value": 200},
          {"major": 1048000, "minor": 1, "op": "Total", "value": 300}, {"major": 1048000, "minor": 1, "op": "Read", "value": 1}],
          "io_serviced_recursive": [{"major": 1048000, "minor": 1, "op": "Read", "value": 7}]},
        "pids_stats": {},
        "networks": {"eth1": {"rx_bytes": 900, "rx_packets": 9, "rx_errors": 0, "rx_dropped": 1,
          "tx_bytes": 800, "tx_packets": 8, "tx_errors": 2, "tx_dropped": 3}}},
       "t1-3": {
        "cpu_stats": {"cpu_usage": {"total_usage": 932439492}},
        "memory_stats": {"usage": 100, "stats": {"total_inactive_file": 200}},
        "networks": {"eth1": {"rx_bytes": 950, "rx_packets": 10, "rx_errors": 0, "rx_dropped": 1,
          "tx_bytes": 790, "tx_packets": 7, "tx_errors": 2, "tx_dropped": 3}}}}
      """)

  /// EC2: a network for each container, statistics by the names of cgroups v2, no limits of the task.
  static let bridge = Answers(
    testDescription: "bridge",
    task: """
      {"Cluster": "c", "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/c/t2", "Family": "web", "Revision": "8",
       "LaunchType": "EC2", "Containers": [
        {"DockerId": "d1", "Name": "a", "DockerName": "ecs-web-8-a-0f", "Image": "a:1", "Limits": {"CPU": 128, "Memory": 256},
         "Networks": [{"NetworkMode": "bridge"}]},
        {"DockerId": "d2", "Name": "b", "DockerName": "ecs-web-8-b-0f", "Image": "b:1", "Limits": {"CPU": 128},
         "Networks": [{"NetworkMode": "bridge"}]}]}
      """,
    statistics: """
      {"d1": {
        "cpu_stats": {"cpu_usage": {"total_usage": 1000}, "throttling_data": {"periods": 0, "throttled_periods": 0}},
        "memory_stats": {"usage": 1000, "limit": 268435456, "stats": {"anon": 400, "file": 300, "inactive_file": 100,
          "active_file": 200, "file_mapped": 10, "file_dirty": 11, "file_writeback": 12, "pgfault": 5, "pgmajfault": 1,
          "pgscan": 13, "pgsteal": 14}},
        "blkio_stats": {"io_service_bytes_recursive": [{"major": 1048000, "minor": 0, "op": "read", "value": 60},
          {"major": 1048000, "minor": 0, "op": "write", "value": 70}], "io_serviced_recursive": null},
        "pids_stats": {"current": 33, "limit": 404},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 10}}},
       "d2": {
        "cpu_stats": {"cpu_usage": {"total_usage": 2000}}, "pids_stats": {"limit": 18446744073709551615},
        "memory_stats": {"usage": 2000, "stats": {"anon": 1, "file": 2}},
        "networks": {"eth0": {"rx_bytes": 500, "tx_bytes": 5}}}}
      """)

  /// What a look at the task gives, with numbers for devices.
  func read(_ ledger: inout NetworkLedger) throws -> ECSReading? {
    let task = Array(task.utf8)
    let statistics = Array(statistics.utf8)
    return ECSTask(
      try JSONValue(parsing: task.span.bytes), statistics: try JSONValue(parsing: statistics.span.bytes),
      at: 1_800_000_000.5, device: { "\($0):\($1)" }
    ).map { ledger.read($0) }
  }
}

/// A reading as a page shows it.
func page(_ reading: ECSReading, cAdvisor: Bool = true, ecsExporter: Bool = false) -> String {
  var containers = ContainerWriter()
  return page(reading, by: &containers, cAdvisor: cAdvisor, ecsExporter: ecsExporter)
}

/// The same, with what was written before.
func page(
  _ reading: ECSReading, by containers: inout ContainerWriter, cAdvisor: Bool = true, ecsExporter: Bool
) -> String {
  let writer = MetricWriter()
  if cAdvisor { containers.write(reading.containers, to: writer) }
  if ecsExporter { ECSExporterNames.write(reading, to: writer) }
  var output = ByteWriter()
  let exposition = TextExposition()
  exposition.render([writer], into: &output)
  return output.withBytes { String(utf8: $0) }
}

/// A page without what all its lines have in common.
func shortened(_ page: String) -> String {
  var page = page
  for label in ["cluster", "task_arn", "task_definition_family", "task_definition_version"] {
    for value in ["c", "web", "7", "8"]
      + ["cluster/c", "task/c/t1", "task/c/t2"].map({ "arn:aws:ecs:eu-west-1:111122223333:\($0)" })
    {
      page = page.replacing(#"container_label_com_amazonaws_ecs_\#(label)="\#(value)","#, with: "")
    }
  }
  return page.replacing("container_label_com_amazonaws_ecs_", with: "ecs_")
}
