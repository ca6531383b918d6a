// Consul's HTTP API (https://developer.hashicorp.com/consul/api-docs): the catalog of services, the health of their
// instances, and queries that wait for a change (https://developer.hashicorp.com/consul/api-docs/features/blocking).

import Bytes
import Configuration
import Exposition
import HTTPClient
import NIOCore

/// What a query that may wait has found.
struct ConsulAnswer: Sendable {
  let value: JSONValue
  /// Names this state: the next query waits for another one. 0: it cannot wait.
  let index: UInt64
}

/// Why Consul's answer is of no use.
struct ConsulFault: Error, CustomStringConvertible {
  let description: String
}

struct ConsulClient: Sendable {
  private static let failures = MetricFamily.counter(
    "prometheus_sd_consul_rpc_failures_total", "The number of Consul RPC call failures.")
  private static let durations = MetricFamily(
    "prometheus_sd_consul_rpc_duration_seconds", .summary, "The duration of a Consul RPC call in seconds.",
    labels: ["call", "endpoint"])
  /// How long a query waits for a change, and how long we do.
  private static let wait = "120000ms"
  private static let patience = Duration.seconds(135)
  private static let bodyLimit = 256 << 20

  private let configuration: ConsulDiscoveryConfiguration
  private let environment: DiscoveryEnvironment
  private let access: HTTPAccess?

  init(_ configuration: ConsulDiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    access = environment.client.access(configuration.client)
    environment.metrics.count(Self.failures, by: 0)
  }

  /// The datacenter of the agent that is asked.
  func datacenter() async throws -> String {
    let answer = try await get("/v1/agent/self", [])
    guard case .string(let name) = answer.value["Config"]?["Datacenter"] else {
      throw ConsulFault(description: "Consul's answer has no Config.Datacenter")
    }
    return name
  }

  /// The names of all services with their tags, once they are others than at `index`.
  func services(after index: UInt64) async throws -> ConsulAnswer {
    let filter = configuration.filter.isEmpty ? [] : [("filter", configuration.filter)]
    return try await timed("services") {
      try await get("/v1/catalog/services", waiting(for: index) + filter)
    }
  }

  /// The instances of a service, once they are others than at `index`.
  func instances(of service: String, after index: UInt64) async throws -> ConsulAnswer {
    let filter = configuration.healthFilter.isEmpty ? [] : [("filter", configuration.healthFilter)]
    let tags = configuration.tags.map { ("tag", $0) }
    return try await timed("service") {
      try await get("/v1/health/service/\(service.utf8.percentEncoded())", tags + waiting(for: index) + filter)
    }
  }

  private func waiting(for index: UInt64) -> [(String, String)] {
    let place = index == 0 ? [] : [("index", "\(index)")]
    return place + [("wait", Self.wait)] + (configuration.allowStale ? [("stale", "")] : [])
      + configuration.nodeMeta.map { ("node-meta", "\($0.key):\($0.value)") }
  }

  private func timed(_ call: String, _ body: () async throws -> ConsulAnswer) async throws -> ConsulAnswer {
    let start = ContinuousClock.now
    defer { environment.metrics.observe(Self.durations, [call, "catalog"], ContinuousClock.now - start) }
    return try await body()
  }

  private func get(_ path: String, _ query: [(String, String)]) async throws -> ConsulAnswer {
    do {
      return try await answer(path, query)
    } catch {
      if !Task.isCancelled { environment.metrics.count(Self.failures) }
      throw error
    }
  }

  private func answer(_ path: String, _ query: [(String, String)]) async throws -> ConsulAnswer {
    let scope = [
      ("dc", configuration.datacenter), ("ns", configuration.namespace), ("partition", configuration.partition),
    ].filter { !$0.1.isEmpty }
    let pairs = (scope + query).map { $0.utf8.percentEncoded() + ($1.isEmpty ? "" : "=" + $1.utf8.percentEncoded()) }
    var request = HTTPRequest(
      url: try configuration.url(path + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))),
      headers: [("User-Agent", environment.userAgent), ("Accept", "application/json"), ("Accept-Encoding", "gzip")],
      access: access)
    if !configuration.token.value.isEmpty { request.headers.append(("X-Consul-Token", configuration.token.value)) }
    if !configuration.username.isEmpty || !configuration.password.value.isEmpty {
      let credentials = base64("\(configuration.username):\(configuration.password.value)".utf8)
      request.headers.append(("Authorization", "Basic \(credentials)"))
    }
    let response = try await environment.client.send(
      request, limits: HTTPLimits(timeout: Self.patience, bodyBytes: Self.bodyLimit))
    guard response.status == 200 else {
      let text = String(decoding: response.body.readableBytesView.prefix(200), as: UTF8.self)
      throw ConsulFault(description: "Get \"\(request.url)\": status \(response.status): \(text.jsonQuoted)")
    }
    let body = Array(response.body.readableBytesView)
    return ConsulAnswer(
      value: try JSONValue(parsing: body.span.bytes), index: response.header("X-Consul-Index").flatMap(UInt64.init) ?? 0
    )
  }
}
