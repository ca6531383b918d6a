// Role `endpointslice`: as `endpoints`, from the objects that took their place.

import Bytes
import Configuration

struct EndpointSlice: TargetObject {
  static let resource = KubernetesResource.endpointslices
  static let sourcePrefix = "endpointslice"
  private static let serviceLabel = "kubernetes.io/service-name"

  struct Endpoint: Sendable {
    var addresses: [String] = []
    /// Nil where nothing is said.
    var ready: Bool?
    var serving: Bool?
    var terminating: Bool?
    var hostname: String?
    var nodeName: String?
    var zone: String?
    var target: TargetReference?
    var topology: [(name: String, value: String)] = []
  }

  var metadata = ObjectMetadata()
  var addressType = ""
  var endpoints: [Endpoint] = []
  var ports: [ObjectPort] = []

  // MARK: JSON

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") {
        metadata = try ObjectMetadata(&json)
      } else if json.isMember("addressType") {
        addressType = try json.string()
      } else if json.isMember("endpoints") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { endpoints.append(try Self.endpoint(&json)) }
      } else if json.isMember("ports") {
        ports += try json.ports(number: "port")
      } else {
        try json.skip()
      }
    }
  }

  @_lifetime(json: copy json)
  private static func endpoint(_ json: inout JSONReader) throws(JSONValue.Fault) -> Endpoint {
    var endpoint = Endpoint()
    guard try json.beginObject() else { return endpoint }
    while try json.nextMember() {
      if json.isMember("addresses") {
        endpoint.addresses = try json.textList()
      } else if json.isMember("conditions") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("ready") {
            endpoint.ready = try json.bool()
          } else if json.isMember("serving") {
            endpoint.serving = try json.bool()
          } else if json.isMember("terminating") {
            endpoint.terminating = try json.bool()
          } else {
            try json.skip()
          }
        }
      } else if json.isMember("hostname") {
        endpoint.hostname = try json.optionalString()
      } else if json.isMember("nodeName") {
        endpoint.nodeName = try json.optionalString()
      } else if json.isMember("zone") {
        endpoint.zone = try json.optionalString()
      } else if json.isMember("targetRef") {
        endpoint.target = json.skipNull() ? nil : try TargetReference(&json)
      } else if json.isMember("deprecatedTopology") {
        endpoint.topology = try json.texts()
      } else {
        try json.skip()
      }
    }
    return endpoint
  }

  // MARK: Labels

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(
      source: Self.source(reference), targets: [],
      labels: [
        ConfiguredLabel(name: MetaLabel.namespace, value: metadata.namespace),
        ConfiguredLabel(name: "__meta_kubernetes_endpointslice_address_type", value: addressType),
        ConfiguredLabel(name: "__meta_kubernetes_endpointslice_name", value: metadata.name),
      ])
    context.append(metadata, of: .endpointslice, to: &group.labels)
    if let name = metadata.label(Self.serviceLabel), let service = context.service(metadata.namespace, name) {
      group.labels += service.labels(context)
    }
    context.attachNamespace(metadata.namespace, to: &group.labels)
    var pods = BackingPods()
    for endpoint in endpoints {
      for port in ports {
        for address in endpoint.addresses {
          group.targets.append(target(address, endpoint, port, &pods, context))
        }
      }
    }
    group.targets += pods.otherTargets(context)
    return group
  }

  private func target(
    _ address: String, _ endpoint: Endpoint, _ port: ObjectPort, _ pods: inout BackingPods, _ context: TargetContext
  ) -> [ConfiguredLabel] {
    let flag = { (value: Bool?) in value.map { $0 ? "true" : "false" } }
    var target = [
      ConfiguredLabel(
        name: MetaLabel.address, value: port.number == nil ? address : hostAndPort(address, port.number ?? 0))
    ]
    let optional = [
      ("__meta_kubernetes_endpointslice_port_name", port.name),
      ("__meta_kubernetes_endpointslice_port_protocol", port.protocol),
      ("__meta_kubernetes_endpointslice_port", port.number.map { "\($0)" }),
      ("__meta_kubernetes_endpointslice_port_app_protocol", port.appProtocol),
      ("__meta_kubernetes_endpointslice_endpoint_conditions_ready", flag(endpoint.ready)),
      ("__meta_kubernetes_endpointslice_endpoint_conditions_serving", flag(endpoint.serving)),
      ("__meta_kubernetes_endpointslice_endpoint_conditions_terminating", flag(endpoint.terminating)),
      ("__meta_kubernetes_endpointslice_endpoint_hostname", endpoint.hostname),
      ("__meta_kubernetes_endpointslice_address_target_kind", endpoint.target?.kind),
      ("__meta_kubernetes_endpointslice_address_target_name", endpoint.target?.name),
      ("__meta_kubernetes_endpointslice_endpoint_node_name", endpoint.nodeName),
      ("__meta_kubernetes_endpointslice_endpoint_zone", endpoint.zone),
    ]
    for case (let name, let value?) in optional { target.append(ConfiguredLabel(name: name, value: value)) }
    for entry in endpoint.topology {
      let tail = labelName(entry.name)
      target.append(
        ConfiguredLabel(
          name: "__meta_kubernetes_endpointslice_endpoint_topology_\(tail)", value: entry.value))
      target.append(
        ConfiguredLabel(name: "__meta_kubernetes_endpointslice_endpoint_topology_present_\(tail)", value: "true"))
    }
    context.attachNode(endpoint.target?.nodeName ?? endpoint.nodeName, to: &target)
    if let pod = context.pod(endpoint.target) { pods.add(pod, port: port.number, to: &target, context) }
    return target
  }
}
