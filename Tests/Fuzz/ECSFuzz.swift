// Feeds what reads a task's metadata damaged ones.
//
//     swift run -c release Fuzz ecs --seconds 60
//
// What must never happen: a crash, or a page that is larger than what the answers can give.

import AWS
import Bytes
import ContainerMetrics
import Exposition
import Kernel

enum ECSFuzz {
  private static let task = #"""
    {"Cluster": "c", "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/c/t", "Family": "f", "Revision": "1",
    "Limits": {"CPU": 0.25, "Memory": 512}, "PullStartedAt": "2026-02-27T05:06:03.714437592Z", "LaunchType": "FARGATE",
    "Containers": [{"DockerId": "t-1", "Name": "a", "DockerName": "a", "Image": "a:1", "Labels": {"a.b": "c"},
    "Limits": {"CPU": 2}, "StartedAt": "2026-02-27T05:06:19.2Z", "Health": {"status": "HEALTHY"}, "RestartCount": 1,
    "Networks": [{"NetworkMode": "awsvpc"}]}, {"DockerId": "t-2", "Name": "b"}], "EphemeralStorageMetrics":
    {"Utilized": 427, "Reserved": 20496}}
    """#
  private static let statistics = #"""
    {"t-1": {"cpu_stats": {"cpu_usage": {"total_usage": 932439492, "usage_in_kernelmode": 1, "usage_in_usermode": 8},
    "throttling_data": {"periods": 1, "throttled_periods": 1, "throttled_time": 1}}, "memory_stats": {"usage": 127934464,
    "max_usage": 1, "stats": {"cache": 1, "inactive_file": 5, "file": 3, "anon": 9, "pgfault": 2}}, "blkio_stats":
    {"io_service_bytes_recursive": [{"major": 259, "minor": 1, "op": "Read", "value": 23793664}]}, "networks": {"eth1":
    {"rx_bytes": 1, "rx_packets": 2, "tx_bytes": 3}}, "pids_stats": {"current": 1, "limit": 9}}, "t-2": null}
    """#

  static func run(_ seconds: Int, _ seed: UInt64) async throws {
    var mutator = Mutator(seed: seed)
    let documents = [task, statistics].map { Array($0.utf8) }
    let files = documents.map { WorkingCopy.File(path: "", content: $0) }
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    let before = Fuzz.residentKilobytes()
    var page = ECSReplay()
    var (rounds, whole, largest) = (0, 0, 0)
    while MonotonicClock.now < end {
      let texts = documents.map { mutator.next(below: 3) == 0 ? $0 : mutator.mutate($0, beside: files) }
      let size = page.render(task: texts[0], statistics: texts[1])
      if size > 0 { whole += 1 }
      largest = max(largest, size)
      precondition(size <= 1 << 20 + 200 * (texts[0].count + texts[1].count))
      rounds += 1
    }
    print(
      "\(rounds) rounds, \(whole) pages, the largest of \(largest) bytes, resident \(before) KiB before, "
        + "\(Fuzz.residentKilobytes()) KiB after")
  }
}
