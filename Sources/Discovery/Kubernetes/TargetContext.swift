import Bytes
import Configuration

/// Objects that become targets.
protocol TargetObject: KubernetesObject {
  /// What the name of a group begins with.
  static var sourcePrefix: String { get }

  func group(_ context: TargetContext) -> TargetGroup
}

extension TargetObject {
  /// The name of an object's group: `pod/NAMESPACE/NAME`, `node/NAME`.
  static func source(_ reference: ObjectReference) -> String {
    reference.resource.isOfCluster
      ? "\(sourcePrefix)/\(reference.name)" : "\(sourcePrefix)/\(reference.namespace)/\(reference.name)"
  }

  var reference: ObjectReference {
    ObjectReference(resource: Self.resource, namespace: metadata.namespace, name: metadata.name)
  }
}

/// What groups of targets are made with: the objects that they refer to, and the names of labels.
///
/// Notes which objects were asked for, be they there or not: a group is made anew when one of them changes. Used by one
/// task at a time.
final class TargetContext {
  typealias Lookup<Object> = (ObjectReference) -> Object?

  private let pods: Lookup<Pod>
  private let services: Lookup<Service>
  /// Nil where nodes are not attached.
  private let nodes: Lookup<Node>?
  /// Nil where namespaces are not attached.
  private let namespaces: Lookup<Namespace>?
  let owners: OwnerLookups
  /// Those asked for since the last `takeReferences`.
  private var references: Set<ObjectReference> = []
  private var names = MetaNames()

  init(
    pods: @escaping Lookup<Pod> = { _ in nil }, services: @escaping Lookup<Service> = { _ in nil },
    nodes: Lookup<Node>? = nil, namespaces: Lookup<Namespace>? = nil, owners: OwnerLookups = OwnerLookups()
  ) {
    self.pods = pods
    self.services = services
    self.nodes = nodes
    self.namespaces = namespaces
    self.owners = owners
  }

  func takeReferences() -> Set<ObjectReference> {
    defer { references = [] }
    return references
  }

  /// The pod that an endpoint stands for.
  func pod(_ target: TargetReference?) -> Pod? {
    guard let target, target.kind == "Pod" else { return nil }
    return find(pods, ObjectReference(resource: .pods, namespace: target.namespace, name: target.name))
  }

  func service(_ namespace: String, _ name: String) -> Service? {
    find(services, ObjectReference(resource: .services, namespace: namespace, name: name))
  }

  /// Adds the labels of a node, where nodes are attached.
  func attachNode(_ name: String?, to labels: inout [ConfiguredLabel]) {
    guard let nodes, let name, !name.isEmpty,
      let node = find(nodes, ObjectReference(resource: .nodes, namespace: "", name: name))
    else { return }
    labels.append(ConfiguredLabel(name: Node.nameLabel, value: node.metadata.name))
    append(node.metadata, of: .node, to: &labels)
  }

  /// Adds the labels of a namespace, where namespaces are attached.
  func attachNamespace(_ name: String, to labels: inout [ConfiguredLabel]) {
    guard let namespaces, !name.isEmpty,
      let namespace = find(namespaces, ObjectReference(resource: .namespaces, namespace: "", name: name))
    else { return }
    append(namespace.metadata, of: .namespace, to: &labels)
  }

  func find<Object>(_ lookup: Lookup<Object>, _ reference: ObjectReference) -> Object? {
    references.insert(reference)
    return lookup(reference)
  }

  /// Adds an object's labels and annotations: each as it is, and that it is there.
  func append(_ metadata: ObjectMetadata, of kind: MetaNames.Kind, to labels: inout [ConfiguredLabel]) {
    for (list, entries) in [(MetaNames.List.label, metadata.labels), (.annotation, metadata.annotations)] {
      for entry in entries {
        let names = names[kind, list, entry.name]
        labels.append(ConfiguredLabel(name: names.value, value: entry.value))
        labels.append(ConfiguredLabel(name: names.isPresent, value: "true"))
      }
    }
  }
}

/// The names of meta labels that are made of names in the cluster. Each is made once: thousands of targets share them.
struct MetaNames {
  enum Kind: String {
    case pod, node, service, endpoints, endpointslice, ingress, namespace
  }

  enum List: String { case label, annotation }

  private struct Key: Hashable {
    let kind: Kind
    let list: List
    let name: String
  }

  /// Who names labels after what changes does not fill the memory.
  private static let limit = 10_000
  private var names: [Key: (value: String, isPresent: String)] = [:]

  subscript(kind: Kind, list: List, name: String) -> (value: String, isPresent: String) {
    mutating get {
      let key = Key(kind: kind, list: list, name: name)
      if let known = names[key] { return known }
      let tail = labelName(name)
      let made = (
        "__meta_kubernetes_\(kind.rawValue)_\(list.rawValue)_\(tail)",
        "__meta_kubernetes_\(kind.rawValue)_\(list.rawValue)present_\(tail)"
      )
      if names.count >= Self.limit { names = [:] }
      names[key] = made
      return made
    }
  }
}
