import HTTPClient
import Logging

/// What mechanisms of discovery share.
public struct DiscoveryEnvironment: Sendable {
  public let client: HTTPClient
  public let log: Logger

  public init(client: HTTPClient, log: Logger) {
    self.client = client
    self.log = log
  }
}
