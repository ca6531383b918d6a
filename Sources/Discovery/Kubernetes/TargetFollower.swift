import Configuration
import Synchronization

/// Makes the target groups of a role, and makes anew those that a change concerns: of the object itself, or of one that
/// its labels come from. Only groups that differ are published.
final class TargetFollower<Object: TargetObject>: Sendable {
  /// The objects of one namespace, or of all.
  private struct Scope {
    let namespace: String
    let objects: Lease<Object>
    let services: Lease<Service>?
    let pods: Lease<Pod>?
    let replicaSets: Lease<ReplicaSet>?
    let jobs: Lease<BatchJob>?
    /// Whether its groups are made.
    var isMade = false

    func phases() -> [InformerPhase] {
      let others = [
        services?.informer.phase, pods?.informer.phase, replicaSets?.informer.phase, jobs?.informer.phase,
      ]
      return [objects.informer.phase] + others.compactMap(\.self)
    }
  }

  /// After a publication, so long further changes are gathered.
  private static var settling: Duration { .seconds(1) }

  private let source: KubernetesSource
  private let environment: DiscoveryEnvironment
  /// Objects that have changed since they were looked at.
  private let changed = Mutex<Set<ObjectReference>>([])
  private let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

  init(_ source: KubernetesSource, _ environment: DiscoveryEnvironment) {
    self.source = source
    self.environment = environment
  }

  // MARK: Informers

  private func lease<Other: KubernetesObject>(
    _ type: Other.Type, _ namespace: String = "", isCounted: Bool = false
  ) -> Lease<Other> {
    let metrics = environment.metrics
    return environment.kubernetes.lease(source.query(Other.resource, namespace), environment) {
      [weak self] changes in
      if isCounted { for change in changes { KubernetesDiscovery.count(change, metrics) } }
      self?.changed.withLock { $0.formUnion(changes.lazy.map(\.reference)) }
      self?.wakes.continuation.yield()
    }
  }

  private func scopes() -> [Scope] {
    let isOfServices = Object.resource == .endpoints || Object.resource == .endpointslices
    let configuration = source.configuration
    let isOfPods = Object.resource == .pods
    return source.namespaces.map { namespace in
      Scope(
        namespace: namespace, objects: lease(Object.self, namespace, isCounted: true),
        services: isOfServices ? lease(Service.self, namespace, isCounted: true) : nil,
        pods: isOfServices ? lease(Pod.self, namespace) : nil,
        replicaSets: isOfPods && configuration.attachesDeployment ? lease(ReplicaSet.self, namespace) : nil,
        jobs: isOfPods && configuration.attachesCronJob ? lease(BatchJob.self, namespace) : nil)
    }
  }

  private func context(
    _ scopes: [Scope], _ nodes: Lease<Node>?, _ namespaces: Lease<Namespace>?
  ) -> TargetContext {
    func scope(_ namespace: String) -> Scope? { scopes.first { $0.namespace.isEmpty || $0.namespace == namespace } }
    var owners = OwnerLookups()
    owners.attachesJob = source.configuration.attachesJob
    if source.configuration.attachesDeployment {
      owners.replicaSets = { scope($0.namespace)?.replicaSets?.informer.object($0) }
    }
    if source.configuration.attachesCronJob { owners.jobs = { scope($0.namespace)?.jobs?.informer.object($0) } }
    return TargetContext(
      pods: { reference in scope(reference.namespace)?.pods?.informer.object(reference) },
      services: { reference in scope(reference.namespace)?.services?.informer.object(reference) },
      nodes: nodes.map { nodes in { nodes.informer.object($0) } },
      namespaces: namespaces.map { namespaces in { namespaces.informer.object($0) } }, owners: owners)
  }

  // MARK: Groups

  /// Until the task is cancelled.
  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    var scopes = scopes()
    let nodes = source.configuration.attachesNode && Object.resource.hasNodes ? lease(Node.self) : nil
    let namespaces =
      source.configuration.attachesNamespace && !Object.resource.isOfCluster ? lease(Namespace.self) : nil
    let context = context(scopes, nodes, namespaces)
    var groups = Groups()
    var hasPublished = false
    // What was known before the observers were there.
    wakes.continuation.yield()
    for await _ in wakes.stream {
      let common = [nodes?.informer.phase, namespaces?.informer.phase].compactMap(\.self)
      let phases = scopes.map { $0.phases() + common }
      // The first publication has all that can be had: it takes the place of what a job had before a reload.
      if !hasPublished, phases.contains(where: { $0.contains(.starting) }) { continue }
      var stale = changed.withLock { changed in
        defer { changed = [] }
        return changed
      }
      for index in scopes.indices where !scopes[index].isMade && phases[index].allSatisfy({ $0 == .synced }) {
        scopes[index].isMade = true
        stale.formUnion(scopes[index].objects.informer.references)
      }
      guard scopes.contains(where: \.isMade) else { continue }
      var changes: [TargetGroup] = []
      for reference in groups.concerned(by: stale) {
        let scope = scopes.first { $0.isMade && ($0.namespace.isEmpty || $0.namespace == reference.namespace) }
        guard let scope else { continue }
        let group = scope.objects.informer.object(reference)?.group(context)
        if let change = groups.update(
          reference, group ?? TargetGroup(source: Object.source(reference), targets: [], labels: []),
          context.takeReferences())
        {
          changes.append(change)
        }
      }
      if !changes.isEmpty || !hasPublished { publish(changes) }
      hasPublished = true
      guard (try? await Task.sleep(for: Self.settling)) != nil else { return }
    }
  }

  /// The groups that are published, and what they are made of.
  private struct Groups {
    private var published: [ObjectReference: TargetGroup] = [:]
    private var sources: [ObjectReference: Set<ObjectReference>] = [:]
    /// The other way round.
    private var dependents: [ObjectReference: Set<ObjectReference>] = [:]

    /// The objects whose groups may have changed with these.
    func concerned(by stale: Set<ObjectReference>) -> Set<ObjectReference> {
      stale.reduce(into: []) { concerned, reference in
        if reference.resource == Object.resource { concerned.insert(reference) }
        if let dependents = dependents[reference] { concerned.formUnion(dependents) }
      }
    }

    /// Takes an object's group; gives it when it differs from what is published.
    ///
    /// - Parameter uses: the other objects that it is made of.
    mutating func update(
      _ reference: ObjectReference, _ group: TargetGroup, _ uses: Set<ObjectReference>
    ) -> TargetGroup? {
      let before = sources[reference] ?? []
      for gone in before.subtracting(uses) {
        dependents[gone]?.remove(reference)
        if dependents[gone]?.isEmpty == true { dependents[gone] = nil }
      }
      for new in uses.subtracting(before) { dependents[new, default: []].insert(reference) }
      sources[reference] = uses.isEmpty ? nil : uses
      let known = published[reference]
      published[reference] = group.targets.isEmpty ? nil : group
      if group.targets.isEmpty { return known == nil ? nil : group }
      return known == group ? nil : group
    }
  }
}

extension KubernetesResource {
  /// Whether its targets run on nodes.
  fileprivate var hasNodes: Bool { self == .pods || self == .endpoints || self == .endpointslices }
}
