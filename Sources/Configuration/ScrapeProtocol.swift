import YAML

/// A format in which a target may be asked to answer; `scrape_protocols` has them in the order of preference.
public enum ScrapeProtocol: String, Sendable, CaseIterable {
  case openMetricsText0 = "OpenMetricsText0.0.1"
  case openMetricsText1 = "OpenMetricsText1.0.0"
  case prometheusProtobuf = "PrometheusProto"
  case prometheusText0 = "PrometheusText0.0.4"
  case prometheusText1 = "PrometheusText1.0.0"

  /// What is asked for by default.
  public static let defaults: [ScrapeProtocol] = [
    .openMetricsText1, .openMetricsText0, .prometheusText1, .prometheusText0,
  ]

  /// What is asked for by default where native histograms are scraped, which only protobuf carries.
  public static let protobufFirst: [ScrapeProtocol] = [.prometheusProtobuf] + defaults

  fileprivate static func fault(of text: String) -> String {
    "unknown scrape protocol \(shown(text)), supported: [\(allCases.map(\.rawValue).joined(separator: " "))]"
  }
}

extension BlockReader {
  /// `scrape_protocols`: nil when the key is absent or wrong.
  func scrapeProtocols(_ key: String) -> [ScrapeProtocol]? {
    guard has(key) else { return nil }
    var protocols: [ScrapeProtocol] = []
    let texts = strings(key) { text in
      guard let one = ScrapeProtocol(rawValue: text) else { return ScrapeProtocol.fault(of: text) }
      if protocols.contains(one) { return "duplicated protocol in scrape_protocols" }
      protocols.append(one)
      return nil
    }
    if texts.isEmpty { refuse(key, "scrape_protocols cannot be empty") }
    return protocols.isEmpty ? nil : protocols
  }

  /// `fallback_scrape_protocol`.
  func scrapeProtocol(_ key: String, job: String) -> ScrapeProtocol? {
    guard let text = string(key) else { return nil }
    if let one = ScrapeProtocol(rawValue: text) { return one }
    refuse(
      key,
      "invalid fallback_scrape_protocol for scrape config with job name \"\(shown(job))\": "
        + ScrapeProtocol.fault(of: text))
    return nil
  }
}
