import Bytes
import Configuration
import TestSupport
import Testing

@testable import Discovery

func object<Object: KubernetesObject>(_ type: Object.Type, _ text: String) throws -> Object {
  let bytes = Array(text.utf8)
  var json = JSONReader(bytes.span.bytes, pool: StringPool())
  return try Object(&json)
}

/// The labels of each target, those of the group included, without the prefix that most have.
private func targets(_ group: TargetGroup) -> [[String: String]] {
  group.targets.map { target in
    var labels: [String: String] = [:]
    for label in target + group.labels where labels[short(label.name)] == nil {
      labels[short(label.name)] = label.value
    }
    return labels
  }
}

private func short(_ name: String) -> String {
  name.hasPrefix("__meta_kubernetes_") ? String(name.dropFirst("__meta_kubernetes_".count)) : name
}

let podText = #"""
  {"kind": "Pod", "metadata": {"name": "db-0", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
    "labels": {"app.kubernetes.io/name": "db"}, "annotations": {"note": "caf\u00e9 \"x\""},
    "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "StatefulSet", "name": "db", "controller": true}],
    "managedFields": [{"fieldsV1": {"f:spec": {"k:{\"name\":\"]}\"}": {}}}}]},
   "status": {"phase": "Running", "podIP": "fd00::7", "hostIP": "192.0.2.9",
    "conditions": [{"type": "Initialized", "status": "False"}, {"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "db", "containerID": "c://1"}],
    "initContainerStatuses": [{"name": "setup", "containerID": "c://2"}]},
   "spec": {"nodeName": "n1", "volumes": [[], {}],
    "initContainers": [{"name": "setup", "image": "setup:1", "ports": [{"containerPort": 5432, "name": "init"}]}],
    "containers": [{"name": "db", "image": "db:9", "ports": [
       {"containerPort": 5432, "name": "sql", "protocol": "TCP"}, {"containerPort": 9187, "protocol": "TCP"}]},
     {"name": "side", "image": "side:2"}]}}
  """#

private let nodeText = #"""
  {"metadata": {"name": "n1", "labels": {"zone": "a"}, "annotations": {"k/x": "1"}},
   "spec": {"providerID": "cloud:///i-1"}, "status": {
    "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "ExternalIP", "address": "203.0.113.1"},
     {"type": "ExternalIP", "address": "203.0.113.2"}],
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "Unknown"}],
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}
  """#

@Test func aPodHasATargetForEachPort() throws {
  let found = targets(try object(Pod.self, podText).group(TargetContext()))
  #expect(found.map { $0["__address__"] } == ["[fd00::7]:5432", "[fd00::7]:9187", "fd00::7", "[fd00::7]:5432"])
  #expect(found.map { $0["pod_container_name"] } == ["db", "db", "side", "setup"])
  #expect(found.map { $0["pod_container_init"] } == ["false", "false", "false", "true"])
  #expect(found.map { $0["pod_container_id"] } == ["c://1", "c://1", "", "c://2"])
  #expect(found.map { $0["pod_container_port_name"] } == ["sql", "", nil, "init"])
  #expect(
    found[0] == [
      "__address__": "[fd00::7]:5432", "namespace": "shop", "pod_name": "db-0", "pod_uid": "u-1", "pod_ip": "fd00::7",
      "pod_host_ip": "192.0.2.9", "pod_node_name": "n1", "pod_phase": "Running", "pod_ready": "true",
      "pod_controller_kind": "StatefulSet", "pod_controller_name": "db", "pod_label_app_kubernetes_io_name": "db",
      "pod_labelpresent_app_kubernetes_io_name": "true", "pod_annotation_note": "café \"x\"",
      "pod_annotationpresent_note": "true", "pod_container_name": "db", "pod_container_image": "db:9",
      "pod_container_id": "c://1", "pod_container_init": "false", "pod_container_port_name": "sql",
      "pod_container_port_number": "5432", "pod_container_port_protocol": "TCP",
    ])
}

@Test func aPodWithoutAnAddressHasNoTargets() throws {
  let pod = try object(Pod.self, #"{"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{}]}}"#)
  let group = pod.group(TargetContext())
  #expect(group.source == "pod/n/p" && group.targets.isEmpty && pod.ready == "unknown")
}

@Test func aNodeIsItsKubelet() throws {
  let group = try object(Node.self, nodeText).group(TargetContext())
  #expect(group.source == "node/n1")
  #expect(
    targets(group) == [
      [
        "__address__": "203.0.113.1:10250", "instance": "n1", "node_name": "n1", "node_provider_id": "cloud:///i-1",
        "node_address_Hostname": "n1", "node_address_ExternalIP": "203.0.113.1", "node_label_zone": "a",
        "node_labelpresent_zone": "true", "node_annotation_k_x": "1", "node_annotationpresent_k_x": "true",
        "node_condition_Ready": "true", "node_condition_DiskPressure": "unknown",
      ]
    ])
  #expect(try object(Node.self, #"{"metadata": {"name": "n2"}}"#).group(TargetContext()).targets.isEmpty)
}

@Test(arguments: [
  (#""type": "ClusterIP", "clusterIP": "None""#, ["service_type": "ClusterIP", "service_cluster_ip": "None"]),
  (
    #""type": "ExternalName", "externalName": "x.test", "clusterIP": "gone""#,
    ["service_type": "ExternalName", "service_external_name": "x.test"]
  ),
  (
    #""type": "LoadBalancer", "clusterIP": "10.0.0.1", "loadBalancerIP": "192.0.2.1""#,
    [
      "service_type": "LoadBalancer", "service_cluster_ip": "10.0.0.1", "service_loadbalancer_ip": "192.0.2.1",
    ]
  ),
])
func aServiceHasATargetForEachPort(_ spec: String, _ own: [String: String]) throws {
  let service = try object(
    Service.self,
    #"{"metadata": {"name": "s", "namespace": "n"}, "spec": {\#(spec), "ports": [{"name": "web", "port": 80}, {"port": 81, "protocol": "UDP"}]}}"#
  )
  let found = targets(service.group(TargetContext()))
  #expect(found.map { $0["__address__"] } == ["s.n.svc:80", "s.n.svc:81"])
  #expect(found[1]["service_port_protocol"] == "UDP" && found[1]["service_port_number"] == "81")
  for (name, value) in own { #expect(found[0][name] == value) }
  #expect(found[0].keys.filter { $0.hasPrefix("service_") }.count == own.count + 4)
}

@Test func anIngressHasATargetForEachPath() throws {
  let ingress = try object(
    Ingress.self,
    #"""
    {"metadata": {"name": "i", "namespace": "n"}, "spec": {"ingressClassName": "c", "tls": [{"hosts": ["*.a.test"]}],
     "rules": [{"host": "x.a.test", "http": {"paths": [{"path": "/p"}, {}]}}, {"host": "a.test"}, {"host": "y.x.a.test",
      "http": {"paths": []}}]}}
    """#)
  let found = targets(ingress.group(TargetContext()))
  #expect(found.map { $0["__address__"] } == ["x.a.test", "x.a.test", "a.test"])
  #expect(found.map { $0["ingress_scheme"] } == ["https", "https", "http"])
  #expect(found.map { $0["ingress_path"] } == ["/p", "/", "/"])
  #expect(found[0]["ingress_class_name"] == "c" && found[0]["ingress_host"] == "x.a.test")
}

private let serviceText = #"{"metadata": {"name": "db", "namespace": "shop", "labels": {"s": "1"}}}"#
private let namespaceText = #"{"metadata": {"name": "shop", "labels": {"team": "t"}}}"#

private func context() throws -> TargetContext {
  let pod = try object(Pod.self, podText)
  let service = try object(Service.self, serviceText)
  let node = try object(Node.self, nodeText)
  let namespace = try object(Namespace.self, namespaceText)
  return TargetContext(
    pods: { $0.name == "db-0" ? pod : nil }, services: { $0.name == "db" ? service : nil },
    nodes: { $0.name == "n1" ? node : nil }, namespaces: { $0.name == "shop" ? namespace : nil })
}

@Test func endpointsHaveLabelsOfServicePodNodeAndNamespace() throws {
  let endpoints = try object(
    Endpoints.self,
    #"""
    {"metadata": {"name": "db", "namespace": "shop", "labels": {"e": "1"}}, "subsets": [{
      "notReadyAddresses": [{"ip": "192.0.2.8", "hostname": "h"}],
      "addresses": [{"ip": "192.0.2.7", "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "db-0", "namespace": "shop"}}],
      "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}, {"addresses": [{"ip": "192.0.2.6",
      "targetRef": {"kind": "Node", "name": "n1"}}], "ports": [{"port": 1}]}]}
    """#)
  let context = try context()
  let found = targets(endpoints.group(context))
  // The last is the pod's port that no endpoint has.
  #expect(
    found.map { $0["__address__"] } == ["192.0.2.7:5432", "192.0.2.8:5432", "192.0.2.6:1", "[fd00::7]:9187"])
  #expect(found.map { $0["endpoint_ready"] } == ["true", "false", "true", nil])
  #expect(found.map { $0["node_name"] } == ["n1", nil, "n1", nil])
  #expect(found[0]["pod_name"] == "db-0" && found[1]["pod_name"] == nil && found[1]["endpoint_hostname"] == "h")
  // Of containers with the same port the last counts.
  #expect(found[0]["pod_container_name"] == "setup" && found[0]["pod_container_init"] == "true")
  for target in found {
    #expect(target["service_label_s"] == "1" && target["endpoints_label_e"] == "1")
    #expect(target["namespace_label_team"] == "t" && target["namespace_labelpresent_team"] == "true")
  }
  let used = context.takeReferences().map { "\($0.resource) \($0.namespace)/\($0.name)" }.sorted()
  #expect(used == ["namespaces /shop", "nodes /n1", "pods shop/db-0", "services shop/db"])
}

@Test func endpointSlicesHaveConditionsAndTopology() throws {
  let slice = try object(
    EndpointSlice.self,
    #"""
    {"addressType": "IPv4", "metadata": {"name": "db-x", "namespace": "shop",
      "labels": {"kubernetes.io/service-name": "db"}},
     "endpoints": [{"addresses": ["192.0.2.7"], "conditions": {"ready": true, "terminating": null}, "zone": "z",
       "nodeName": "n1", "hostname": "h", "deprecatedTopology": {"a/b": "c"},
       "targetRef": {"kind": "Pod", "name": "gone", "namespace": "shop"}}, {"addresses": null, "targetRef": null}],
     "ports": [{"name": "sql", "port": 5432, "protocol": "TCP", "appProtocol": "pg"}, {"name": "none"}]}
    """#)
  let found = targets(slice.group(try context()))
  #expect(found.map { $0["__address__"] } == ["192.0.2.7:5432", "192.0.2.7"])
  let first = found[0]
  let expected = [
    "endpointslice_name": "db-x", "endpointslice_address_type": "IPv4", "endpointslice_port": "5432",
    "endpointslice_port_name": "sql", "endpointslice_port_protocol": "TCP", "endpointslice_port_app_protocol": "pg",
    "endpointslice_endpoint_conditions_ready": "true", "endpointslice_endpoint_hostname": "h",
    "endpointslice_endpoint_node_name": "n1", "endpointslice_endpoint_zone": "z",
    "endpointslice_endpoint_topology_a_b": "c", "endpointslice_endpoint_topology_present_a_b": "true",
    "endpointslice_address_target_kind": "Pod", "endpointslice_address_target_name": "gone", "service_label_s": "1",
    "node_label_zone": "a",
  ]
  for (name, value) in expected { #expect(first[name] == value, "\(name)") }
  #expect(first["endpointslice_endpoint_conditions_terminating"] == nil && first["pod_name"] == nil)
}

/// Damaged objects: labels or a fault, never a crash.
@Test func takesOrRefusesDamagedObjects() throws {
  var random = SeededGenerator(11)
  for _ in 0..<fuzzRounds {
    let bytes = mutated(Array(podText.utf8), with: &random)
    var json = JSONReader(bytes.span.bytes)
    guard let pod = try? Pod(&json) else { continue }
    let group = pod.group(TargetContext())
    #expect(group.targets.count <= 8)
  }
}

@Test func aPodNamesThoseWhoMadeIt() throws {
  func pod(_ kind: String, _ name: String) throws -> Pod {
    let owner = #"{"kind": "\#(kind)", "name": "\#(name)", "controller": true}"#
    return try object(
      Pod.self,
      #"{"metadata": {"name": "p", "namespace": "n", "ownerReferences": [\#(owner)]}, "#
        + #""status": {"podIP": "10.0.0.1"}, "spec": {"containers": [{"name": "c"}]}}"#)
  }
  func owned<Object: PodOwner>(_ type: Object.Type, _ name: String, _ kind: String) throws -> Object {
    try object(
      type,
      #"{"spec": {}, "metadata": {"name": "\#(name)", "namespace": "n", "labels": {"a": "b"}, "ownerReferences": "#
        + #"[{"kind": "\#(kind)", "name": "\#(name)-owner", "controller": true}]}}"#)
  }
  var owners = OwnerLookups()
  let sets = try [owned(ReplicaSet.self, "web", "Deployment"), owned(ReplicaSet.self, "other", "Rollout")]
  let jobs = try [owned(BatchJob.self, "backup", "CronJob")]
  #expect(sets[0].metadata.labels.isEmpty)
  owners.replicaSets = { reference in sets.first { $0.metadata.name == reference.name } }
  owners.attachesJob = true
  owners.jobs = { reference in jobs.first { $0.metadata.name == reference.name } }
  func names(_ kind: String, _ name: String, _ owners: OwnerLookups) throws -> [String] {
    let context = TargetContext(owners: owners)
    let labels = targets(try pod(kind, name).group(context))[0]
    return ["deployment", "job", "cronjob"].map { labels["pod_\($0)_name"] ?? "" }
  }
  #expect(try names("ReplicaSet", "web", owners) == ["web-owner", "", ""])
  #expect(try names("ReplicaSet", "other", owners) == ["", "", ""])
  #expect(try names("ReplicaSet", "unknown", owners) == ["", "", ""])
  #expect(try names("Job", "backup", owners) == ["", "backup", "backup-owner"])
  #expect(try names("Job", "once", owners) == ["", "once", ""])
  #expect(try names("ReplicaSet", "web", OwnerLookups()) == ["", "", ""])
  #expect(try names("Job", "backup", OwnerLookups()) == ["", "", ""])
}
