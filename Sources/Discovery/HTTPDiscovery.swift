// `http_sd_configs`: a server that answers with target groups as JSON
// (https://prometheus.io/docs/prometheus/latest/http_sd/).

import Configuration
import Exposition
import HTTPClient

struct HTTPDiscovery: RefreshingDiscovery {
  static let mechanism: StaticString = "http"
  private static let failures = MetricFamily.counter(
    "prometheus_sd_http_failures_total", "Number of HTTP service discovery refresh failures.")

  let environment: DiscoveryEnvironment
  private let configuration: HTTPDiscoveryConfiguration
  private let access: HTTPAccess?

  var refreshInterval: Duration { configuration.refreshInterval }

  init(_ configuration: HTTPDiscoveryConfiguration, _ environment: DiscoveryEnvironment) {
    self.configuration = configuration
    self.environment = environment
    access = environment.client.access(configuration.client)
    environment.metrics.count(Self.failures, by: 0)
  }

  func refresh() async throws -> [TargetGroup] {
    do {
      return try await groups()
    } catch {
      if !Task.isCancelled { environment.metrics.count(Self.failures) }
      throw error
    }
  }

  private func groups() async throws -> [TargetGroup] {
    let request = HTTPRequest(
      url: try HTTPURL(configuration.url),
      headers: [
        ("User-Agent", environment.userAgent), ("Accept", "application/json"), ("Accept-Encoding", "gzip"),
        ("X-Prometheus-Refresh-Interval-Seconds", seconds(refreshInterval)),
      ], access: access)
    let limits = HTTPLimits(timeout: refreshInterval, bodyBytes: TargetList.sizeLimit)
    let response = try await environment.client.send(request, limits: limits)
    guard response.status == 200 else {
      throw TargetListFault(reason: "server returned HTTP status \(response.status)")
    }
    let type = response.header("Content-Type") ?? ""
    guard Self.isJSON(type) else { throw TargetListFault(reason: "unsupported content type \"\(type)\"") }
    return try TargetList.parse(
      Array(response.body.readableBytesView), .json, source: configuration.url,
      label: ConfiguredLabel(name: "__meta_url", value: HTTPURL.masked(configuration.url)))
  }

  /// `application/json`, with the charset utf-8 or none, in any case.
  static func isJSON(_ contentType: String) -> Bool {
    var parts = contentType.lowercased().split(separator: ";", omittingEmptySubsequences: false)[...]
    guard parts.popFirst()?.trimmingBlanks == "application/json" else { return false }
    guard let charset = parts.popFirst() else { return true }
    return parts.isEmpty && ["charset=utf-8", "charset=\"utf-8\""].contains(charset.trimmingBlanks)
  }

  /// As Go writes a duration in seconds: `60`, `0.5`.
  private func seconds(_ duration: Duration) -> String {
    let seconds = duration / .seconds(1)
    return seconds == seconds.rounded() ? "\(Int64(seconds))" : "\(seconds)"
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    return start.lastIndex { $0 != " " && $0 != "\t" }.map { start[...$0] } ?? start.prefix(0)
  }
}
