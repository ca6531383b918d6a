import AWS
import Bytes
import Configuration
import HTTPClient
import Logging
import NIOPosix
import Secrets
import Synchronization
import TestSupport
import Testing

@testable import Discovery

/// The job's only mechanism, as a configuration says it.
private func job(_ mechanism: String, _ server: FakeHTTP, _ more: String = "") throws -> ScrapeConfiguration {
  let text = """
    scrape_configs:
    - job_name: j
      \(mechanism)_sd_configs:
      - {region: eu-west-1, access_key: AKID, secret_key: hidden, endpoint: 'http://127.0.0.1:\(server.port)'\(more)}
    """
  return try #require(Configuration.parse(Array(text.utf8), file: "p.yml").scrapeConfigs.first)
}

private func environment(_ variables: [String: String] = [:]) -> DiscoveryEnvironment {
  let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
  let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  let aws = AWSAccounts(AWSEnvironment(client: client, log: log) { variables[$0] })
  return DiscoveryEnvironment(client: client, aws: aws, log: log)
}

private func labels(_ target: [ConfiguredLabel]) -> [String: String] {
  Dictionary(target.map { ($0.name, $0.value) }) { _, last in last }
}

@Suite struct EC2DiscoveryTests {
  private static let zones = """
    <DescribeAvailabilityZonesResponse><availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName>
    <zoneId>euw1-az2</zoneId></item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>
    """
  private static let first = """
    <?xml version="1.0" encoding="UTF-8"?>
    <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId>
    <reservationSet><item><ownerId>123</ownerId><instancesSet><item>
    <instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState>
    <privateDnsName>ip-10-0-0-1</privateDnsName><dnsName>ec2-1</dnsName><instanceType>m7g.large</instanceType>
    <placement><availabilityZone>eu-west-1a</availabilityZone></placement><platform>windows</platform>
    <subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>
    <ipAddress>192.0.2.1</ipAddress><architecture>arm64</architecture><instanceLifecycle>spot</instanceLifecycle>
    <networkInterfaceSet>
    <item><subnetId>subnet-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment><ipv6AddressesSet>
    <item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet></item>
    <item><subnetId>subnet-2</subnetId><attachment><deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet>
    <item><ipv6Address>2001:db8::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
    <item><subnetId>subnet-1</subnetId><attachment><deviceIndex>9999999</deviceIndex></attachment><ipv6AddressesSet>
    <item><ipv6Address>2001:db8::3</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
    </networkInterfaceSet>
    <tagSet><item><key>Name</key><value>a &amp; b</value></item><item><key>aws:x/y</key><value>z</value></item>
    <item><key>empty</key><value/></item></tagSet>
    </item><item><instanceId>i-gone</instanceId></item></instancesSet></item></reservationSet>
    <nextToken>more</nextToken></DescribeInstancesResponse>
    """
  private static let second = """
    <DescribeInstancesResponse><reservationSet><item><instancesSet><item><vpcId>v</vpcId><networkInterfaceSet><item>
    <subnetId>s</subnetId><ipv6AddressesSet><item><ipv6Address>2001:db8::9</ipv6Address></item></ipv6AddressesSet></item>
    </networkInterfaceSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>
    """

  /// Answers in this order; then with the last one again.
  private func server(_ answers: [(status: Int, body: String)]) async throws -> FakeHTTP {
    let left = Mutex(answers)
    return try await FakeHTTP { _ in
      let answer = left.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
      return FakeHTTP.Answer(status: answer.status, body: answer.body)
    }
  }

