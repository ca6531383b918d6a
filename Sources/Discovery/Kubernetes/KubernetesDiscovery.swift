// `kubernetes_sd_configs`: pods, services, endpoints, nodes and ingresses of a cluster
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config).

import Configuration
import Exposition
import Glibc
import Logging

/// Follows the objects of a role and makes target groups of them.
struct KubernetesDiscovery: Discovery {
  static let failures = MetricFamily.counter(
    "prometheus_sd_kubernetes_failures_total", "The number of failed WATCH/LIST requests.")
  private static let events = MetricFamily.counter(
    "prometheus_sd_kubernetes_events_total", "The number of Kubernetes events handled.", ["event", "role"])
  /// How long a configuration that cannot be used now (a file is missing) waits for the next try.
  private static let retryInterval = Duration.seconds(30)

  private let configuration: KubernetesDiscoveryConfiguration
  private let environment: DiscoveryEnvironment

  init(_ configuration: KubernetesDiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    environment.metrics.count(Self.failures, by: 0)
    for role in KubernetesDiscoveryConfiguration.Role.allCases {
      for event in ["add", "delete", "update"] {
        environment.metrics.count(Self.events, [event, role.rawValue], by: 0)
      }
    }
  }

  /// Counts a change of an object, as Prometheus does, by the role that its kind has.
  static func count(_ change: ObjectChange, _ metrics: DiscoveryMetrics) {
    guard let role = change.reference.resource.role else { return }
    metrics.count(events, [change.event.rawValue, role.rawValue])
  }

  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    var reported = ""
    repeat {
      do {
        let source = try KubernetesSource(configuration)
        switch configuration.role {
        case .pod: await TargetFollower<Pod>(source, environment).run(publish)
        case .node: await TargetFollower<Node>(source, environment).run(publish)
        case .service: await TargetFollower<Service>(source, environment).run(publish)
        case .endpoints: await TargetFollower<Endpoints>(source, environment).run(publish)
        case .endpointslice: await TargetFollower<EndpointSlice>(source, environment).run(publish)
        case .ingress: await TargetFollower<Ingress>(source, environment).run(publish)
        }
      } catch {
        if "\(error)" != reported {
          environment.log.error("Kubernetes cannot be asked", metadata: ["error": "\(error)"])
        }
        reported = "\(error)"
      }
    } while (try? await Task.sleep(for: Self.retryInterval)) != nil
  }
}

/// Where a job's objects come from: its configuration, with all that is to be looked up looked up.
struct KubernetesSource: Sendable {
  let configuration: KubernetesDiscoveryConfiguration
  let server: KubernetesServer
  /// "" stands for all.
  let namespaces: [String]
  private let selectors: [KubernetesDiscoveryConfiguration.Role: KubernetesDiscoveryConfiguration.Selector]

  init(
    _ configuration: KubernetesDiscoveryConfiguration, _ pod: PodEnvironment = PodEnvironment()
  ) throws(KubernetesSetupFault) {
    self.configuration = configuration
    server = try KubernetesServer(configuration, pod)
    var namespaces = configuration.namespaces
    if configuration.ownNamespace { namespaces.append(try pod.namespace()) }
    if namespaces.isEmpty || configuration.role == .node { namespaces = [""] }
    self.namespaces = Array(Set(namespaces)).sorted()
    var selectors = configuration.selectors
    for (role, selector) in selectors { selectors[role]?.field = try pod.expand(selector.field) }
    self.selectors = selectors
  }

  func query(_ resource: KubernetesResource, _ namespace: String = "") -> KubernetesQuery {
    let selector = resource.role.flatMap { selectors[$0] }
    return KubernetesQuery(
      server: server, resource: resource, namespace: namespace, labelSelector: selector?.label ?? "",
      fieldSelector: selector?.field ?? "")
  }
}

extension KubernetesResource {
  /// The role whose objects these are.
  fileprivate var role: KubernetesDiscoveryConfiguration.Role? {
    switch self {
    case .pods: .pod
    case .nodes: .node
    case .services: .service
    case .endpoints: .endpoints
    case .endpointslices: .endpointslice
    case .ingresses: .ingress
    case .namespaces: nil
    }
  }
}
