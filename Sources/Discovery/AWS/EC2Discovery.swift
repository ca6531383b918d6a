// `ec2_sd_configs`: the instances of an account in a region, by EC2's Query API
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html). It needs the permission
// ec2:DescribeInstances, and ec2:DescribeAvailabilityZones for the zones' ids.

import AWS
import Configuration
import HTTPClient

struct EC2Discovery: RefreshingDiscovery {
  static let mechanism: StaticString = "ec2"

  let environment: DiscoveryEnvironment
  private let configuration: EC2DiscoveryConfiguration
  private let ec2: EC2Client
  /// The ids of availability zones by their names, which differ from account to account; nil: not known yet.
  private var zones: [String: String]?

  var refreshInterval: Duration { configuration.aws.refreshInterval }

  init(_ configuration: EC2DiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    ec2 = EC2Client(ServiceClient("ec2", configuration.aws, environment))
  }

  mutating func refresh() async throws -> [TargetGroup] {
    let region = try await ec2.client.region()
    // Without the permission there are no ids; nothing else needs them.
    if zones == nil { zones = try? await ec2.zones() }
    let instances = try await ec2.instances(configuration.filters)
    let targets = instances.compactMap {
      $0.labels(region: region, port: configuration.aws.port, zones: zones ?? [:])
    }
    return [TargetGroup(source: region, targets: targets, labels: [])]
  }
}

extension ServiceClient {
  init(
    _ service: String, _ options: AWSDiscoveryOptions, endpoint: String? = nil, _ environment: DiscoveryEnvironment
  ) {
    self.init(
      service, options.credentials, endpoint: endpoint ?? options.endpoint,
      access: environment.client.access(options.client), environment.aws)
  }
}

/// The questions that are asked of EC2.
struct EC2Client {
  private static let version = "2016-11-15"
  /// Pages of an answer: a server that has always another one is not asked for ever.
  private static let maximumPages = 10_000

  let client: ServiceClient

  init(_ client: ServiceClient) { self.client = client }

  /// The availability zones' ids by name.
  func zones() async throws -> [String: String] {
    let answer = try await client.query("DescribeAvailabilityZones", version: Self.version, [])
    let pairs = answer.items("availabilityZoneInfo").compactMap { zone in
      zone.text("zoneName").flatMap { name in zone.text("zoneId").map { (name, $0) } }
    }
    return Dictionary(pairs) { first, _ in first }
  }

  func instances(_ filters: [EC2DiscoveryConfiguration.Filter]) async throws -> [EC2Instance] {
    var parameters = [(name: "MaxResults", value: "200")]
    for (index, filter) in filters.enumerated() {
      parameters.append(("Filter.\(index + 1).Name", filter.name))
      for (number, value) in filter.values.enumerated() {
        parameters.append(("Filter.\(index + 1).Value.\(number + 1)", value))
      }
    }
    return try await pages("DescribeInstances", parameters).flatMap(EC2Instance.all)
  }

  /// Instances by their ids.
  func instances(ids: [String]) async throws -> [EC2Instance] {
    let parameters = ids.enumerated().map { (name: "InstanceId.\($0.offset + 1)", value: $0.element) }
    return try await pages("DescribeInstances", parameters).flatMap(EC2Instance.all)
  }

  /// The public addresses of network interfaces by their ids.
  func publicAddresses(ofInterfaces ids: [String]) async throws -> [String: String] {
    let parameters = ids.enumerated().map { (name: "NetworkInterfaceId.\($0.offset + 1)", value: $0.element) }
    let items = try await pages("DescribeNetworkInterfaces", parameters).flatMap { $0.items("networkInterfaceSet") }
    let pairs = items.compactMap { item in
      item.text("networkInterfaceId").flatMap { id in item["association"]?.text("publicIp").map { (id, $0) } }
    }
    return Dictionary(pairs) { first, _ in first }
  }

  private func pages(_ action: String, _ parameters: [(name: String, value: String)]) async throws -> [XMLElement] {
    var pages = [try await client.query(action, version: Self.version, parameters)]
    while let token = pages.last?.text("nextToken"), pages.count < Self.maximumPages {
      pages.append(try await client.query(action, version: Self.version, parameters + [("NextToken", token)]))
    }
    return pages
  }
}
