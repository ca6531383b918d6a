// Role `node`: a target for the kubelet of each node.

import Bytes
import Configuration

struct Node: TargetObject {
  static let resource = KubernetesResource.nodes
  static let sourcePrefix = "node"
  static let nameLabel = "__meta_kubernetes_node_name"

  /// Which address is the kubelet's: the first of these that the node has.
  private static let preferredAddresses = [
    "InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname",
  ]

  var metadata = ObjectMetadata()
  var providerID = ""
  var addresses: [(type: String, address: String)] = []
  var conditions: [(type: String, status: String)] = []
  var kubeletPort: Int64 = 0

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") {
        metadata = try ObjectMetadata(&json)
      } else if json.isMember("spec") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("providerID") { providerID = try json.string() } else { try json.skip() }
        }
      } else if json.isMember("status") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("addresses") {
            addresses = try json.pairs("type", "address")
          } else if json.isMember("conditions") {
            conditions = try json.pairs("type", "status")
          } else if json.isMember("daemonEndpoints") {
            kubeletPort = try Self.kubeletPort(&json)
          } else {
            try json.skip()
          }
        }
      } else {
        try json.skip()
      }
    }
  }

  @_lifetime(json: copy json)
  private static func kubeletPort(_ json: inout JSONReader) throws(JSONValue.Fault) -> Int64 {
    var port: Int64 = 0
    guard try json.beginObject() else { return port }
    while try json.nextMember() {
      guard json.isMember("kubeletEndpoint") else {
        try json.skip()
        continue
      }
      guard try json.beginObject() else { continue }
      while try json.nextMember() {
        if json.isMember("Port") { port = try json.integer() ?? 0 } else { try json.skip() }
      }
    }
    return port
  }

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(source: Self.source(reference), targets: [], labels: [])
    let address = Self.preferredAddresses.lazy.compactMap { type in addresses.first { $0.type == type } }.first
    guard let address else { return group }
    group.labels = [
      ConfiguredLabel(name: Self.nameLabel, value: metadata.name),
      ConfiguredLabel(name: "__meta_kubernetes_node_provider_id", value: providerID),
    ]
    for condition in conditions {
      group.labels.append(
        ConfiguredLabel(
          name: "__meta_kubernetes_node_condition_\(labelName(condition.type))",
          value: condition.status.lowercased()))
    }
    context.append(metadata, of: .node, to: &group.labels)
    var target = [
      ConfiguredLabel(name: MetaLabel.address, value: hostAndPort(address.address, kubeletPort)),
      ConfiguredLabel(name: "instance", value: metadata.name),
    ]
    // The first address of each type; of two labels with one name the first counts.
    for entry in addresses {
      target.append(
        ConfiguredLabel(
          name: "__meta_kubernetes_node_address_\(labelName(entry.type))", value: entry.address))
    }
    group.targets = [target]
    return group
  }
}

/// Not a role: its labels are attached to the targets in it.
struct Namespace: KubernetesObject {
  static let resource = KubernetesResource.namespaces
  var metadata = ObjectMetadata()

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") { metadata = try ObjectMetadata(&json) } else { try json.skip() }
    }
  }
}
