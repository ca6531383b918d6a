import TestSupport
import Testing
import YAML

@testable import Configuration

@Test func showsDefaults() throws {
  let text = try configuration(job("static_configs: [{targets: ['h:1']}]") + remoteWrite()).effective
  #expect(
    text == """
      global:
        scrape_interval: 1m
        scrape_timeout: 10s
        evaluation_interval: 1m
        metric_name_validation_scheme: utf8
        metric_name_escaping_scheme: allow-utf-8
        scrape_native_histograms: false
      scrape_configs:
      - job_name: j
        honor_timestamps: true
        track_timestamps_staleness: false
        scrape_interval: 1m
        scrape_timeout: 10s
        scrape_protocols:
        - OpenMetricsText1.0.0
        - OpenMetricsText0.0.1
        - PrometheusText1.0.0
        - PrometheusText0.0.4
        scrape_native_histograms: false
        always_scrape_classic_histograms: false
        convert_classic_histograms_to_nhcb: false
        metrics_path: /metrics
        scheme: http
        enable_compression: true
        metric_name_validation_scheme: utf8
        metric_name_escaping_scheme: allow-utf-8
        extra_scrape_metrics: false
        static_configs:
        - targets:
          - h:1
        follow_redirects: true
        enable_http2: true
      remote_write:
      - url: http://h/w
        remote_timeout: 30s
        protobuf_message: prometheus.WriteRequest
        queue_config:
          capacity: 10000
          max_shards: 50
          min_shards: 1
          max_samples_per_send: 2000
          batch_send_deadline: 5s
          min_backoff: 30ms
          max_backoff: 5s
          retry_on_http_429: true
        metadata_config:
          send: true
          send_interval: 1m
          max_samples_per_send: 2000
        follow_redirects: true
        enable_http2: false

      """)
}

@Test func showsWhatStandsInTheFile() throws {
  let text = try configuration(
    "global: {external_labels: {a: $A, b: '1.50'}, sample_limit: 5}\nscrape_config_files: [none/*.yml]\n"
      + job(
        "params: {'match[]': ['{a=\"b\"}', ~]}", "body_size_limit: 1.5MB",
        "relabel_configs: [{source_labels: [a, b], regex: 'x', target_label: c}]")
      + remoteWrite("write_relabel_configs: [{action: drop, source_labels: [d], regex: e}]"),
    environment: ["A": "x: y"]
  ).effective
  for part in [
    "    a: \"x: y\"\n    b: \"1.50\"\n", "  sample_limit: 5\n",
    "scrape_config_files:\n- none/*.yml\n".replacing("none/*.yml", with: "\"none/*.yml\""),
    "    match[]:\n    - \"{a=\\\"b\\\"}\"\n    - \"\"\n".replacing("match[]", with: "\"match[]\""),
    "  body_size_limit: \"1MiB512KiB\"\n",
    "  - source_labels:\n    - a\n    - b\n    separator: \";\"\n    regex: x\n    target_label: c\n    replacement: \"$1\"\n    action: replace\n",
    "  write_relabel_configs:\n  - source_labels:\n    - d\n",
  ] {
    #expect(text.contains(part), "\(part) in \(text)")
  }
}

@Test func whatIsShownIsTheSameConfiguration() throws {
  let given = try configuration(
    "global: {external_labels: {a: b}, keep_dropped_targets: 4, metric_name_validation_scheme: legacy}\n"
      + job(
        "scrape_interval: 90s", "native_histogram_min_bucket_factor: 1.5", "scrape_protocols: [PrometheusText0.0.4]")
      + remoteWrite("name: n", "headers: {X-A: '1'}", "queue_config: {sample_age_limit: 1h}"))
  // Keys of Prometheus' HTTP client are the one thing that need not be read back.
  let shown = given.effective.split(separator: "\n").filter {
    !$0.contains("follow_redirects") && !$0.contains("enable_http2")
  }.joined(separator: "\n")
  let again = try configuration(shown)
  #expect(again.effective == given.effective && again.remoteWrites == given.remoteWrites)
}

