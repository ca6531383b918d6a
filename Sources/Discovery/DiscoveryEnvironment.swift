import HTTPClient
import Logging

/// What mechanisms of discovery share.
public struct DiscoveryEnvironment: Sendable {
  public let client: HTTPClient
  public let log: Logger
  /// What servers see, such as `pilotfish/1.0.0`.
  public let userAgent: String
  public let metrics = DiscoveryMetrics()
  let kubernetes = KubernetesWatches()
  /// The job that a mechanism works for: the label `config` of its metrics.
  var jobName = ""

  public init(client: HTTPClient, userAgent: String = "pilotfish", log: Logger) {
    self.client = client
    self.userAgent = userAgent
    self.log = log
  }

  /// The same for one job.
  func with(jobName: String) -> DiscoveryEnvironment {
    var environment = self
    environment.jobName = jobName
    return environment
  }
}