  @Test func instances() async throws {
    let server = try await server([(200, Self.zones), (200, Self.first), (200, Self.second)])
    var discovery = EC2Discovery(try job("ec2", server, ", port: 9100").ec2Discoveries[0], environment())
    let groups = try await discovery.refresh()
    #expect(groups.map(\.source) == ["eu-west-1"])
    #expect(addresses(groups) == ["10.0.0.1:9100", "[2001:db8::9]:9100"])
    #expect(
      labels(groups[0].targets[0]) == [
        "__address__": "10.0.0.1:9100", "__meta_ec2_instance_id": "i-1", "__meta_ec2_ami": "ami-1",
        "__meta_ec2_instance_state": "running", "__meta_ec2_private_dns_name": "ip-10-0-0-1",
        "__meta_ec2_public_dns_name": "ec2-1", "__meta_ec2_instance_type": "m7g.large",
        "__meta_ec2_availability_zone": "eu-west-1a", "__meta_ec2_availability_zone_id": "euw1-az2",
        "__meta_ec2_platform": "windows", "__meta_ec2_primary_subnet_id": "subnet-1", "__meta_ec2_vpc_id": "vpc-1",
        "__meta_ec2_private_ip": "10.0.0.1", "__meta_ec2_public_ip": "192.0.2.1", "__meta_ec2_architecture": "arm64",
        "__meta_ec2_instance_lifecycle": "spot", "__meta_ec2_subnet_id": ",subnet-1,subnet-2,",
        "__meta_ec2_ipv6_addresses": ",2001:db8::1,2001:db8::2,2001:db8::3,",
        "__meta_ec2_primary_ipv6_addresses": ",,2001:db8::2,", "__meta_ec2_default_ipv6_address": "2001:db8::2",
        "__meta_ec2_owner_id": "123", "__meta_ec2_region": "eu-west-1", "__meta_ec2_tag_Name": "a & b",
        "__meta_ec2_tag_aws_x_y": "z",
      ])
    // The zones are asked for once.
    _ = try await discovery.refresh()
    #expect(server.requests.count == 4)
    #expect(server.requests.allSatisfy { $0.headers["authorization"]?.contains("/eu-west-1/ec2/aws4_request") == true })
    await server.close()
  }

  @Test(arguments: [
    (
      403,
      "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>",
      "status 403: UnauthorizedOperation: no"
    ),
    (200, "", "not XML"), (200, "{}", "not XML"), (200, "<a><b>", "not XML"), (503, "<html>", "status 503"),
  ])
  func strangeAnswers(status: Int, body: String, reason: String) async throws {
    let server = try await server([(200, Self.zones), (status, body)])
    var discovery = EC2Discovery(try job("ec2", server).ec2Discoveries[0], environment())
    let error = await #expect(throws: (any Error).self) { try await discovery.refresh() }
    #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
    await server.close()
  }

  @Test func damagedInstances() async throws {
    var random = SeededGenerator(2)
    for _ in 0..<fuzzRounds {
      let text = mutated(Array(Self.first.utf8), with: &random)
      guard let page = try? XMLElement(parsing: text.span.bytes) else { continue }
      for instance in EC2Instance.all(page) { _ = instance.labels(region: "r", port: 1, zones: [:]) }
    }
  }
}

@Suite struct ECSDiscoveryTests {
  private static let task = """
    {"taskArn": "t1", "group": "service:s", "taskDefinitionArn": "d:1", "launchType": "FARGATE",
     "availabilityZone": "eu-west-1a", "desiredStatus": "RUNNING", "lastStatus": "RUNNING", "healthStatus": "UNKNOWN",
     "platformFamily": "Linux", "platformVersion": "1.4.0", "tags": [{"key": "a-b", "value": "c"}, {"key": 1}, null],
     "attachments": [{"type": "Other"}, {"type": "ElasticNetworkInterface", "details": [
     {"name": "subnetId", "value": "subnet-1"}, {"name": "privateIPv4Address", "value": "10.0.0.7"},
     {"name": "networkInterfaceId", "value": "eni-1"}, {"name": 5}]}]}
    """
  private static let answers = [
    "ListClusters": #"{"clusterArns": ["c"]}"#,
    "DescribeClusters":
      #"{"clusters": [{"clusterArn": "c", "clusterName": "main", "tags": [{"key": "e", "value": "p"}]}]}"#,
    "ListServices": #"{"serviceArns": ["a"]}"#,
    "DescribeServices": """
    {"services": [{"serviceArn": "a", "serviceName": "s", "clusterArn": "c", "status": "ACTIVE",
     "tags": [{"key": "x", "value": "y"}]}]}
    """,
    "ListTasks": #"{"taskArns": ["t1", "t2", "t3"]}"#,
    "DescribeTasks": """
    {"tasks": [\(task), {"taskArn": "t2", "containerInstanceArn": "ci", "launchType": "EC2"}, {"taskArn": "t3"}, null]}
    """,
    "DescribeContainerInstances":
      #"{"containerInstances": [{"containerInstanceArn": "ci", "ec2InstanceId": "i-1"}]}"#,
  ]
  private static let instances = """
    <r><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceType>m5.large</instanceType>
    <privateIpAddress>10.0.0.8</privateIpAddress><ipAddress>192.0.2.8</ipAddress><subnetId>subnet-2</subnetId><tagSet>
    <item><key>k</key><value>v</value></item></tagSet></item></instancesSet></item></reservationSet>
    <networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><association><publicIp>192.0.2.7</publicIp>
    </association></item></networkInterfaceSet></r>
    """

  private func servers(_ change: @escaping @Sendable (String) -> String?) async throws -> (FakeHTTP, FakeHTTP) {
    let ecs = try await FakeHTTP { request in
      let action = String(request.headers["x-amz-target"]?.split(separator: ".").last ?? "")
      return FakeHTTP.Answer(body: change(action) ?? Self.answers[action] ?? "{}")
    }
    return (ecs, try await FakeHTTP { _ in FakeHTTP.Answer(body: Self.instances) })
  }

