// A task as `/task` describes it, and its containers with their statistics out of `/task/stats`
// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html).

import AWS
import Bytes

/// One task.
public struct ECSTask: Sendable {
  /// One of its containers; those that do not run have no statistics.
  struct Container: Sendable {
    var name: String
    /// Its own, or the task's, in bytes.
    var memoryLimit: Double?
    var restarts: Double?
    var statistics: ContainerStatistics?
    /// What the metadata say of it.
    var identity: ContainerStatistics
  }

  fileprivate static let mebibyte = 1048576.0
  /// More than ECS allows, and few enough for a page: what is beyond is left out.
  private static let containersLimit = 100
  fileprivate static let labelsLimit = 200
  /// In the order of ecs_exporter's labels.
  static let details: [(label: String, member: String)] = [
    ("availability_zone", "AvailabilityZone"), ("cluster", "Cluster"), ("desired_status", "DesiredStatus"),
    ("family", "Family"), ("known_status", "KnownStatus"), ("launch_type", "LaunchType"), ("revision", "Revision"),
    ("task_arn", "TaskARN"),
  ]

  /// The values of `details`; empty where the metadata say nothing.
  let info: [String]
  /// vCPUs.
  let cpuLimit: Double?
  /// Bytes, as are the two of the storage.
  let memoryLimit: Double?
  let usedStorage: Double?
  let reservedStorage: Double?
  /// Nanoseconds since the epoch.
  let pullStart: Double?
  let pullStop: Double?
  /// Whether its containers have one network between them (`awsvpc`, and `host`), or each its own (`bridge`).
  let sharesNetwork: Bool
  let containers: [Container]
  /// What is the task's and not a container's, as the cgroup that its containers' stand in.
  let whole: ContainerStatistics

  /// - Parameters:
  ///   - metadata: what `/task` answered.
  ///   - statistics: what `/task/stats` answered; nil: nothing.
  ///   - time: when, in seconds since the epoch.
  ///   - device: the path of a block device, by its numbers.
  /// - Returns: nil when the metadata are no object.
  init?(
    _ metadata: JSONValue, statistics: JSONValue?, at time: Double, device: (_ major: Int, _ minor: Int) -> String
  ) {
    guard case .object = metadata else { return nil }
    let info = Self.details.map { metadata[$0.member]?.text ?? "" }
    self.info = info
    let limits = metadata["Limits"]
    cpuLimit = limits?["CPU"]?.amount
    memoryLimit = limits?["Memory"]?.amount.map { $0 * Self.mebibyte }
    let storage = metadata["EphemeralStorageMetrics"]
    usedStorage = storage?["Utilized"]?.amount.map { $0 * Self.mebibyte }
    reservedStorage = storage?["Reserved"]?.amount.map { $0 * Self.mebibyte }
    pullStart = metadata["PullStartedAt"]?.nanoseconds
    pullStop = metadata["PullStoppedAt"]?.nanoseconds

    let arn = metadata["TaskARN"]?.text ?? ""
    let path = "/ecs/\(arn.split(separator: "/").last.map(String.init) ?? "task")"
    let labels = [
      ("cluster", metadata["Cluster"]?.text), ("task-arn", metadata["TaskARN"]?.text),
      ("task-definition-family", metadata["Family"]?.text), ("task-definition-version", metadata["Revision"]?.text),
    ].compactMap { name, value in value.map { ContainerStatistics.Label(name: "com.amazonaws.ecs.\(name)", value: $0) }
    }

    var listed: [JSONValue] = []
    if case .array(let elements)? = metadata["Containers"] { listed = elements }
    sharesNetwork = !listed.contains { $0.networkMode == "bridge" }
    var ids: Set<String> = []
    var containers: [Container] = []
    for json in listed.prefix(Self.containersLimit) {
      guard let id = json["DockerId"]?.text, ids.insert(id).inserted else { continue }
      var container = Container(json, path: "\(path)/\(id)", labels: labels, taskLimit: memoryLimit)
      if case .object(let members)? = statistics, let docker = members.last(where: { $0.name == id })?.value,
        case .object(let content) = docker, !content.isEmpty
      {
        var read = container.identity
        read.lastSeen = time
        read.take(docker: docker, device: device)
        container.statistics = read
      }
      containers.append(container)
    }
    self.containers = containers

    var whole = ContainerStatistics(id: path)
    whole.labels = labels
    whole.lastSeen = time
    if let cpuLimit, cpuLimit > 0 {
      // What the ECS agent sets for the task's cgroup.
      whole.limits.cpuPeriod = 100_000
      whole.limits.cpuQuota = cpuLimit * 100_000
    }
    whole.limits.memory = memoryLimit
    self.whole = whole
  }
}

extension ECSTask.Container {
  fileprivate init(
    _ json: JSONValue, path: String, labels taskLabels: [ContainerStatistics.Label], taskLimit: Double?
  ) {
    name = json["Name"]?.text ?? ""
    restarts = json["RestartCount"]?.amount
    let limits = json["Limits"]
    memoryLimit = limits?["Memory"]?.amount.flatMap { $0 > 0 ? $0 * ECSTask.mebibyte : nil } ?? taskLimit
    identity = ContainerStatistics(id: path)
    identity.name = json["DockerName"]?.text ?? name
    identity.image = json["Image"]?.text ?? ""
    if case .object(let members)? = json["Labels"] {
      identity.labels = members.prefix(ECSTask.labelsLimit).compactMap { member in
        guard case .string(let value) = member.value else { return nil }
        return ContainerStatistics.Label(name: member.name, value: value)
      }
    }
    // Those that ECS gives each container, should the metadata not show them.
    let own = ContainerStatistics.Label(name: "com.amazonaws.ecs.container-name", value: name)
    for label in taskLabels + [own] where !identity.labels.contains(where: { $0.name == label.name }) {
      identity.labels.append(label)
    }
    identity.creationTime = json["CreatedAt"]?.nanoseconds.map { $0 / 1e9 }
    identity.startTime = json["StartedAt"]?.nanoseconds.map { $0 / 1e9 }
    identity.health = json["Health"]?["status"]?.text.map { $0 == "HEALTHY" ? 1 : 0 } ?? -1
    // ECS gives Docker no less than 2.
    identity.limits.cpuShares = limits?["CPU"]?.amount.map { max(2, $0) }
    identity.limits.memory = memoryLimit ?? 0
  }
}

extension JSONValue {
  /// The mode of the first network of a container that has one.
  fileprivate var networkMode: String? {
    guard case .array(let networks)? = self["Networks"] else { return nil }
    return networks.lazy.compactMap { $0["NetworkMode"]?.text }.first
  }

  /// A time such as `2026-11-21T09:00:00.123456789Z`, since the epoch.
  fileprivate var nanoseconds: Double? {
    guard let text, let seconds = Timestamp(iso8601: text)?.seconds else { return nil }
    let digits = text.utf8.drop { $0 != UInt8(ascii: ".") }.dropFirst().prefix(9).prefix { $0 &- 0x30 < 10 }
    let fraction = digits.reduce(into: (value: Int64(0), unit: Int64(1_000_000_000))) { sum, digit in
      sum.unit /= 10
      sum.value += Int64(digit - 0x30) * sum.unit
    }
    let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return isTooLarge ? nil : Double(whole &+ fraction.value)
  }
}
