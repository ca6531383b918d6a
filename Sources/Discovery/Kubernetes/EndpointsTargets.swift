// Role `endpoints`: a target for each address and port of a service's endpoints, and for the further ports of the pods
// behind them.

import Bytes
import Configuration

struct Endpoints: TargetObject {
  static let resource = KubernetesResource.endpoints
  static let sourcePrefix = "endpoints"

  struct Address: Sendable {
    var ip = ""
    var hostname = ""
    var nodeName: String?
    var target: TargetReference?
    var isReady = true
  }

  struct Subset: Sendable {
    /// Those that are ready come first.
    var addresses: [Address] = []
    var ports: [ObjectPort] = []
  }

  var metadata = ObjectMetadata()
  var subsets: [Subset] = []

  // MARK: JSON

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") {
        metadata = try ObjectMetadata(&json)
      } else if json.isMember("subsets") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { subsets.append(try Self.subset(&json)) }
      } else {
        try json.skip()
      }
    }
  }

  @_lifetime(json: copy json)
  private static func subset(_ json: inout JSONReader) throws(JSONValue.Fault) -> Subset {
    var subset = Subset()
    var notReady: [Address] = []
    guard try json.beginObject() else { return subset }
    while try json.nextMember() {
      if json.isMember("addresses") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { subset.addresses.append(try address(&json, isReady: true)) }
      } else if json.isMember("notReadyAddresses") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { notReady.append(try address(&json, isReady: false)) }
      } else if json.isMember("ports") {
        subset.ports += try json.ports(number: "port")
      } else {
        try json.skip()
      }
    }
    subset.addresses += notReady
    return subset
  }

  @_lifetime(json: copy json)
  private static func address(_ json: inout JSONReader, isReady: Bool) throws(JSONValue.Fault) -> Address {
    var address = Address(isReady: isReady)
    guard try json.beginObject() else { return address }
    while try json.nextMember() {
      if json.isMember("ip") {
        address.ip = try json.string()
      } else if json.isMember("hostname") {
        address.hostname = try json.string()
      } else if json.isMember("nodeName") {
        address.nodeName = try json.optionalString()
      } else if json.isMember("targetRef") {
        address.target = json.skipNull() ? nil : try TargetReference(&json)
      } else {
        try json.skip()
      }
    }
    return address
  }

  // MARK: Labels

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(
      source: Self.source(reference), targets: [],
      labels: [
        ConfiguredLabel(name: MetaLabel.namespace, value: metadata.namespace),
        ConfiguredLabel(name: "__meta_kubernetes_endpoints_name", value: metadata.name),
      ])
    context.append(metadata, of: .endpoints, to: &group.labels)
    if let service = context.service(metadata.namespace, metadata.name) { group.labels += service.labels(context) }
    context.attachNamespace(metadata.namespace, to: &group.labels)
    var pods = BackingPods()
    for subset in subsets {
      for port in subset.ports {
        for address in subset.addresses { group.targets.append(target(address, port, &pods, context)) }
      }
    }
    group.targets += pods.otherTargets(context)
    return group
  }

  private func target(
    _ address: Address, _ port: ObjectPort, _ pods: inout BackingPods, _ context: TargetContext
  ) -> [ConfiguredLabel] {
    var target = [
      ConfiguredLabel(name: MetaLabel.address, value: hostAndPort(address.ip, port.number ?? 0)),
      ConfiguredLabel(name: "__meta_kubernetes_endpoint_port_name", value: port.name ?? ""),
      ConfiguredLabel(name: "__meta_kubernetes_endpoint_port_protocol", value: port.protocol ?? ""),
      ConfiguredLabel(name: "__meta_kubernetes_endpoint_ready", value: address.isReady ? "true" : "false"),
    ]
    let optional = [
      ("__meta_kubernetes_endpoint_address_target_kind", address.target?.kind),
      ("__meta_kubernetes_endpoint_address_target_name", address.target?.name),
      ("__meta_kubernetes_endpoint_node_name", address.nodeName),
      ("__meta_kubernetes_endpoint_hostname", address.hostname),
    ]
    for case (let name, let value?) in optional { target.append(ConfiguredLabel(name: name, value: value)) }
    context.attachNode(address.nodeName ?? address.target?.nodeName, to: &target)
    if let pod = context.pod(address.target) {
      pods.add(pod, port: port.number ?? 0, protocol: port.protocol ?? "", to: &target, context)
    }
    return target
  }
}
