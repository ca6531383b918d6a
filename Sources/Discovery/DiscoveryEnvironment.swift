import AWS
import HTTPClient
import Logging

/// What mechanisms of discovery share.
public struct DiscoveryEnvironment: Sendable {
  public let client: HTTPClient
  public let aws: AWSAccounts
  public let log: Logger
  /// What servers see, such as `pilotfish/1.0.0`.
  public let userAgent: String
  public let metrics = DiscoveryMetrics()
  let kubernetes = KubernetesWatches()
  /// The job that a mechanism works for: the label `config` of its metrics.
  var jobName = ""

  /// - Parameter aws: nil: accounts of its own.
  public init(client: HTTPClient, aws: AWSAccounts? = nil, userAgent: String = "pilotfish", log: Logger) {
    self.client = client
    self.aws = aws ?? AWSAccounts(AWSEnvironment(client: client, log: log))
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
