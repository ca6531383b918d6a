import AWS
import Exposition

/// How AWS' credentials and its clock stand; nothing when nobody uses them.
struct AWSMetrics: MetricSource {
  private static let expiry = MetricFamily.gauge(
    "pilotfish_aws_credentials_expiry_timestamp_seconds",
    "When the AWS credentials in use expire, by where they came from; 0: never.", ["source"])
  private static let refreshes = MetricFamily.counter(
    "pilotfish_aws_credential_refreshes_total", "How often AWS credentials were asked for.")
  private static let failures = MetricFamily.counter(
    "pilotfish_aws_credential_refresh_failures_total", "How often AWS credentials were asked for in vain.")
  private static let skew = MetricFamily.gauge(
    "pilotfish_aws_clock_skew_seconds",
    "Seconds that AWS' clock is ahead of the machine's, which signatures make up for; 0: less than four minutes.")

  private let aws: AWSAccounts

  init(_ aws: AWSAccounts) { self.aws = aws }

  func write(to metrics: MetricWriter) {
    let all = aws.all.map(\.status)
    guard !all.isEmpty else { return }
    var expiries: [String: Int64] = [:]
    for status in all {
      guard let source = status.source else { continue }
      let expiry = status.expiration?.seconds ?? 0
      expiries[source] = min(expiries[source] ?? expiry, expiry)
    }
    for (source, expiry) in expiries.sorted(by: { $0.key < $1.key }) {
      metrics.begin(Self.expiry)
      metrics.label(source)
      metrics.end(Double(expiry))
    }
    metrics.sample(Self.refreshes, Double(all.reduce(0) { $0 + $1.refreshes }))
    metrics.sample(Self.failures, Double(all.reduce(0) { $0 + $1.failures }))
    metrics.sample(Self.skew, Double(aws.environment.clock.skew))
  }
}
