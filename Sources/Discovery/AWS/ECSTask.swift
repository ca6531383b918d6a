import AWS
import Bytes
import Configuration

/// A task of an ECS service; every field of it may be missing.
struct ECSTask {
  let task: JSONValue
  let service: JSONValue
  let cluster: JSONValue

  /// The ARN of the container instance that it runs on; nil on Fargate.
  var containerInstance: String? { task["containerInstanceArn"]?.text }

  /// The details of the network interface of its own, by name; none in bridge and host mode.
  static func interface(of task: JSONValue) -> [String: String] {
    let attachment = task.elements("attachments").first { $0["type"]?.text == "ElasticNetworkInterface" }
    let pairs = (attachment?.elements("details") ?? []).compactMap { detail in
      detail["name"]?.text.flatMap { name in detail["value"]?.text.map { (name, $0) } }
    }
    return Dictionary(pairs) { first, _ in first }
  }

  /// Labels that show one text of the task, or of its service.
  private static let taskFields = [
    ("__meta_ecs_task_group", "group"), ("__meta_ecs_task_arn", "taskArn"),
    ("__meta_ecs_task_definition", "taskDefinitionArn"), ("__meta_ecs_launch_type", "launchType"),
    ("__meta_ecs_availability_zone", "availabilityZone"), ("__meta_ecs_desired_status", "desiredStatus"),
    ("__meta_ecs_last_status", "lastStatus"), ("__meta_ecs_health_status", "healthStatus"),
    ("__meta_ecs_platform_family", "platformFamily"), ("__meta_ecs_platform_version", "platformVersion"),
    ("__meta_ecs_container_instance_arn", "containerInstanceArn"),
  ]
  private static let serviceFields = [
    ("__meta_ecs_cluster_arn", "clusterArn"), ("__meta_ecs_service", "serviceName"),
    ("__meta_ecs_service_arn", "serviceArn"), ("__meta_ecs_service_status", "status"),
  ]

  /// Nil for one without an address.
  ///
  /// - Parameters:
  ///   - host: the EC2 instance that it runs on, if it is known.
  ///   - publicAddresses: of network interfaces by their ids.
  func labels(
    region: String, port: Int, host: EC2Instance?, publicAddresses: [String: String]
  ) -> [ConfiguredLabel]? {
    let interface = Self.interface(of: task)
    let isOnOwnInterface = !interface.isEmpty
    guard let address = isOnOwnInterface ? interface["privateIPv4Address"] : host?.privateAddress else { return nil }
    let publicAddress =
      isOnOwnInterface ? interface["networkInterfaceId"].flatMap { publicAddresses[$0] } : host?.publicAddress
    var labels = [
      ("__address__", hostAndPort(address, port)), ("__meta_ecs_ip_address", address),
      ("__meta_ecs_region", region), ("__meta_ecs_network_mode", isOnOwnInterface ? "awsvpc" : "bridge"),
      ("__meta_ecs_public_ip", publicAddress ?? ""),
      ("__meta_ecs_subnet_id", (isOnOwnInterface ? interface["subnetId"] : host?.subnetID) ?? ""),
      ("__meta_ecs_cluster", cluster["clusterName"]?.text ?? ""),
      ("__meta_ecs_ec2_instance_id", host?.id ?? ""), ("__meta_ecs_ec2_instance_type", host?.type ?? ""),
      ("__meta_ecs_ec2_instance_private_ip", host?.privateAddress ?? ""),
      ("__meta_ecs_ec2_instance_public_ip", host?.publicAddress ?? ""),
    ]
    labels += Self.taskFields.map { ($0.0, task[$0.1]?.text ?? "") }
    labels += Self.serviceFields.map { ($0.0, service[$0.1]?.text ?? "") }
    labels += tags(cluster, "cluster") + tags(service, "service") + tags(task, "task")
    labels += host?.tags(prefix: "__meta_ecs_tag_ec2_") ?? []
    return labels.filter { !$0.1.isEmpty }.map { ConfiguredLabel(name: $0.0, value: $0.1) }
  }

  private func tags(_ resource: JSONValue, _ kind: String) -> [(String, String)] {
    resource.elements("tags").compactMap { tag in
      tag["key"]?.text.flatMap { key in
        tag["value"]?.text.map { ("__meta_ecs_tag_\(kind)_" + labelName(key), $0) }
      }
    }
  }
}
