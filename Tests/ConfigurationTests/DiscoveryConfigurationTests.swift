import Testing

@testable import Configuration

@Test func readsHTTPDiscovery() throws {
  let job = try #require(
    try configuration(job("http_sd_configs: [{url: 'http://h:1/x'}, {url: 'http://h/', refresh_interval: 5s}]"))
      .scrapeConfigs.first)
  #expect(job.httpDiscoveries.map(\.url) == ["http://h:1/x", "http://h/"])
  #expect(job.httpDiscoveries.map(\.refreshInterval) == [.seconds(60), .seconds(5)])
}

@Test func readsDNSDiscovery() throws {
  let job = try #require(
    try configuration(
      job("dns_sd_configs: [{names: [a, b]}, {names: [c], type: aaaa, port: 9100, refresh_interval: 1m}]")
    )
    .scrapeConfigs.first)
  #expect(job.dnsDiscoveries.map(\.names) == [["a", "b"], ["c"]] && job.dnsDiscoveries.map(\.type) == [.srv, .aaaa])
  #expect(job.dnsDiscoveries.map(\.port) == [0, 9100])
  #expect(job.dnsDiscoveries.map(\.refreshInterval) == [.seconds(30), .seconds(60)])
}

@Test func readsConsulDiscovery() throws {
  let found = try #require(
    try configuration(
      job(
        "consul_sd_configs:", "- {}",
        "- {server: 'c:1', scheme: http, token: t, datacenter: d, namespace: n, partition: p, services: [s], tags: [x],",
        "   node_meta: {k: v}, tag_separator: ';', allow_stale: false, filter: f, health_filter: h, path_prefix: v,",
        "   refresh_interval: 1s}")
    ).scrapeConfigs.first?.consulDiscoveries)
  #expect(found[0] == ConsulDiscoveryConfiguration())
  #expect(try found[0].url("/v1/x").description == "http://localhost:8500/v1/x")
  #expect(try found[1].url("/v1/x").description == "http://c:1/v/v1/x")
  #expect(found[1].token.value == "t" && found[1].services == ["s"] && found[1].tags == ["x"] && !found[1].allowStale)
  #expect(found[1].nodeMeta == [.init(key: "k", value: "v")] && found[1].healthFilter == "h" && found[1].filter == "f")
  #expect(found[1].datacenter == "d" && found[1].namespace == "n" && found[1].partition == "p")
  #expect(found[1].tagSeparator == ";" && found[1].refreshInterval == .seconds(1))
}

@Test(arguments: [
  BadText(job("http_sd_configs: [{}]"), "3:21", "scrape_configs[0].http_sd_configs[0].url", "URL is missing"),
  BadText(job("http_sd_configs: [{url: h}]"), "3:27", "scrape_configs[0].http_sd_configs[0].url", "invalid URL"),
  BadText(job("http_sd_configs: [{url: 'ftp://h'}]"), "3:27", "scrape_configs[0].http_sd_configs[0].url", "scheme"),
  BadText(
    job("http_sd_configs: [{url: 'http://h', refresh_interval: 0}]"), "3:57",
    "scrape_configs[0].http_sd_configs[0].refresh_interval", "greater than 0"),
  BadText(job("dns_sd_configs: [{}]"), "3:20", "scrape_configs[0].dns_sd_configs[0].names", "at least one name"),
  BadText(
    job("dns_sd_configs: [{names: [a], type: TXT}]"), "3:39", "scrape_configs[0].dns_sd_configs[0].type",
    "invalid DNS-SD records type \"TXT\""),
  BadText(
    job("dns_sd_configs: [{names: [a], type: A}]"), "3:20", "scrape_configs[0].dns_sd_configs[0].port", "required"),
  BadText(
    job("dns_sd_configs: [{names: [a], type: MX, port: 70000}]"), "3:49", "scrape_configs[0].dns_sd_configs[0].port",
    "expected a port"),
  BadText(
    job("consul_sd_configs: [{server: ' '}]"), "3:32", "scrape_configs[0].consul_sd_configs[0].server",
    "a server address is required"),
  BadText(
    job("consul_sd_configs: [{server: 'unix:///x'}]"), "3:32", "scrape_configs[0].consul_sd_configs[0].server",
    "invalid URL"),
  BadText(
    job("consul_sd_configs: [{servers: a}]"), "3:24", "scrape_configs[0].consul_sd_configs[0].servers",
    "did you mean server?"),
])
func refusesDiscoveries(_ bad: BadText) { expectOneFault(bad) }
