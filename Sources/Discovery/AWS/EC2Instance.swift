import AWS
import Configuration

/// One instance of a DescribeInstances answer; every field of it may be missing.
struct EC2Instance {
  private let element: XMLElement
  private let ownerID: String?

  /// Those of a page.
  static func all(_ page: XMLElement) -> [EC2Instance] {
    page.items("reservationSet").flatMap { reservation in
      reservation.items("instancesSet").map {
        EC2Instance(element: $0, ownerID: reservation.text("ownerId"))
      }
    }
  }

  var id: String? { element.text("instanceId") }
  var type: String? { element.text("instanceType") }
  var privateAddress: String? { element.text("privateIpAddress") }
  var publicAddress: String? { element.text("ipAddress") }
  var subnetID: String? { element.text("subnetId") }

  /// By name, with the prefix in front of it.
  func tags(prefix: String) -> [(name: String, value: String)] {
    element.items("tagSet").compactMap { tag in
      tag.text("key").map { (prefix + labelName($0), tag["value"]?.text ?? "") }
    }
  }

  /// Labels that show one text of the instance.
  private static let fields = [
    ("__meta_ec2_instance_id", "instanceId"), ("__meta_ec2_private_ip", "privateIpAddress"),
    ("__meta_ec2_private_dns_name", "privateDnsName"), ("__meta_ec2_platform", "platform"),
    ("__meta_ec2_public_ip", "ipAddress"), ("__meta_ec2_ami", "imageId"), ("__meta_ec2_instance_type", "instanceType"),
    ("__meta_ec2_instance_lifecycle", "instanceLifecycle"), ("__meta_ec2_architecture", "architecture"),
    ("__meta_ec2_vpc_id", "vpcId"),
  ]

  /// Nil for one without an address.
  func labels(region: String, port: Int, zones: [String: String]) -> [ConfiguredLabel]? {
    let hasVPC = element.text("vpcId") != nil
    let addresses = hasVPC ? IPv6Addresses(element) : IPv6Addresses()
    guard let address = privateAddress ?? addresses.preferred else { return nil }
    let zone = element["placement"]?.text("availabilityZone") ?? ""
    var labels = [
      ("__address__", hostAndPort(address, port)), ("__meta_ec2_region", region),
      ("__meta_ec2_owner_id", ownerID ?? ""), ("__meta_ec2_availability_zone", zone),
      ("__meta_ec2_availability_zone_id", zones[zone] ?? ""),
      ("__meta_ec2_instance_state", element["instanceState"]?.text("name") ?? ""),
      ("__meta_ec2_default_ipv6_address", addresses.preferred ?? ""),
      ("__meta_ec2_ipv6_addresses", listed(addresses.all)),
      ("__meta_ec2_primary_ipv6_addresses", listed(addresses.primary)),
    ]
    labels += Self.fields.map { ($0.0, element.text($0.1) ?? "") }
    if publicAddress != nil { labels.append(("__meta_ec2_public_dns_name", element.text("dnsName") ?? "")) }
    if hasVPC {
      var subnets: [String] = []
      for interface in element.items("networkInterfaceSet") {
        if let subnet = interface.text("subnetId"), !subnets.contains(subnet) { subnets.append(subnet) }
      }
      labels.append(("__meta_ec2_primary_subnet_id", subnetID ?? ""))
      labels.append(("__meta_ec2_subnet_id", ",\(subnets.joined(separator: ",")),"))
    }
    labels += tags(prefix: "__meta_ec2_tag_")
    return labels.filter { !$0.1.isEmpty }.map { ConfiguredLabel(name: $0.0, value: $0.1) }
  }

  /// With commas around each, so that a rule's pattern needs not care for its place.
  private func listed(_ texts: [String]) -> String {
    texts.isEmpty ? "" : ",\(texts.joined(separator: ",")),"
  }
}

/// The IPv6 addresses of an instance's interfaces.
private struct IPv6Addresses {
  /// More interfaces than an instance can have.
  private static let maximumIndex = 255

  var all: [String] = []
  /// At the index of their interface's device; empty where one has none.
  var primary: [String] = []

  /// The first primary one, else the first.
  var preferred: String? { (primary + all).first { !$0.isEmpty } }

  init() {}

  init(_ instance: XMLElement) {
    for interface in instance.items("networkInterfaceSet") where interface.text("subnetId") != nil {
      for item in interface.items("ipv6AddressesSet") {
        guard let address = item.text("ipv6Address") else { continue }
        all.append(address)
        guard item.text("isPrimaryIpv6") == "true",
          let index = interface["attachment"]?.text("deviceIndex").flatMap({ Int($0) }), 0...Self.maximumIndex ~= index
        else { continue }
        while primary.count <= index { primary.append("") }
        primary[index] = address
      }
    }
  }
}
