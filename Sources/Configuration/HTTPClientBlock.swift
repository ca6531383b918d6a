import HTTPClient
import YAML

/// What Prometheus' HTTP client takes, in every block that has one.
let httpClientKeys = [
  "basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file", "tls_config", "proxy_url", "no_proxy",
  "proxy_from_environment", "proxy_connect_header", "follow_redirects", "enable_http2", "http_headers",
]

extension BlockReader {
  /// The keys `httpClientKeys` of this block.
  ///
  /// - Parameter directory: the folder of the configuration, from which relative paths count.
  func httpClientOptions(_ directory: String) -> HTTPClientOptions { HTTPClientOptions() }
}
