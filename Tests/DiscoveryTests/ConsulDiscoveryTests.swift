import Configuration
import Synchronization
import Testing

@testable import Discovery

/// Consul, after its documentation: a catalog whose index grows with each change.
private final class FakeConsul: Sendable {
  struct State {
    var index = 1
    var services: [String: String] = [:]
    var tags: [String: [String]] = [:]
  }

  let state: Mutex<State>

  init(_ services: [String: String], tags: [String: [String]] = [:]) {
    state = Mutex(State(services: services, tags: tags))
  }

  func answer(_ request: FakeHTTP.Request) -> FakeHTTP.Answer {
    let state = state.withLock { $0 }
    let parts = request.target.split(separator: "?", maxSplits: 1)
    let query = parts.count > 1 ? parts[1].split(separator: "&").map(String.init) : []
    if parts[0] == "/v1/agent/self" { return .init(body: #"{"Config": {"Datacenter": "dc9"}}"#) }
    // A query that waits: nothing has changed.
    let body: String
    if parts[0] == "/v1/catalog/services" {
      let members = state.services.keys.sorted().map { name in
        "\"\(name)\": [\((state.tags[name] ?? []).map { "\"\($0)\"" }.joined(separator: ","))]"
      }
      body = "{\(members.joined(separator: ","))}"
    } else if let name = parts[0].split(separator: "/").last, let instances = state.services[String(name)] {
      body = instances
    } else {
      return .init(status: 404, body: "no such thing")
    }
    _ = query
    return .init(headers: ["Content-Type": "application/json", "X-Consul-Index": "\(state.index)"], body: body)
  }
}

private let instance = """
  [{"Node": {"ID": "x", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc9", "Meta": {"rack-1": "r"},
    "TaggedAddresses": {"lan": "10.0.0.1", "wan ip": "192.0.2.1"}},
   "Service": {"ID": "web-1", "Service": "web", "Tags": ["a", "b"], "Address": "10.1.0.1", "Port": 8080,
    "Meta": {"version": "2"}, "Namespace": "team", "Partition": "part"},
   "Checks": [{"CheckID": "one", "Status": "passing"}, {"CheckID": "two", "Status": "warning"}]},
   {"Node": {"Node": "n2", "Address": "fe80::2"}, "Service": {"ID": "web-2", "Tags": null, "Address": "", "Port": 9},
    "Checks": [{"CheckID": "_service_maintenance:web-2", "Status": "critical"}]}]
  """

private func start(_ consul: FakeConsul, _ lines: String = "") async throws -> (FakeHTTP, Published) {
  let server = try await FakeHTTP { consul.answer($0) }
  let job = try #require(
    try jobs(
      "{job_name: j, consul_sd_configs: [{server: '127.0.0.1:\(server.port)', refresh_interval: 1ms\(lines)}]}"
    ).first)
  let discovery = ConsulDiscovery(
    try #require(job.consulDiscoveries.first), makeEnvironment(), retryInterval: .milliseconds(1))
  return (server, Published(discovery))
}

@Test func findsInstances() async throws {
  let (server, found) = try await start(FakeConsul(["web": instance]))
  let groups = await found.groups()
  #expect(groups.map(\.source) == ["web"])
  #expect(groups[0].labels.map { "\($0.name)=\($0.value)" } == ["__meta_consul_service=web", "__meta_consul_dc=dc9"])
  #expect(
    groups[0].targets.map { $0.map { "\($0.name)=\($0.value)" } } == [
      [
        "__address__=10.1.0.1:8080", "__meta_consul_address=10.0.0.1", "__meta_consul_node=n1",
        "__meta_consul_namespace=team", "__meta_consul_partition=part", "__meta_consul_tags=,a,b,",
        "__meta_consul_service_address=10.1.0.1", "__meta_consul_service_port=8080", "__meta_consul_service_id=web-1",
        "__meta_consul_health=warning", "__meta_consul_metadata_rack_1=r", "__meta_consul_service_metadata_version=2",
        "__meta_consul_tagged_address_lan=10.0.0.1", "__meta_consul_tagged_address_wan_ip=192.0.2.1",
      ],
      [
        "__address__=[fe80::2]:9", "__meta_consul_address=fe80::2", "__meta_consul_node=n2", "__meta_consul_tags=,,",
        "__meta_consul_service_port=9", "__meta_consul_service_id=web-2", "__meta_consul_health=maintenance",
      ],
    ])
  await server.close()
}

@Test func followsTheCatalog() async throws {
  let consul = FakeConsul(
    ["a": "[]", "b": instance, "c": instance], tags: ["b": ["x", "y"], "c": ["x"], "a": ["x", "y"]])
  let (server, found) = try await start(consul, ", tags: [x, y], datacenter: dc1, token: secret")
  // Both together at first, and not the one without the tags.
  #expect(await found.groups().map(\.source).sorted() == ["a", "b"])
  consul.state.withLock { state in
    state.index = 7
    state.services["b"] = nil
    state.services["d"] = instance
    state.tags["d"] = ["y", "x"]
  }
  var seen: [String: Int] = [:]
  while seen["b"] != 0 || seen["d"] != 2 {
    for group in await found.groups() { seen[group.source] = group.targets.count }
  }
  let requests = server.requests
  #expect(requests.allSatisfy { $0.headers["x-consul-token"] == "secret" })
  #expect(requests[0].target == "/v1/catalog/services?dc=dc1&wait=120000ms&stale")
  #expect(requests.contains { $0.target == "/v1/health/service/b?dc=dc1&tag=x&tag=y&wait=120000ms&stale" })
  #expect(requests.contains { $0.target == "/v1/catalog/services?dc=dc1&index=1&wait=120000ms&stale" })
  await server.close()
}

@Test func asksForFixedServicesOnly() async throws {
  let consul = FakeConsul(["web": instance])
  let (server, found) = try await start(
    consul,
    ", services: [web, 'not there'], namespace: n, partition: p, allow_stale: false, health_filter: 'a == \"b\"', "
      + "node_meta: {k: v}, username: u, password: p, path_prefix: /x/../v")
  _ = found
  while server.requests.count < 3 { await Task.yield() }
  #expect(!server.requests.contains { $0.target.contains("/v1/catalog") })
  #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Basic dTpw" })
  await server.close()
}

@Test(arguments: [
  ("[]", "passing"), (#"[{"Status": "critical"}, {"Status": "warning"}]"#, "critical"),
  (#"[{"CheckID": "_node_maintenance", "Status": "passing"}]"#, "maintenance"), (#"[{"Status": "?"}, 5]"#, "passing"),
  ("null", "passing"),
])
func aggregatesHealth(_ checks: String, _ health: String) async throws {
  let (server, found) = try await start(
    FakeConsul(["web": #"[{"Node": {}, "Service": 5, "Checks": \#(checks)}, null]"#]))
  let target = try #require(await found.groups().first?.targets.first)
  #expect(target.first { $0.name == "__meta_consul_health" }?.value == health)
  #expect(target.first?.value == ":0")
  await server.close()
}
