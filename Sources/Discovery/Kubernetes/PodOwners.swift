// Who made a pod: a Deployment by way of a ReplicaSet, a Job, or a CronJob by way of a Job. What stands between is watched
// for its owner only.

import Bytes
import Configuration

/// An object of which nothing but its controller counts.
protocol PodOwner: KubernetesObject {
  init(_ metadata: ObjectMetadata)
}

extension PodOwner {
  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    var metadata = ObjectMetadata()
    guard try json.beginObject() else {
      self.init(metadata)
      return
    }
    while try json.nextMember() {
      if json.isMember("metadata") { metadata = try ObjectMetadata(&json) } else { try json.skip() }
    }
    (metadata.labels, metadata.annotations) = ([], [])
    self.init(metadata)
  }
}

struct ReplicaSet: PodOwner {
  static let resource = KubernetesResource.replicasets
  let metadata: ObjectMetadata
  init(_ metadata: ObjectMetadata) { self.metadata = metadata }
}

struct BatchJob: PodOwner {
  static let resource = KubernetesResource.jobs
  let metadata: ObjectMetadata
  init(_ metadata: ObjectMetadata) { self.metadata = metadata }
}

/// Which of a pod's owners its targets name.
struct OwnerLookups {
  /// Nil where Deployments are not attached.
  var replicaSets: TargetContext.Lookup<ReplicaSet>?
  var attachesJob = false
  /// Nil where CronJobs are not attached.
  var jobs: TargetContext.Lookup<BatchJob>?
}

extension TargetContext {
  /// Adds the names of those who made a pod, as far as they are attached.
  func attachOwners(of pod: ObjectMetadata, to labels: inout [ConfiguredLabel]) {
    func add(_ kind: String, _ name: String) {
      labels.append(ConfiguredLabel(name: "__meta_kubernetes_pod_\(kind)_name", value: name))
    }
    switch pod.controller {
    case ("ReplicaSet", let name)?:
      let reference = ObjectReference(resource: .replicasets, namespace: pod.namespace, name: name)
      guard let lookup = owners.replicaSets, let owner = find(lookup, reference)?.metadata.controller,
        owner.kind == "Deployment"
      else { return }
      add("deployment", owner.name)
    case ("Job", let name)?:
      if owners.attachesJob { add("job", name) }
      let reference = ObjectReference(resource: .jobs, namespace: pod.namespace, name: name)
      guard let lookup = owners.jobs, let owner = find(lookup, reference)?.metadata.controller, owner.kind == "CronJob"
      else { return }
      add("cronjob", owner.name)
    default: return
    }
  }
}
