import HTTPClient
import Logging

/// What mechanisms of discovery share.
public struct DiscoveryEnvironment: Sendable {
  public let client: HTTPClient
  public let log: Logger
  public let metrics = DiscoveryMetrics()
  /// The job that a mechanism works for: the label `config` of its metrics.
  var jobName = ""

  public init(client: HTTPClient, log: Logger) {
    self.client = client
    self.log = log
  }

  /// The same for one job.
  func with(jobName: String) -> DiscoveryEnvironment {
    var environment = self
    environment.jobName = jobName
    return environment
  }
}
