import Configuration

/// A mechanism of discovery at work for one job.
public protocol Discovery: Sendable {
  /// Follows what there is, until the task is cancelled.
  ///
  /// - Parameter publish: takes groups that are new or have changed, at the first time all of them, be it none. A group
  ///   replaces that of the same source; one without targets takes it away.
  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async
}

/// A mechanism as a job configures it; a mechanism that a reload leaves as it is goes on.
enum Mechanism: Hashable, Sendable {
  case file(FileDiscoveryConfiguration)
  case kubernetes(KubernetesDiscoveryConfiguration)

  /// Those of a job; what stands in the configuration itself needs none.
  static func all(of job: ScrapeConfiguration) -> [Mechanism] {
    var all = job.fileDiscoveries.map(Mechanism.file)
    all += job.kubernetesDiscoveries.map(Mechanism.kubernetes)
    return all
  }

  func start(_ environment: DiscoveryEnvironment) -> any Discovery {
    switch self {
    case .file(let configuration): FileDiscovery(configuration, log: environment.log)
    case .kubernetes(let configuration): KubernetesDiscovery(configuration, environment)
    }
  }
}
