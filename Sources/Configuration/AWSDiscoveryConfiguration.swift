import AWS
import HTTPClient
import YAML

/// What the mechanisms that ask AWS have in common.
public struct AWSDiscoveryOptions: Sendable, Hashable {
  /// Whose instances and tasks, and in which region.
  public var credentials = CredentialOptions()
  /// Where the service is asked; empty: the region's.
  public var endpoint = ""
  /// The port of targets.
  public var port = 80
  public var refreshInterval: Duration = .seconds(60)
  public var client = HTTPClientOptions()

  static let keys =
    [
      "region", "endpoint", "access_key", "secret_key", "profile", "role_arn", "external_id", "port",
      "refresh_interval",
    ]
    + httpClientKeys

  init() {}

  init(_ block: BlockReader, _ name: String, _ directory: String) {
    credentials = block.awsCredentials(name)
    endpoint = block.string("endpoint") ?? ""
    if !endpoint.isEmpty {
      do throws(HTTPURLError) { _ = try HTTPURL(endpoint) } catch { block.refuse("endpoint", "\(error)") }
    }
    port = block.integer("port") ?? port
    if !(0...65_535).contains(port) { block.refuse("port", "expected a port from 0 to 65535") }
    refreshInterval = block.refreshInterval ?? refreshInterval
    client = block.httpClientOptions(directory)
  }
}

/// One entry of `ec2_sd_configs`.
public struct EC2DiscoveryConfiguration: Sendable, Hashable {
  /// Instances must have one of the values (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html).
  public struct Filter: Sendable, Hashable {
    public var name: String
    public var values: [String]
  }

  public var aws = AWSDiscoveryOptions()
  public var filters: [Filter] = []

  private static let keys = BlockKeys(served: AWSDiscoveryOptions.keys + ["filters"])
  private static let filterKeys = BlockKeys(served: ["name", "values"])

  public init() {}

  private init(_ block: BlockReader, _ directory: String) {
    aws = AWSDiscoveryOptions(block, "EC2 SD", directory)
    filters = block.blocks("filters", Self.filterKeys).map { filter in
      let values = filter.strings("values") { _ in nil }
      if values.isEmpty { filter.refuse("values", "EC2 SD configuration filter values cannot be empty") }
      return Filter(name: filter.string("name") ?? "", values: values)
    }
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(_ job: BlockReader, _ directory: String) -> [EC2DiscoveryConfiguration] {
    job.blocks("ec2_sd_configs", keys).map { EC2DiscoveryConfiguration($0, directory) }
  }
}

/// One entry of `ecs_sd_configs`.
public struct ECSDiscoveryConfiguration: Sendable, Hashable {
  public var aws = AWSDiscoveryOptions()
  /// Names or ARNs; none: all clusters of the account.
  public var clusters: [String] = []
  /// Questions at a time.
  public var requestConcurrency = 20

  private static let keys = BlockKeys(served: AWSDiscoveryOptions.keys + ["clusters", "request_concurrency"])

  public init() {}

  private init(_ block: BlockReader, _ directory: String) {
    aws = AWSDiscoveryOptions(block, "ECS SD", directory)
    clusters = block.strings("clusters") { $0.isEmpty ? "an empty name" : nil }
    requestConcurrency = block.positive("request_concurrency") ?? requestConcurrency
  }

  /// - Parameter directory: the folder of the configuration.
  static func list(_ job: BlockReader, _ directory: String) -> [ECSDiscoveryConfiguration] {
    job.blocks("ecs_sd_configs", keys).map { ECSDiscoveryConfiguration($0, directory) }
  }
}
