// Role `service`: a target for each port of a service, by its name in the cluster's DNS.

import Bytes
import Configuration

struct Service: TargetObject {
  static let resource = KubernetesResource.services
  static let sourcePrefix = "svc"

  var metadata = ObjectMetadata()
  var type = ""
  /// `None` for a headless service.
  var clusterIP = ""
  var loadBalancerIP = ""
  var externalName = ""
  var ports: [ObjectPort] = []

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") {
        metadata = try ObjectMetadata(&json)
      } else if json.isMember("spec") {
        try readSpec(&json)
      } else {
        try json.skip()
      }
    }
  }

  @_lifetime(json: copy json)
  private mutating func readSpec(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("type") {
        type = try json.string()
      } else if json.isMember("clusterIP") {
        clusterIP = try json.string()
      } else if json.isMember("loadBalancerIP") {
        loadBalancerIP = try json.string()
      } else if json.isMember("externalName") {
        externalName = try json.string()
      } else if json.isMember("ports") {
        ports += try json.ports(number: "port")
      } else {
        try json.skip()
      }
    }
  }

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(source: Self.source(reference), targets: [], labels: labels(context))
    context.attachNamespace(metadata.namespace, to: &group.labels)
    for port in ports {
      var target = [
        ConfiguredLabel(
          name: MetaLabel.address,
          value: hostAndPort("\(metadata.name).\(metadata.namespace).svc", port.number ?? 0)),
        ConfiguredLabel(name: "__meta_kubernetes_service_port_name", value: port.name ?? ""),
        ConfiguredLabel(name: "__meta_kubernetes_service_port_number", value: "\(port.number ?? 0)"),
        ConfiguredLabel(name: "__meta_kubernetes_service_port_protocol", value: port.protocol ?? ""),
        ConfiguredLabel(name: "__meta_kubernetes_service_type", value: type),
      ]
      if type == "ExternalName" {
        target.append(ConfiguredLabel(name: "__meta_kubernetes_service_external_name", value: externalName))
      } else {
        target.append(ConfiguredLabel(name: "__meta_kubernetes_service_cluster_ip", value: clusterIP))
      }
      if type == "LoadBalancer" {
        target.append(ConfiguredLabel(name: "__meta_kubernetes_service_loadbalancer_ip", value: loadBalancerIP))
      }
      group.targets.append(target)
    }
    return group
  }

  /// The labels that targets of the service's endpoints have, too.
  func labels(_ context: TargetContext) -> [ConfiguredLabel] {
    var labels = [
      ConfiguredLabel(name: MetaLabel.namespace, value: metadata.namespace),
      ConfiguredLabel(name: "__meta_kubernetes_service_name", value: metadata.name),
    ]
    context.append(metadata, of: .service, to: &labels)
    return labels
  }
}
