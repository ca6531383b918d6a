// Role `ingress`: a target for each path of each host.

import Bytes
import Configuration

struct Ingress: TargetObject {
  static let resource = KubernetesResource.ingresses
  static let sourcePrefix = "ingress"

  struct Rule: Sendable {
    var host = ""
    /// "/" for a rule that is of the host alone.
    var paths = ["/"]
  }

  var metadata = ObjectMetadata()
  var className: String?
  var rules: [Rule] = []
  /// Hosts that are served by TLS; the first part of each may be a wildcard.
  var tlsHosts: [String] = []

  // MARK: JSON

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
      if json.isMember("ingressClassName") {
        className = try json.optionalString()
      } else if json.isMember("tls") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() {
          guard try json.beginObject() else { continue }
          while try json.nextMember() {
            if json.isMember("hosts") { tlsHosts += try json.textList() } else { try json.skip() }
          }
        }
      } else if json.isMember("rules") {
        guard try json.beginArray() else { continue }
        while try json.nextElement() { rules.append(try Self.rule(&json)) }
      } else {
        try json.skip()
      }
    }
  }

  @_lifetime(json: copy json)
  private static func rule(_ json: inout JSONReader) throws(JSONValue.Fault) -> Rule {
    var rule = Rule()
    guard try json.beginObject() else { return rule }
    while try json.nextMember() {
      if json.isMember("host") {
        rule.host = try json.string()
      } else if json.isMember("http") {
        guard try json.beginObject() else { continue }
        rule.paths = []
        while try json.nextMember() {
          if json.isMember("paths") { rule.paths = try paths(&json) } else { try json.skip() }
        }
      } else {
        try json.skip()
      }
    }
    return rule
  }

  @_lifetime(json: copy json)
  private static func paths(_ json: inout JSONReader) throws(JSONValue.Fault) -> [String] {
    var paths: [String] = []
    guard try json.beginArray() else { return paths }
    while try json.nextElement() {
      var path = ""
      guard try json.beginObject() else { continue }
      while try json.nextMember() {
        if json.isMember("path") { path = try json.string() } else { try json.skip() }
      }
      paths.append(path.isEmpty ? "/" : path)
    }
    return paths
  }

  // MARK: Labels

  func group(_ context: TargetContext) -> TargetGroup {
    var group = TargetGroup(
      source: Self.source(reference), targets: [],
      labels: [
        ConfiguredLabel(name: MetaLabel.namespace, value: metadata.namespace),
        ConfiguredLabel(name: "__meta_kubernetes_ingress_name", value: metadata.name),
      ])
    if let className {
      group.labels.append(ConfiguredLabel(name: "__meta_kubernetes_ingress_class_name", value: className))
    }
    context.append(metadata, of: .ingress, to: &group.labels)
    context.attachNamespace(metadata.namespace, to: &group.labels)
    for rule in rules {
      let isTLS = tlsHosts.contains { Self.isMatch(pattern: $0, host: rule.host) }
      for path in rule.paths {
        group.targets.append([
          ConfiguredLabel(name: MetaLabel.address, value: rule.host),
          ConfiguredLabel(name: "__meta_kubernetes_ingress_scheme", value: isTLS ? "https" : "http"),
          ConfiguredLabel(name: "__meta_kubernetes_ingress_host", value: rule.host),
          ConfiguredLabel(name: "__meta_kubernetes_ingress_path", value: path),
        ])
      }
    }
    return group
  }

  /// A wildcard stands for the first part of a name.
  static func isMatch(pattern: String, host: String) -> Bool {
    if pattern == host { return true }
    let pattern = pattern.split(separator: ".", omittingEmptySubsequences: false)
    let host = host.split(separator: ".", omittingEmptySubsequences: false)
    return pattern.first == "*" && pattern.count == host.count && pattern.dropFirst() == host.dropFirst()
  }
}
