import Configuration
import Testing

@testable import Discovery

private func discovery(_ server: FakeHTTP, _ environment: DiscoveryEnvironment) throws -> HTTPDiscovery {
  let job = try #require(
    try jobs("{job_name: j, http_sd_configs: [{url: 'http://127.0.0.1:\(server.port)/sd?x=y', refresh_interval: 90s}]}")
      .first)
  return HTTPDiscovery(try #require(job.httpDiscoveries.first), environment)
}

@Test func asksAServer() async throws {
  let server = try await FakeHTTP { _ in
    .init(body: #"[{"targets": ["a:1", "b:1"], "labels": {"x": "y", "__meta_url": "z"}}, {"targets": ["c:1"]}]"#)
  }
  let discovery = try discovery(server, makeEnvironment())
  let groups = try await discovery.refresh()
  let url = "http://127.0.0.1:\(server.port)/sd?x=y"
  #expect(groups.map(\.source) == ["\(url):0", "\(url):1"] && addresses(groups) == ["a:1", "b:1", "c:1"])
  #expect(
    groups[0].labels == [ConfiguredLabel(name: "x", value: "y"), ConfiguredLabel(name: "__meta_url", value: url)])
  let request = try #require(server.requests.first)
  #expect(request.target == "/sd?x=y" && request.headers["accept"] == "application/json")
  #expect(request.headers["x-prometheus-refresh-interval-seconds"] == "90")
  await server.close()
}

@Test(arguments: [
  (FakeHTTP.Answer(status: 503, body: "[]"), "server returned HTTP status 503"),
  (FakeHTTP.Answer(headers: ["Content-Type": "text/html"], body: "[]"), #"unsupported content type "text/html""#),
  (FakeHTTP.Answer(headers: [:], body: "[]"), #"unsupported content type """#),
  (FakeHTTP.Answer(body: "[null]"), "groups[0]: empty or null entry"),
  (FakeHTTP.Answer(body: #"[{"targets": [1]}]"#), "found a number"),
  (FakeHTTP.Answer(body: "<html>"), "not JSON"),
])
func refusesAnswers(_ answer: FakeHTTP.Answer, _ reason: String) async throws {
  let server = try await FakeHTTP { _ in answer }
  let environment = makeEnvironment()
  let discovery = try discovery(server, environment)
  await #expect {
    try await discovery.refresh()
  } throws: {
    "\($0)".contains(reason)
  }
  #expect(shown(environment.metrics).contains("prometheus_sd_http_failures_total 1"))
  await server.close()
}

@Test(arguments: [
  ("application/json", true), ("Application/JSON; charset=UTF-8", true), ("application/json;charset=\"utf-8\"", true),
  (" application/json ", true), ("application/json; charset=latin1", false), ("application/json; q=1", false),
  ("application/json; charset=utf-8; x=y", false), ("text/json", false), ("", false),
])
func contentTypes(_ type: String, _ isJSON: Bool) { #expect(HTTPDiscovery.isJSON(type) == isJSON) }