  @Test func tasks() async throws {
    let (ecs, ec2) = try await servers { _ in nil }
    let environment = environment(["AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:\(ec2.port)"])
    let discovery = ECSDiscovery(try job("ecs", ecs).ecsDiscoveries[0], environment)
    let groups = try await discovery.refresh()
    #expect(addresses(groups) == ["10.0.0.7:80", "10.0.0.8:80"])
    let shared = [
      "__meta_ecs_cluster": "main", "__meta_ecs_cluster_arn": "c", "__meta_ecs_service": "s",
      "__meta_ecs_service_arn": "a", "__meta_ecs_service_status": "ACTIVE", "__meta_ecs_region": "eu-west-1",
      "__meta_ecs_tag_cluster_e": "p", "__meta_ecs_tag_service_x": "y",
    ]
    #expect(
      labels(groups[0].targets[0])
        == shared.merging([
          "__address__": "10.0.0.7:80", "__meta_ecs_ip_address": "10.0.0.7", "__meta_ecs_task_arn": "t1",
          "__meta_ecs_task_group": "service:s", "__meta_ecs_task_definition": "d:1",
          "__meta_ecs_launch_type": "FARGATE", "__meta_ecs_availability_zone": "eu-west-1a",
          "__meta_ecs_desired_status": "RUNNING", "__meta_ecs_last_status": "RUNNING",
          "__meta_ecs_health_status": "UNKNOWN", "__meta_ecs_platform_family": "Linux",
          "__meta_ecs_platform_version": "1.4.0", "__meta_ecs_network_mode": "awsvpc",
          "__meta_ecs_subnet_id": "subnet-1", "__meta_ecs_public_ip": "192.0.2.7", "__meta_ecs_tag_task_a_b": "c",
        ]) { $1 })
    #expect(
      labels(groups[0].targets[1])
        == shared.merging([
          "__address__": "10.0.0.8:80", "__meta_ecs_ip_address": "10.0.0.8", "__meta_ecs_task_arn": "t2",
          "__meta_ecs_launch_type": "EC2", "__meta_ecs_network_mode": "bridge", "__meta_ecs_subnet_id": "subnet-2",
          "__meta_ecs_public_ip": "192.0.2.8", "__meta_ecs_container_instance_arn": "ci",
          "__meta_ecs_ec2_instance_id": "i-1", "__meta_ecs_ec2_instance_type": "m5.large",
          "__meta_ecs_ec2_instance_private_ip": "10.0.0.8", "__meta_ecs_ec2_instance_public_ip": "192.0.2.8",
          "__meta_ecs_tag_ec2_k": "v",
        ]) { $1 })
    await ecs.close()
    await ec2.close()
  }

  /// Clusters of the configuration are not looked for; pages follow each other.
  @Test func pages() async throws {
    let pages = Mutex(3)
    let (ecs, ec2) = try await servers { action in
      guard action == "ListServices" else { return nil }
      let more = pages.withLock { pages in
        pages -= 1
        return pages > 0
      }
      return #"{"serviceArns": ["a"], "nextToken": \#(more ? "\"more\"" : "null")}"#
    }
    let discovery = ECSDiscovery(
      try job("ecs", ecs, ", clusters: [c], request_concurrency: 1").ecsDiscoveries[0], environment())
    _ = try await discovery.refresh()
    let asked = ecs.requests.compactMap { $0.headers["x-amz-target"]?.split(separator: ".").last }
    #expect(!asked.contains("ListClusters"))
    #expect(asked.filter { $0 == "ListServices" }.count == 3)
    await ecs.close()
    await ec2.close()
  }

  @Test(arguments: ["", "null", "[]", "{", #"{"clusters": 1}"#, #"{"clusterArns": [1, null, {}]}"#])
  func strangeAnswers(body: String) async throws {
    let (ecs, ec2) = try await servers { _ in body }
    let discovery = ECSDiscovery(try job("ecs", ecs).ecsDiscoveries[0], environment())
    let groups = try? await discovery.refresh()
    #expect(groups.map(addresses)?.isEmpty ?? true)
    await ecs.close()
    await ec2.close()
  }

  @Test func damagedTasks() throws {
    var random = SeededGenerator(3)
    for _ in 0..<fuzzRounds {
      let text = mutated(Array(Self.task.utf8), with: &random)
      guard let task = try? JSONValue(parsing: text.span.bytes) else { continue }
      _ = ECSTask(task: task, service: task, cluster: task)
        .labels(region: "r", port: 1, host: nil, publicAddresses: [:])
    }
  }
}
