// Docker's statistics of a container (https://docs.docker.com/reference/api/engine/version/v1.43/, ContainerStats), as
// `/task/stats` has them. Which members there are depends on the version of the machine's cgroups: the names of version
// 1 stand first here. What is missing or of another type is not known.

import AWS
import Bytes
import Kernel

extension ContainerStatistics {
  /// Takes what the JSON holds.
  ///
  /// - Parameter device: the path of a block device, by its numbers.
  mutating func take(docker json: JSONValue, device: (_ major: Int, _ minor: Int) -> String) {
    cpu = CPU(docker: json["cpu_stats"])
    memory = Memory(docker: json["memory_stats"])
    networks = NetworkInterface.list(docker: json["networks"])
    disks = Disk.list(docker: json["blkio_stats"], device: device)
    threads = json["pids_stats"]?["current"]?.amount
    if let limit = json["pids_stats"]?["limit"]?.amount {
      // What is no limit is 2^64 - 1.
      threadsLimit = limit < 0x1p62 ? limit : 0
    }
  }
}

extension ContainerStatistics.CPU {
  fileprivate init(docker json: JSONValue?) {
    let times = json?["cpu_usage"]
    usage = times?["total_usage"]?.amount
    user = times?["usage_in_usermode"]?.amount
    system = times?["usage_in_kernelmode"]?.amount
    // Without a quota no period ever passes.
    let quota = json?["throttling_data"]
    guard let periods = quota?["periods"]?.amount, periods > 0 else { return }
    self.periods = periods
    throttledPeriods = quota?["throttled_periods"]?.amount
    throttledTime = quota?["throttled_time"]?.amount
  }
}

extension ContainerStatistics.Memory {
  fileprivate init(docker json: JSONValue?) {
    let stats = json?["stats"]
    func first(_ names: String...) -> Double? {
      for name in names {
        if let amount = stats?[name]?.amount { return amount }
      }
      return nil
    }
    func faults(_ name: String) -> ContainerStatistics.Faults? {
      guard let own = first(name) else { return nil }
      return .init(own: own, hierarchical: first("total_" + name) ?? own)
    }
    usage = json?["usage"]?.amount
    maximumUsage = json?["max_usage"]?.amount
    limitHits = json?["failcnt"]?.amount
    cache = first("total_cache", "cache", "file")
    rss = first("total_rss", "rss", "anon")
    swap = first("total_swap", "swap")
    mappedFile = first("total_mapped_file", "mapped_file", "file_mapped")
    activeFile = first("total_active_file", "active_file")
    inactiveFile = first("total_inactive_file", "inactive_file")
    dirty = first("total_dirty", "dirty", "file_dirty")
    writeback = first("total_writeback", "writeback", "file_writeback")
    pageFaults = faults("pgfault")
    majorPageFaults = faults("pgmajfault")
    pagesScanned = first("pgscan")
    pagesReclaimed = first("pgsteal")
    if let usage, let inactiveFile { workingSet = max(0, usage - inactiveFile) }
  }
}

extension ContainerStatistics.NetworkInterface {
  /// More than a container has; what is beyond is left out.
  private static let limit = 100

  fileprivate static func list(docker json: JSONValue?) -> [Self] {
    guard case .object(let members)? = json else { return [] }
    let interfaces = members.prefix(limit).map { member in
      var interface = Self(name: member.name)
      interface.received = .init(docker: member.value, "rx")
      interface.transmitted = .init(docker: member.value, "tx")
      return (member.name, interface)
    }
    return Dictionary(interfaces) { _, last in last }.values.sorted { $0.name < $1.name }
  }
}

extension ContainerStatistics.Traffic {
  fileprivate init(docker json: JSONValue, _ direction: String) {
    bytes = json["\(direction)_bytes"]?.amount
    packets = json["\(direction)_packets"]?.amount
    errors = json["\(direction)_errors"]?.amount
    dropped = json["\(direction)_dropped"]?.amount
  }
}

extension ContainerStatistics.Disk {
  /// More than a container has; what is beyond is left out.
  private static let limit = 200

  /// Version 1 says `Read` and `Write`, and sums of them that nobody needs; version 2 says `read` and `write`.
  fileprivate static func list(docker json: JSONValue?, device: (Int, Int) -> String) -> [Self] {
    var disks: [Self] = []
    func add(_ name: String, _ read: WritableKeyPath<Self, Double?>, _ write: WritableKeyPath<Self, Double?>) {
      guard case .array(let entries)? = json?[name] else { return }
      for entry in entries {
        guard let major = entry["major"]?.deviceNumber, let minor = entry["minor"]?.deviceNumber,
          let value = entry["value"]?.amount, let operation = entry["op"]?.text?.lowercased(),
          operation == "read" || operation == "write"
        else { continue }
        let index: Int
        if let known = disks.firstIndex(where: { $0.major == major && $0.minor == minor }) {
          index = known
        } else {
          guard disks.count < limit else { continue }
          index = disks.count
          disks.append(Self(major: major, minor: minor, device: device(major, minor)))
        }
        let counter = operation == "read" ? read : write
        disks[index][keyPath: counter] = (disks[index][keyPath: counter] ?? 0) + value
      }
    }
    add("io_service_bytes_recursive", \.readBytes, \.writtenBytes)
    add("io_serviced_recursive", \.reads, \.writes)
    return disks
  }
}

/// Block devices of this kernel, which a container's sysfs shows as well.
enum BlockDevice {
  /// `/dev/nvme0n1`; the numbers where sysfs does not know them.
  static func path(major: Int, minor: Int) -> String {
    guard let name = Directory.linkTarget("/sys/dev/block/\(major):\(minor)")?.split(separator: "/").last else {
      return "\(major):\(minor)"
    }
    return "/dev/\(name)"
  }
}

extension JSONValue {
  /// A number that is not negative.
  var amount: Double? {
    guard case .number(let number) = self, number >= 0 else { return nil }
    return number
  }

  /// Linux has 12 bits for the major number and 20 for the minor one.
  fileprivate var deviceNumber: Int? { amount.flatMap { $0 < 0x1p20 ? Int($0) : nil } }
}
