// What stands in a block of discovery that does not say it, as Prometheus shows it in the configuration that is in force.

import YAML

enum DiscoveryDefaults {
  private static let http: [(key: String, value: YAMLNode)] = [
    ("follow_redirects", .bool(true)), ("enable_http2", .bool(true)),
  ]

  private static func interval(_ time: Duration) -> (key: String, value: YAMLNode) {
    ("refresh_interval", .plain(time.prometheusText))
  }

  private static func text(_ key: String, _ text: String) -> (key: String, value: YAMLNode) { (key, .text(text)) }

  /// By the key of the list.
  private static let blocks: [String: [(key: String, value: YAMLNode)]] = {
    let consul = ConsulDiscoveryConfiguration()
    let aws = AWSDiscoveryOptions()
    return [
      "file_sd_configs": [interval(FileDiscoveryConfiguration(files: []).refreshInterval)],
      "http_sd_configs": http + [interval(HTTPDiscoveryConfiguration(url: "").refreshInterval)],
      "dns_sd_configs": [interval(DNSDiscoveryConfiguration(names: []).refreshInterval), text("type", "SRV")],
      "consul_sd_configs": [
        text("server", consul.server), text("tag_separator", consul.tagSeparator), text("scheme", consul.scheme),
        ("allow_stale", .bool(consul.allowStale)), interval(consul.refreshInterval),
      ] + http,
      "ec2_sd_configs": [interval(aws.refreshInterval), ("port", .plain("\(aws.port)"))] + http,
      "ecs_sd_configs": [interval(aws.refreshInterval), ("port", .plain("\(aws.port)"))] + http,
      "kubernetes_sd_configs": [text("api_server", ""), text("kubeconfig_file", "")] + http,
    ]
  }()

  /// The member of a job with this key, its blocks with their defaults; any other as it is.
  static func completed(_ node: YAMLNode, _ key: String) -> YAMLNode {
    guard let defaults = blocks[key], case .sequence(let elements) = node.content else { return node }
    return .list(
      elements.map { element in
        guard case .mapping(let given) = element.content else { return element }
        var members = given.map { (key: $0.key, value: $0.value) }
        let keys = Set(members.map(\.key))
        members += defaults.filter { !keys.contains($0.key) }
        return .block(members)
      })
  }
}
