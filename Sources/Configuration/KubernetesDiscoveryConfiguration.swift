// `kubernetes_sd_configs`: what of a Kubernetes cluster becomes targets
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config).

import HTTPClient
import YAML

/// One entry of `kubernetes_sd_configs`.
public struct KubernetesDiscoveryConfiguration: Sendable, Hashable {
  /// The kind of object that becomes targets.
  public enum Role: String, Sendable, Hashable, CaseIterable {
    case pod, service, endpoints, endpointslice, node, ingress

    /// Those whose objects `selectors` may choose in a job of this role.
    fileprivate var selectable: [Role] {
      switch self {
      case .pod: [.pod, .node]
      case .endpoints, .endpointslice: [.pod, .service, self]
      case .service, .node, .ingress: [self]
      }
    }
  }

  /// Which objects of one kind are asked for; empty: all.
  public struct Selector: Sendable, Hashable {
    public var label = ""
    /// May name variables of the environment: `$(NAME)` or `${NAME}`.
    public var field = ""

    public init() {}
  }

  /// Where the API server is, and as whom it is asked.
  public enum Server: Sendable, Hashable {
    /// The one of the cluster in which this runs, as the pod's service account.
    case inCluster
    case url(String)
    /// The path of a kubeconfig, whose current context is used.
    case kubeconfig(String)
  }

  public var role: Role
  public var server = Server.inCluster
  /// How the server of `api_server` is asked.
  public var httpClientOptions = HTTPClientOptions()
  /// Without any, and without `ownNamespace`: all namespaces.
  public var namespaces: [String] = []
  /// Whether the pod's own namespace is one of them.
  public var ownNamespace = false
  public var selectors: [Role: Selector] = [:]
  /// Whether targets get the labels of their node.
  public var attachesNode = false
  /// Whether targets get the labels of their namespace.
  public var attachesNamespace = false
  /// Whether targets of pods get the name of the Deployment, the Job or the CronJob that made the pod.
  public var attachesDeployment = false
  public var attachesJob = false
  public var attachesCronJob = false

  private static let keys = BlockKeys(
    served: ["role", "api_server", "kubeconfig_file", "namespaces", "selectors", "attach_metadata"] + httpClientKeys)
  private static let namespaceKeys = BlockKeys(served: ["own_namespace", "names"])
  private static let selectorKeys = BlockKeys(served: ["role", "label", "field"])
  private static let metadataKeys = BlockKeys(
    served: ["node", "namespace", "deployment", "job", "cronjob"])
  /// A watch each, for each kind of object.
  private static let namespaceLimit = 1000

  public init(role: Role) { self.role = role }

  /// - Parameter directory: the folder of the configuration.
  private init(_ block: BlockReader, _ directory: String) {
    role = Self.role(block) ?? .pod
    if !block.has("role") {
      block.refuse("role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)")
    }
    httpClientOptions = block.httpClientOptions(directory)
    readNamespaces(block)
    readServer(block, directory)
    readSelectors(block)
    if let metadata = block.block("attach_metadata", Self.metadataKeys) {
      attachesNode = metadata.bool("node") ?? false
      attachesNamespace = metadata.bool("namespace") ?? false
      attachesDeployment = metadata.bool("deployment") ?? false
      attachesJob = metadata.bool("job") ?? false
      attachesCronJob = metadata.bool("cronjob") ?? false
    }
  }

  static func list(_ job: BlockReader, _ directory: String) -> [KubernetesDiscoveryConfiguration] {
    job.blocks("kubernetes_sd_configs", keys).map { KubernetesDiscoveryConfiguration($0, directory) }
  }

  private static func role(_ block: BlockReader) -> Role? {
    guard let name = block.string("role") else { return nil }
    let role = Role(rawValue: name)
    if role == nil {
      block.refuse(
        "role",
        "unknown Kubernetes SD role \"\(shown(name))\", expecting one of: pod, service, endpoints, endpointslice, "
          + "node or ingress")
    }
    return role
  }

  private mutating func readNamespaces(_ block: BlockReader) {
    guard let block = block.block("namespaces", Self.namespaceKeys) else { return }
    ownNamespace = block.bool("own_namespace") ?? false
    namespaces = block.strings("names") { name in
      KubernetesSelectors.isDNSLabel(name) ? nil : "\"\(shown(name))\" is not a name of a namespace"
    }
    if namespaces.count > Self.namespaceLimit {
      block.refuse("names", "more than \(Self.namespaceLimit) namespaces; leave them out and choose by relabel_configs")
    }
  }

  private mutating func readServer(_ block: BlockReader, _ directory: String) {
    let url = block.string("api_server").flatMap { $0.isEmpty ? nil : $0 }
    let kubeconfig = block.string("kubeconfig_file").flatMap { $0.isEmpty ? nil : $0 }
    let isCustomClient = httpClientOptions != HTTPClientOptions()
    if let url {
      server = .url(url)
      do throws(HTTPURLError) {
        _ = try HTTPURL(url)
      } catch {
        block.refuse("api_server", "\(error)")
      }
      if kubeconfig != nil {
        block.refuse("kubeconfig_file", "cannot use 'kubeconfig_file' and 'api_server' simultaneously")
      }
      if ownNamespace {
        block.refuse("api_server", "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously")
      }
    } else if let kubeconfig {
      server = .kubeconfig(kubeconfig.hasPrefix("/") || directory.isEmpty ? kubeconfig : "\(directory)/\(kubeconfig)")
      if isCustomClient {
        block.refuse(
          "kubeconfig_file", "cannot use a custom HTTP client configuration together with 'kubeconfig_file'")
      }
      if ownNamespace {
        block.refuse("kubeconfig_file", "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously")
      }
    } else if isCustomClient {
      block.refuse(
        "api_server", "to use custom HTTP client configuration please provide the 'api_server' URL explicitly")
    }
  }

  private mutating func readSelectors(_ block: BlockReader) {
    for entry in block.blocks("selectors", Self.selectorKeys) {
      let selected = Self.role(entry)
      var selector = Selector()
      selector.label = entry.string("label") ?? ""
      selector.field = entry.string("field") ?? ""
      if let fault = KubernetesSelectors.fault(ofField: selector.field) { entry.refuse("field", fault) }
      if let fault = KubernetesSelectors.fault(ofLabel: selector.label) { entry.refuse("label", fault) }
      guard let selected, role.selectable.contains(selected) else {
        if selected != nil || !entry.has("role") {
          let names = role.selectable.map(\.rawValue).joined(separator: ", ")
          entry.refuse("role", "\(role.rawValue) role supports only \(names) selectors")
        }
        continue
      }
      if selectors.updateValue(selector, forKey: selected) != nil {
        entry.refuse("role", "duplicated selector role: \(selected.rawValue)")
      }
    }
  }
}