@Test func masksSecrets() throws {
  let node = try YAMLParser.parse(
    Array(
      """
      basic_auth: {username: u, password: hush, password_file: p}
      authorization: {type: Bearer, credentials: hush}
      bearer_token: hush
      oauth2: {client_id: i, client_secret: hush, token_url: 'http://u:hush@h/t'}
      tls_config: {key: hush, key_file: k, cert: c}
      http_headers: {X-A: {values: [v], secrets: [hush, hush]}}
      proxy_connect_header: {X-B: [hush]}
      sigv4: {access_key: a, secret_key: hush}
      consul_sd_configs: [{token: hush, server: 'h:1'}]
      """.utf8))
  let shown = Masking.masked(node, "", "/etc/p").document
  #expect(!shown.contains("hush"))
  #expect(shown.count { $0 == "<" } == 10)
  for part in ["username: u", "password_file: /etc/p/p", "http://u:xxxxx@h/t", "access_key: a", "- v", "cert: c"] {
    #expect(shown.contains(part), "\(part)")
  }
}

@Test func masksHeadersThatLookLikeSecrets() throws {
  let text = try configuration(remoteWrite("headers: {X-Api-Key: hush, X-Scope-OrgID: team}")).effective
  #expect(text.contains("X-Api-Key: \"<secret>\"") && text.contains("X-Scope-OrgID: team"))
}

@Test func namesFilesOfCredentials() throws {
  let node = try YAMLParser.parse(
    Array("a: {tls_config: {cert_file: c, key_file: /k, ca_file: x}}\nb: [{authorization: {credentials_file: t}}]".utf8)
  )
  #expect(NamedFile.all(in: node, "d").map(\.path) == ["d/c", "/k", "d/t"])
  #expect(NamedFile.all(in: node, "d").allSatisfy { !$0.exists })
}

@Test func showsTheDefaultsOfDiscovery() throws {
  let text = try configuration(
    job(
      "dns_sd_configs: [{names: [a], type: A, port: 1}]", "kubernetes_sd_configs: [{role: pod}]",
      "consul_sd_configs: [{follow_redirects: false}]", "file_sd_configs: [{files: ['a.json'], refresh_interval: 1m}]")
  ).effective
  for (block, members) in [
    ("dns_sd_configs", ["refresh_interval: 30s", "type: A"]),
    ("kubernetes_sd_configs", ["role: pod", "api_server: \"\"", "kubeconfig_file: \"\"", "follow_redirects: true"]),
    (
      "consul_sd_configs",
      ["follow_redirects: false", "server: localhost:8500", "tag_separator: \",\"", "allow_stale: true"]
    ),
    ("file_sd_configs", ["refresh_interval: 1m"]),
  ] {
    let start = try #require(text.firstRange(of: "\(block):"))
    let rest = text[start.upperBound...]
    let end = rest.firstRange(of: "_sd_configs:")?.lowerBound ?? rest.endIndex
    for member in members { #expect(rest[..<end].contains(member), "\(block): \(member) in \(rest[..<end])") }
    #expect(!rest[..<end].contains("refresh_interval: 5m"))
  }
}

@Test func takesWhatOnlyPrometheusServedBefore() throws {
  let remote = try configuration(remoteWrite("round_robin_dns: true"))
  #expect(remote.remoteWrites[0].httpClient.spreadsConnections && remote.effective.contains("round_robin_dns: true"))
  #expect(try !configuration(remoteWrite("name: a")).remoteWrites[0].httpClient.spreadsConnections)
  let converting = try configuration(
    "global: {convert_classic_histograms_to_nhcb: true}\nscrape_configs:\n- job_name: a\n"
      + "- job_name: b\n  convert_classic_histograms_to_nhcb: false\n")
  #expect(converting.scrapeConfigs.map(\.convertClassicHistogramsToNHCB) == [true, false])
}
