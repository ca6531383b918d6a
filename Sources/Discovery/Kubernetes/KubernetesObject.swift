// Objects of the Kubernetes API (https://kubernetes.io/docs/reference/kubernetes-api/), as far as targets are made of
// them: the rest of their JSON is skipped, so that thousands of pods take little memory.

import Bytes

/// A kind of object that is watched.
protocol KubernetesObject: Sendable {
  static var resource: KubernetesResource { get }
  var metadata: ObjectMetadata { get }

  /// Reads an object.
  ///
  /// - Throws: when it is none of the kind, or has no name.
  init(_ json: inout JSONReader) throws(JSONValue.Fault)
}

/// The kinds of object, by their names in the API's paths.
enum KubernetesResource: String, Sendable, Hashable {
  case pods, nodes, services, endpoints, endpointslices, ingresses, namespaces, replicasets, jobs

  /// The group and the version in which it is.
  var group: String {
    switch self {
    case .pods, .nodes, .services, .endpoints, .namespaces: "/api/v1"
    case .endpointslices: "/apis/discovery.k8s.io/v1"
    case .ingresses: "/apis/networking.k8s.io/v1"
    case .replicasets: "/apis/apps/v1"
    case .jobs: "/apis/batch/v1"
    }
  }

  /// Whether its objects are of the cluster, not of a namespace.
  var isOfCluster: Bool { self == .nodes || self == .namespaces }
}

/// What names an object among all of the cluster.
struct ObjectReference: Hashable, Sendable {
  let resource: KubernetesResource
  /// Empty for objects of the cluster.
  let namespace: String
  let name: String
}

/// `metadata` of every object.
struct ObjectMetadata: Sendable {
  var namespace = ""
  var name = ""
  var uid = ""
  var resourceVersion = ""
  var labels: [(name: String, value: String)] = []
  var annotations: [(name: String, value: String)] = []
  /// The owner that manages the object.
  var controller: (kind: String, name: String)?

  /// The value of a label.
  func label(_ name: String) -> String? { labels.first { $0.name == name }?.value }

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("namespace") {
        namespace = try json.string()
      } else if json.isMember("name") {
        name = try json.string()
      } else if json.isMember("uid") {
        uid = try json.string()
      } else if json.isMember("resourceVersion") {
        resourceVersion = try json.string()
      } else if json.isMember("labels") {
        labels = try json.texts()
      } else if json.isMember("annotations") {
        annotations = try json.texts()
      } else if json.isMember("ownerReferences") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { try readOwner(&json) }
      } else {
        try json.skip()
      }
    }
  }

  init() {}

  /// The first owner that is the controller counts.
  @_lifetime(json: copy json)
  private mutating func readOwner(_ json: inout JSONReader) throws(JSONValue.Fault) {
    var owner = (kind: "", name: "")
    var isController = false
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("kind") {
        owner.kind = try json.string()
      } else if json.isMember("name") {
        owner.name = try json.string()
      } else if json.isMember("controller") {
        isController = try json.bool() ?? false
      } else {
        try json.skip()
      }
    }
    if isController, controller == nil { controller = owner }
  }
}

/// A port of a container, a service or an endpoint.
struct ObjectPort: Sendable {
  /// Nil where none is given.
  var name: String?
  var number: Int64?
  var `protocol`: String?
  var appProtocol: String?

  /// - Parameter member: the one that holds the number.
  @_lifetime(json: copy json)
  init(_ json: inout JSONReader, number member: StaticString) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("name") {
        name = try json.optionalString()
      } else if json.isMember(member) {
        number = try json.integer()
      } else if json.isMember("protocol") {
        `protocol` = try json.optionalString()
      } else if json.isMember("appProtocol") {
        appProtocol = try json.optionalString()
      } else {
        try json.skip()
      }
    }
  }
}

/// The object that an endpoint stands for.
struct TargetReference: Sendable {
  var kind = ""
  var namespace = ""
  var name = ""

  /// Nil when it is no node.
  var nodeName: String? { kind == "Node" ? name : nil }

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("kind") {
        kind = try json.string()
      } else if json.isMember("namespace") {
        namespace = try json.string()
      } else if json.isMember("name") {
        name = try json.string()
      } else {
        try json.skip()
      }
    }
  }
}

extension JSONReader {
  /// A mapping of texts, as labels and annotations are.
  @_lifetime(self: copy self)
  mutating func texts() throws(JSONValue.Fault) -> [(name: String, value: String)] {
    var texts: [(name: String, value: String)] = []
    guard try beginObject() else { return texts }
    while try nextMember() { texts.append((try memberName(), try string())) }
    return texts
  }

  /// A list of texts.
  @_lifetime(self: copy self)
  mutating func textList() throws(JSONValue.Fault) -> [String] {
    var texts: [String] = []
    guard try beginArray() else { return texts }
    while try nextElement() { texts.append(try string()) }
    return texts
  }

  /// A list of objects, of each two members that are texts; empty where they are not there.
  @_lifetime(self: copy self)
  mutating func pairs(_ first: StaticString, _ second: StaticString) throws(JSONValue.Fault) -> [(String, String)] {
    var pairs: [(String, String)] = []
    guard try beginArray() else { return pairs }
    while try nextElement() {
      var pair = ("", "")
      guard try beginObject() else { continue }
      while try nextMember() {
        if isMember(first) {
          pair.0 = try string()
        } else if isMember(second) {
          pair.1 = try string()
        } else {
          try skip()
        }
      }
      pairs.append(pair)
    }
    return pairs
  }

  /// A list of ports.
  ///
  /// - Parameter member: as for `ObjectPort`.
  @_lifetime(self: copy self)
  mutating func ports(number member: StaticString) throws(JSONValue.Fault) -> [ObjectPort] {
    var ports: [ObjectPort] = []
    guard try beginArray() else { return ports }
    while try nextElement() { ports.append(try ObjectPort(&self, number: member)) }
    return ports
  }

  /// A text; nil for `null`.
  @_lifetime(self: copy self)
  mutating func optionalString() throws(JSONValue.Fault) -> String? {
    skipNull() ? nil : try string()
  }
}
