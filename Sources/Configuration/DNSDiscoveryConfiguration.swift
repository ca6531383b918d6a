import YAML

/// One entry of `dns_sd_configs`.
public struct DNSDiscoveryConfiguration: Sendable, Hashable {
  public enum RecordType: String, Sendable, CaseIterable {
    case a = "A"
    case aaaa = "AAAA"
    case mx = "MX"
    case ns = "NS"
    case srv = "SRV"
  }

  public var names: [String]
  public var type = RecordType.srv
  /// Of the targets; records of the type SRV have their own.
  public var port = 0
  public var refreshInterval: Duration = .seconds(30)

  private static let keys = BlockKeys(served: ["names", "type", "port", "refresh_interval"])

  public init(names: [String]) { self.names = names }

  private init(_ block: BlockReader) {
    names = block.strings("names") { $0.isEmpty ? "a name to look up cannot be empty" : nil }
    if !block.has("names") || names.isEmpty { block.refuse("names", "at least one name to look up is needed") }
    if let text = block.string("type") {
      if let type = RecordType(rawValue: text.uppercased()) {
        self.type = type
      } else {
        let types = RecordType.allCases.map(\.rawValue).joined(separator: ", ")
        block.refuse("type", "invalid DNS-SD records type \"\(shown(text))\", expected one of \(types)")
      }
    }
    port = block.integer("port") ?? port
    if type != .srv {
      if port == 0 { block.refuse("port", "a port is required for all record types except SRV") }
      if !(0...65535).contains(port) { block.refuse("port", "expected a port, 1 to 65535") }
    }
    refreshInterval = block.refreshInterval ?? refreshInterval
  }

  static func list(_ job: BlockReader) -> [DNSDiscoveryConfiguration] {
    job.blocks("dns_sd_configs", keys).map { DNSDiscoveryConfiguration($0) }
  }
}
