// `ecs_sd_configs`: the tasks of ECS services in a region
// (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html). It needs the permissions ecs:ListClusters,
// DescribeClusters, ListServices, DescribeServices, ListTasks, DescribeTasks and DescribeContainerInstances, and
// ec2:DescribeInstances and DescribeNetworkInterfaces for the addresses of hosts and the public ones.

import AWS
import Bytes
import Configuration

struct ECSDiscovery: RefreshingDiscovery {
  static let mechanism: StaticString = "ecs"

  let environment: DiscoveryEnvironment
  private let configuration: ECSDiscoveryConfiguration
  private let ecs: ECSClient
  private let ec2: EC2Client

  var refreshInterval: Duration { configuration.aws.refreshInterval }

  init(_ configuration: ECSDiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    ecs = ECSClient(
      client: ServiceClient("ecs", configuration.aws, environment), concurrency: configuration.requestConcurrency)
    // The endpoint is that of ECS.
    ec2 = EC2Client(ServiceClient("ec2", configuration.aws, endpoint: "", environment))
  }

  func refresh() async throws -> [TargetGroup] {
    let region = try await ecs.client.region()
    let clusters = configuration.clusters.isEmpty ? try await ecs.clusters() : configuration.clusters
    var targets: [[ConfiguredLabel]] = []
    for description in try await ecs.describe(clusters: clusters) {
      targets += try await self.targets(of: description, region: region)
    }
    return [TargetGroup(source: region, targets: targets, labels: [])]
  }

  private func targets(of cluster: JSONValue, region: String) async throws -> [[ConfiguredLabel]] {
    guard let arn = cluster["clusterArn"]?.text else { return [] }
    let services = try await ecs.services(ofCluster: arn)
    let tasks = try await ecs.tasks(ofCluster: arn, services).filter { $0.task["taskArn"]?.text != nil }
    let hosts = await hosts(of: tasks.map(\.task), cluster: arn)
    let addresses = await publicAddresses(of: tasks.map(\.task))
    return tasks.compactMap { service, task in
      let task = ECSTask(task: task, service: service, cluster: cluster)
      return task.labels(
        region: region, port: configuration.aws.port, host: task.containerInstance.flatMap { hosts[$0] },
        publicAddresses: addresses)
    }
  }

  /// The EC2 instances by the ARN of their container instance. Tasks that need none of it are targets without.
  private func hosts(of tasks: [JSONValue], cluster: String) async -> [String: EC2Instance] {
    let arns = Set(tasks.compactMap { $0["containerInstanceArn"]?.text }).sorted()
    do {
      let ids = try await ecs.instances(ofContainerInstances: arns, cluster: cluster)
      var instances: [String: EC2Instance] = [:]
      for batch in Set(ids.values).sorted().batches(of: 100) {
        for instance in try await ec2.instances(ids: batch) { instances[instance.id ?? ""] = instance }
      }
      return ids.compactMapValues { instances[$0] }
    } catch {
      warn(
        "EC2 instances of ECS tasks are not known; tasks without a network interface of their own are left out", error)
      return [:]
    }
  }

  private func publicAddresses(of tasks: [JSONValue]) async -> [String: String] {
    var addresses: [String: String] = [:]
    do {
      for batch in Set(tasks.compactMap { ECSTask.interface(of: $0)["networkInterfaceId"] }).sorted().batches(of: 100) {
        addresses.merge(try await ec2.publicAddresses(ofInterfaces: batch)) { first, _ in first }
      }
    } catch {
      warn("Public addresses of ECS tasks are not known", error)
    }
    return addresses
  }

  private func warn(_ message: String, _ error: any Error) {
    guard !Task.isCancelled else { return }
    environment.log.warning("\(message)", metadata: ["config": "\(environment.jobName)", "err": "\(error)"])
  }
}

/// The questions that are asked of ECS.
struct ECSClient {
  /// A server that has always another page is not asked for ever.
  private static let maximumPages = 10_000

