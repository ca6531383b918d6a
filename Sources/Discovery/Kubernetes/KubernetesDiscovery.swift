// `kubernetes_sd_configs`: pods, services, endpoints, nodes and ingresses of a cluster
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config).

import Configuration
import Exposition
import Kernel
import Logging
import Synchronization

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
  private let fileInterval: Duration

  /// - Parameter fileInterval: how often a kubeconfig is looked at.
  init(
    _ configuration: KubernetesDiscoveryConfiguration, _ environment: DiscoveryEnvironment,
    fileInterval: Duration = .seconds(5)
  ) {
    self.fileInterval = fileInterval
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
    let published = PublishedSources()
    var reported = ""
    while !Task.isCancelled {
      do {
        let source = try KubernetesSource(configuration)
        reported = ""
        published.begin()
        await withTaskGroup { group in
          group.addTask { await follow(source) { publish(published.take($0)) } }
          group.addTask { await waitForChange(of: source) }
          _ = await group.next()
          group.cancelAll()
        }
      } catch {
        if "\(error)" != reported {
          environment.log.error("Kubernetes cannot be asked", metadata: ["error": "\(error)"])
        }
        reported = "\(error)"
        try? await Task.sleep(for: Self.retryInterval)
      }
    }
  }

  private func follow(_ source: KubernetesSource, _ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    switch configuration.role {
    case .pod: await TargetFollower<Pod>(source, environment).run(publish)
    case .node: await TargetFollower<Node>(source, environment).run(publish)
    case .service: await TargetFollower<Service>(source, environment).run(publish)
    case .endpoints: await TargetFollower<Endpoints>(source, environment).run(publish)
    case .endpointslice: await TargetFollower<EndpointSlice>(source, environment).run(publish)
    case .ingress: await TargetFollower<Ingress>(source, environment).run(publish)
    }
  }

  /// Until the kubeconfig says that another server is to be asked, or the same one as somebody else. One that cannot be
  /// read any more changes nothing.
  private func waitForChange(of source: KubernetesSource) async {
    var stamp: FileStamp?
    var reported = ""
    while (try? await Task.sleep(for: fileInterval)) != nil {
      guard case .kubeconfig(let path) = configuration.server else { continue }
      let present = FileStamp(path)
      if present != nil, present == stamp { continue }
      do {
        let server = try Kubeconfig.server(of: path)
        reported = ""
        if server != source.server { return }
        stamp = present
      } catch {
        if "\(error)" != reported {
          environment.log.error(
            "The kubeconfig cannot be read again, the last one stays", metadata: ["error": "\(error)"])
        }
        reported = "\(error)"
      }
    }
  }
}

/// The sources of the groups that are published, so that those go which another server does not have.
private final class PublishedSources: Sendable {
  private struct State {
    var sources: Set<String> = []
    var begins = true
  }

  private let state = Mutex(State())

  /// The next groups are all that there are.
  func begin() { state.withLock { $0.begins = true } }

  /// The groups that are published next, with those that are gone.
  func take(_ groups: [TargetGroup]) -> [TargetGroup] {
    state.withLock { state in
      let gone = state.begins ? state.sources.subtracting(groups.map(\.source)) : []
      state.begins = false
      state.sources.subtract(gone)
      for group in groups {
        if group.targets.isEmpty { state.sources.remove(group.source) } else { state.sources.insert(group.source) }
      }
      return groups + gone.map { TargetGroup(source: $0, targets: [], labels: []) }
    }
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
    case .namespaces, .replicasets, .jobs: nil
    }
  }
}
