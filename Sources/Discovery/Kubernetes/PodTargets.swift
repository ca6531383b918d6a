// Role `pod`: a target for each port of each container of a pod, and one for a container without ports.

import Bytes
import Configuration

struct Pod: TargetObject {
  static let resource = KubernetesResource.pods
  static let sourcePrefix = "pod"

  struct Container: Sendable {
    var name = ""
    var image = ""
    var ports: [ObjectPort] = []
    var isInit = false
    /// Of the container runtime; empty before the container runs.
    var id = ""
  }

  var metadata = ObjectMetadata()
  var nodeName = ""
  /// Those that run first, to set up the pod, are the last.
  var containers: [Container] = []
  var phase = ""
  var ip = ""
  var hostIP = ""
  var ready = "unknown"

  // MARK: JSON

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    // The IDs are of the status, which may come first.
    var ids: [(String, String)] = []
    var initIDs: [(String, String)] = []
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("metadata") {
        metadata = try ObjectMetadata(&json)
      } else if json.isMember("spec") {
        try readSpec(&json)
      } else if json.isMember("status") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("phase") {
            phase = try json.string()
          } else if json.isMember("podIP") {
            ip = try json.string()
          } else if json.isMember("hostIP") {
            hostIP = try json.string()
          } else if json.isMember("conditions") {
            if let status = try json.pairs("type", "status").first(where: { $0.0 == "Ready" })?.1 {
              ready = status.lowercased()
            }
          } else if json.isMember("containerStatuses") {
            ids = try json.pairs("name", "containerID")
          } else if json.isMember("initContainerStatuses") {
            initIDs = try json.pairs("name", "containerID")
          } else {
            try json.skip()
          }
        }
      } else {
        try json.skip()
      }
    }
    for index in containers.indices {
      let known = containers[index].isInit ? initIDs : ids
      containers[index].id = known.first { $0.0 == containers[index].name }?.1 ?? ""
    }
  }

  @_lifetime(json: copy json)
  private mutating func readSpec(_ json: inout JSONReader) throws(JSONValue.Fault) {
    var initContainers: [Container] = []
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("nodeName") {
        nodeName = try json.string()
      } else if json.isMember("containers") {
        containers = try Self.containers(&json, areInit: false)
      } else if json.isMember("initContainers") {
        initContainers = try Self.containers(&json, areInit: true)
      } else {
        try json.skip()
      }
    }
    containers += initContainers
  }

  @_lifetime(json: copy json)
  private static func containers(_ json: inout JSONReader, areInit: Bool) throws(JSONValue.Fault) -> [Container] {
    var containers: [Container] = []
    guard try json.beginArray() else { return containers }
    while try json.nextElement() {
      var container = Container(isInit: areInit)
      guard try json.beginObject() else { continue }
      while try json.nextMember() {
        if json.isMember("name") {
          container.name = try json.string()
        } else if json.isMember("image") {
          container.image = try json.string()
        } else if json.isMember("ports") {
          container.ports += try json.ports(number: "containerPort")
        } else {
          try json.skip()
        }
      }
      containers.append(container)
    }
    return containers
  }

  // MARK: Labels

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(source: Self.source(reference), targets: [], labels: [])
    // A pod that starts, or that was evicted, has no address.
    guard !ip.isEmpty else { return group }
    group.labels = labels(context)
    group.labels.append(ConfiguredLabel(name: MetaLabel.namespace, value: metadata.namespace))
    context.attachNode(nodeName, to: &group.labels)
    context.attachNamespace(metadata.namespace, to: &group.labels)
    context.attachOwners(of: metadata, to: &group.labels)
    for container in containers {
      let ports = container.ports.isEmpty ? [nil] : container.ports.map(Optional.some)
      for port in ports {
        group.targets.append(target(container, port) + [ConfiguredLabel(name: Self.idLabel, value: container.id)])
      }
    }
    return group
  }

  /// The labels that all targets of the pod share, in every role.
  func labels(_ context: TargetContext) -> [ConfiguredLabel] {
    var labels = [
      ConfiguredLabel(name: "__meta_kubernetes_pod_name", value: metadata.name),
      ConfiguredLabel(name: "__meta_kubernetes_pod_ip", value: ip),
      ConfiguredLabel(name: "__meta_kubernetes_pod_ready", value: ready),
      ConfiguredLabel(name: "__meta_kubernetes_pod_phase", value: phase),
      ConfiguredLabel(name: "__meta_kubernetes_pod_node_name", value: nodeName),
      ConfiguredLabel(name: "__meta_kubernetes_pod_host_ip", value: hostIP),
      ConfiguredLabel(name: "__meta_kubernetes_pod_uid", value: metadata.uid),
    ]
    if let controller = metadata.controller {
      labels.append(ConfiguredLabel(name: "__meta_kubernetes_pod_controller_kind", value: controller.kind))
      labels.append(ConfiguredLabel(name: "__meta_kubernetes_pod_controller_name", value: controller.name))
    }
    context.append(metadata, of: .pod, to: &labels)
    return labels
  }

  private static let idLabel = "__meta_kubernetes_pod_container_id"

  /// The labels of a port's target, or of that of a container without ports.
  func target(_ container: Container, _ port: ObjectPort?) -> [ConfiguredLabel] {
    let address = port.map { hostAndPort(ip, $0.number ?? 0) } ?? ip
    return [ConfiguredLabel(name: MetaLabel.address, value: address)]
      + Self.labels(container, port, protocol: port?.protocol)
  }

  static func labels(
    _ container: Container, _ port: ObjectPort?, protocol: String?
  ) -> [ConfiguredLabel] {
    var labels = [
      ConfiguredLabel(name: "__meta_kubernetes_pod_container_name", value: container.name),
      ConfiguredLabel(name: "__meta_kubernetes_pod_container_image", value: container.image),
      ConfiguredLabel(name: "__meta_kubernetes_pod_container_init", value: container.isInit ? "true" : "false"),
    ]
    if let port {
      labels += [
        ConfiguredLabel(name: "__meta_kubernetes_pod_container_port_name", value: port.name ?? ""),
        ConfiguredLabel(name: "__meta_kubernetes_pod_container_port_number", value: "\(port.number ?? 0)"),
        ConfiguredLabel(name: "__meta_kubernetes_pod_container_port_protocol", value: `protocol` ?? ""),
      ]
    }
    return labels
  }
}

/// The parts of labels that several roles have.
enum MetaLabel {
  static let address = "__address__"
  static let namespace = "__meta_kubernetes_namespace"
}
