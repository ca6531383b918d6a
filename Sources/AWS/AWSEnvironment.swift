import Glibc
import HTTPClient
import Logging

/// What the process stands in, as the AWS SDKs read it: variables of the environment, an HTTP client, the time.
public struct AWSEnvironment: Sendable {
  let client: HTTPClient
  let log: Logger
  public let clock: AWSClock
  /// How AWS itself is reached: by the proxy of the environment, if it names one.
  let access: HTTPAccess
  private let lookUp: @Sendable (String) -> String?

  /// - Parameter variables: looks a variable up by its name.
  public init(
    client: HTTPClient, log: Logger,
    variables: @escaping @Sendable (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
  ) {
    self.client = client
    self.log = log
    clock = AWSClock(log: log)
    var options = HTTPClientOptions()
    options.proxy.isFromEnvironment = true
    access = HTTPAccess(options)
    lookUp = variables
  }

  /// The first of the variables that is set; one that is empty is not.
  subscript(names: String...) -> String? {
    for name in names {
      if let value = lookUp(name), !value.isEmpty { return value }
    }
    return nil
  }

  func isTrue(_ name: String) -> Bool { self[name]?.lowercased() == "true" }
}
