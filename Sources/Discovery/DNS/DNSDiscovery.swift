// `dns_sd_configs`: the records of some names in the DNS
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#dns_sd_config).

import Configuration
import Exposition

struct DNSDiscovery: RefreshingDiscovery {
  static let mechanism: StaticString = "dns"
  private static let lookups = MetricFamily.counter(
    "prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.")
  private static let failures = MetricFamily.counter(
    "prometheus_sd_dns_lookup_failures_total", "The number of DNS-SD lookup failures.")

  let environment: DiscoveryEnvironment
  private let configuration: DNSDiscoveryConfiguration
  private let resolver: DNSResolver
  private let type: DNSRecordType
  /// What was found last, by name.
  private var groups: [String: TargetGroup] = [:]
  /// Why names cannot be looked up now.
  private var faults: [String: String] = [:]

  var refreshInterval: Duration { configuration.refreshInterval }

  init(
    _ configuration: DNSDiscoveryConfiguration, _ environment: DiscoveryEnvironment,
    resolver: @escaping @Sendable () throws -> ResolverConfiguration = { try .load() }
  ) {
    self.configuration = configuration
    self.environment = environment
    self.resolver = DNSResolver(log: environment.log, configuration: resolver)
    type =
      switch configuration.type {
      case .a: .a
      case .aaaa: .aaaa
      case .mx: .mx
      case .ns: .ns
      case .srv: .srv
      }
    environment.metrics.count(Self.lookups, by: 0)
    environment.metrics.count(Self.failures, by: 0)
  }

  private typealias Found = (name: String, records: Result<[DNSRecord], any Error>)

  /// A name that cannot be looked up keeps what it had.
  ///
  /// - Throws: when that is so for all names.
  mutating func refresh() async throws -> [TargetGroup] {
    let found = await withTaskGroup(of: Found.self) { [resolver, type, faults, names = configuration.names] tasks in
      for name in names {
        tasks.addTask {
          do {
            return (name, .success(try await resolver.records(of: name, type, isDoubtful: faults[name] != nil)))
          } catch {
            return (name, .failure(error))
          }
        }
      }
      return await tasks.reduce(into: []) { $0.append($1) }
    }
    var lastFault: (any Error)?
    var isAnyFound = false
    for (name, result) in found {
      environment.metrics.count(Self.lookups)
      switch result {
      case .success(let records):
        isAnyFound = true
        groups[name] = group(name, records)
        faults[name] = nil
      case .failure(let fault):
        environment.metrics.count(Self.failures)
        lastFault = fault
        note(fault, of: name)
      }
    }
    if let lastFault, !isAnyFound { throw lastFault }
    return configuration.names.compactMap { groups[$0] }
  }

  private mutating func note(_ fault: any Error, of name: String) {
    let reason = "\(fault)"
    if configuration.names.count > 1, faults[name] != reason {
      environment.log.error(
        "Error refreshing DNS targets, the last ones stay",
        metadata: ["config": "\(environment.jobName)", "name": "\(name)", "err": "\(reason)"])
    }
    faults[name] = reason
  }

  private func group(_ name: String, _ records: [DNSRecord]) -> TargetGroup {
    let targets = records.map { record in
      var port = configuration.port
      let host: String
      var labels = [("__meta_dns_name", name)]
      switch record {
      case .address(let address): host = address
      case .nameServer(let target):
        host = target
        labels.append(("__meta_dns_ns_record_target", target))
      case .mailExchange(let target):
        host = target
        labels.append(("__meta_dns_mx_record_target", target))
      case .service(let target, let itsPort):
        host = target
        port = Int(itsPort)
        labels += [("__meta_dns_srv_record_target", target), ("__meta_dns_srv_record_port", "\(itsPort)")]
      }
      return ([("__address__", hostAndPort(host.withoutLastDots, port))] + labels).map {
        ConfiguredLabel(name: $0, value: $1)
      }
    }
    return TargetGroup(source: name, targets: targets, labels: [])
  }
}

extension String {
  fileprivate var withoutLastDots: String {
    var name = self[...]
    while name.last == "." { name.removeLast() }
    return String(name)
  }
}
