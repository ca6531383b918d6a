/// How servers of one kind are asked, as a block of the configuration says it: by which TLS, as whom, through which
/// proxy (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config).
public struct HTTPClientOptions: Sendable, Hashable {
  public init() {}
}
