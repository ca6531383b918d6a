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
  case http(HTTPDiscoveryConfiguration)
  case dns(DNSDiscoveryConfiguration)
  case consul(ConsulDiscoveryConfiguration)
  case ec2(EC2DiscoveryConfiguration)
  case ecs(ECSDiscoveryConfiguration)
  case kubernetes(KubernetesDiscoveryConfiguration)

  /// Those of a job; what stands in the configuration itself needs none.
  static func all(of job: ScrapeConfiguration) -> [Mechanism] {
    var all = job.fileDiscoveries.map(Mechanism.file)
    all += job.httpDiscoveries.map(Mechanism.http)
    all += job.dnsDiscoveries.map(Mechanism.dns)
    all += job.consulDiscoveries.map(Mechanism.consul)
    all += job.ec2Discoveries.map(Mechanism.ec2)
    all += job.ecsDiscoveries.map(Mechanism.ecs)
    all += job.kubernetesDiscoveries.map(Mechanism.kubernetes)
    return all
  }

  /// What the metrics of its refreshes call it; nil where there are none.
  var name: String? {
    switch self {
    case .http: "\(HTTPDiscovery.mechanism)"
    case .dns: "\(DNSDiscovery.mechanism)"
    case .ec2: "\(EC2Discovery.mechanism)"
    case .ecs: "\(ECSDiscovery.mechanism)"
    case .file, .consul, .kubernetes: nil
    }
  }

  func start(_ environment: DiscoveryEnvironment) -> any Discovery {
    switch self {
    case .file(let configuration): FileDiscovery(configuration, environment)
    case .http(let configuration): HTTPDiscovery(configuration, environment)
    case .dns(let configuration): DNSDiscovery(configuration, environment)
    case .consul(let configuration): ConsulDiscovery(configuration, environment)
    case .ec2(let configuration): EC2Discovery(configuration, environment)
    case .ecs(let configuration): ECSDiscovery(configuration, environment)
    case .kubernetes(let configuration): KubernetesDiscovery(configuration, environment)
    }
  }
}
