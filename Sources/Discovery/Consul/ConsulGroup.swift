// The answer of /v1/health/service/NAME as a target group
// (https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-service).

import Bytes
import Configuration

enum ConsulGroup {
  /// The instances of a service; what has no place in the answer is empty.
  static func make(
    _ service: String, _ datacenter: String, _ answer: JSONValue, tagSeparator: String
  ) -> TargetGroup {
    var instances: [JSONValue] = []
    if case .array(let entries) = answer { instances = entries }
    return TargetGroup(
      source: service, targets: instances.map { labels(of: $0, tagSeparator) },
      labels: [
        ConfiguredLabel(name: "__meta_consul_service", value: service),
        ConfiguredLabel(name: "__meta_consul_dc", value: datacenter),
      ])
  }

  private static func labels(of instance: JSONValue, _ separator: String) -> [ConfiguredLabel] {
    let node = instance["Node"] ?? .null
    let service = instance["Service"] ?? .null
    let nodeAddress = node.text("Address")
    let serviceAddress = service.text("Address")
    let port = service.number("Port")
    let tags = service["Tags"]?.texts ?? []
    var labels = [
      ("__address__", hostAndPort(serviceAddress.isEmpty ? nodeAddress : serviceAddress, port)),
      ("__meta_consul_address", nodeAddress), ("__meta_consul_node", node.text("Node")),
      ("__meta_consul_namespace", service.text("Namespace")), ("__meta_consul_partition", service.text("Partition")),
      // With separators around them, so that a rule's pattern needs not care for a tag's place.
      ("__meta_consul_tags", separator + tags.joined(separator: separator) + separator),
      ("__meta_consul_service_address", serviceAddress), ("__meta_consul_service_port", "\(port)"),
      ("__meta_consul_service_id", service.text("ID")),
      ("__meta_consul_health", health(instance["Checks"] ?? .null)),
    ]
    labels += node.texts("Meta", prefix: "__meta_consul_metadata_")
    labels += service.texts("Meta", prefix: "__meta_consul_service_metadata_")
    labels += node.texts("TaggedAddresses", prefix: "__meta_consul_tagged_address_")
    return labels.filter { !$0.1.isEmpty }.map { ConfiguredLabel(name: $0, value: $1) }
  }

  /// The worst of all checks.
  private static func health(_ checks: JSONValue) -> String {
    guard case .array(let checks) = checks else { return "passing" }
    let ranks = ["passing", "warning", "critical", "maintenance"]
    let worst = checks.map { check in
      let id = check.text("CheckID")
      if id == "_node_maintenance" || id.hasPrefix("_service_maintenance:") { return 3 }
      return ranks.firstIndex(of: check.text("Status")) ?? 0
    }.max()
    return ranks[worst ?? 0]
  }
}

extension JSONValue {
  /// The text of a member; empty when there is none.
  fileprivate func text(_ name: String) -> String {
    if case .string(let text) = self[name] { text } else { "" }
  }

  fileprivate func number(_ name: String) -> Int {
    if case .number(let number) = self[name] { Int(exactly: number) ?? 0 } else { 0 }
  }

  /// The texts of a member that is an object, by names that labels may have.
  fileprivate func texts(_ name: String, prefix: String) -> [(String, String)] {
    guard case .object(let members) = self[name] else { return [] }
    return members.compactMap { member in
      guard case .string(let text) = member.value else { return nil }
      return (prefix + labelName(member.name), text)
    }
  }
}