  let client: ServiceClient
  let concurrency: Int

  /// The ARNs of all clusters.
  func clusters() async throws -> [String] { try await list("ListClusters", "clusterArns", []) }

  func describe(clusters: [String]) async throws -> [JSONValue] {
    try await describe("DescribeClusters", "clusters", clusters, in: 100, [("include", ["TAGS"].json)])
  }

  /// The services of a cluster, described.
  func services(ofCluster cluster: String) async throws -> [JSONValue] {
    let arns = try await list("ListServices", "serviceArns", [("cluster", .string(cluster))])
    return try await describe(
      "DescribeServices", "services", arns, in: 10, [("cluster", .string(cluster)), ("include", ["TAGS"].json)])
  }

  /// The tasks of services, each with its service.
  func tasks(
    ofCluster cluster: String, _ services: [JSONValue]
  ) async throws -> [(service: JSONValue, task: JSONValue)] {
    try await concurrently(services, atATime: concurrency) { service in
      guard let name = service["serviceName"]?.text else { return [] }
      let arns = try await list(
        "ListTasks", "taskArns", [("cluster", .string(cluster)), ("serviceName", .string(name))])
      let tasks = try await describe(
        "DescribeTasks", "tasks", arns, in: 100, [("cluster", .string(cluster)), ("include", ["TAGS"].json)])
      return tasks.map { (service, $0) }
    }
  }

  /// The ids of EC2 instances by the ARNs of the container instances that they are.
  func instances(ofContainerInstances arns: [String], cluster: String) async throws -> [String: String] {
    let described = try await describe(
      "DescribeContainerInstances", "containerInstances", arns, in: 100, [("cluster", .string(cluster))])
    let pairs = described.compactMap { instance in
      instance["containerInstanceArn"]?.text.flatMap { arn in instance["ec2InstanceId"]?.text.map { (arn, $0) } }
    }
    return Dictionary(pairs) { first, _ in first }
  }

  private func call(_ action: String, _ input: [(name: String, value: JSONValue)]) async throws -> JSONValue {
    try await client.call(action, target: "AmazonEC2ContainerServiceV20141113", input)
  }

  /// All pages of texts.
  private func list(
    _ action: String, _ member: String, _ input: [(name: String, value: JSONValue)]
  ) async throws -> [String] {
    var found: [String] = []
    var token: String?
    for _ in 0..<Self.maximumPages {
      let answer = try await call(action, input + (token.map { [("nextToken", .string($0))] } ?? []))
      found += answer.elements(member).compactMap(\.text)
      token = answer["nextToken"]?.text
      if token == nil { break }
    }
    return found
  }

  private func describe(
    _ action: String, _ member: String, _ names: [String], in size: Int, _ input: [(name: String, value: JSONValue)]
  ) async throws -> [JSONValue] {
    try await concurrently(names.batches(of: size), atATime: concurrency) { batch in
      try await call(action, input + [(member, batch.json)]).elements(member)
    }
  }
}

/// What `body` makes of all items, in their order; so many at a time.
private func concurrently<Item: Sendable, Result: Sendable>(
  _ items: [Item], atATime limit: Int, _ body: @escaping @Sendable (Item) async throws -> [Result]
) async throws -> [Result] {
  try await withThrowingTaskGroup(of: (Int, [Result]).self) { group in
    var results = [[Result]](repeating: [], count: items.count)
    for (index, item) in items.enumerated() {
      if index >= limit, let (done, result) = try await group.next() { results[done] = result }
      group.addTask { (index, try await body(item)) }
    }
    for try await (done, result) in group { results[done] = result }
    return results.flatMap { $0 }
  }
}

extension JSONValue {
  /// The elements of the array of that name.
  func elements(_ name: String) -> [JSONValue] {
    guard case .array(let elements)? = self[name] else { return [] }
    return elements
  }
}

extension [String] {
  fileprivate var json: JSONValue { .array(map(JSONValue.string)) }

  fileprivate func batches(of size: Int) -> [[String]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
