// Content negotiation as client_golang does it (expfmt.NegotiateIncludingOpenMetrics), by RFC 9110, section 12.5.1.

/// In which language an exposition is written.
public enum ExpositionFormat: Sendable, CaseIterable {
  /// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
  case text
  /// https://prometheus.io/docs/specs/om/open_metrics_spec/
  case openMetrics
  /// Messages io.prometheus.client.MetricFamily, each behind its length
  /// (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto).
  case protobuf

  private static let proto = "io.prometheus.client.MetricFamily"

  /// What is answered to a request, and how the answer names it.
  ///
  /// - Parameter accept: the Accept header. Without one, or when nothing of it is spoken here, the text format.
  public static func negotiate(accept: String?) -> (format: ExpositionFormat, contentType: String) {
    for range in ranges(of: accept ?? "") {
      let version = range.parameters["version"] ?? ""
      let escaping = range.parameters["escaping"] == "allow-utf-8" ? "allow-utf-8" : "underscores"
      switch range.type {
      case "application/vnd.google.protobuf"
      where range.parameters["proto"] == proto[...] && range.parameters["encoding"] == "delimited":
        return (.protobuf, "\(range.type); proto=\(proto); encoding=delimited; escaping=\(escaping)")
      case "application/openmetrics-text" where ["", "0.0.1", "1.0.0"].contains(version):
        let version = version.isEmpty ? "0.0.1" : version
        return (.openMetrics, "\(range.type); version=\(version); charset=utf-8; escaping=\(escaping)")
      case "text/plain" where ["", "0.0.4", "1.0.0"].contains(version):
        let version = version.isEmpty ? "0.0.4" : version
        return (.text, "\(range.type); version=\(version); charset=utf-8; escaping=\(escaping)")
      default: continue
      }
    }
    return (.text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
  }

  private struct MediaRange {
    var type: Substring
    var parameters: [Substring: Substring] = [:]
    var weight = 1.0
  }

  /// The header's entries that are wanted at all, the most wanted first.
  private static func ranges(of accept: String) -> [MediaRange] {
    // A header of many kilobytes is nobody's.
    let entries = accept.lowercasedASCII.prefix(4096).split(separator: ",").prefix(64)
    let ranges = entries.enumerated().compactMap { index, entry -> (Int, MediaRange)? in
      let parts = entry.split(separator: ";").map { $0.trimmingBlanks }
      guard let type = parts.first else { return nil }
      var range = MediaRange(type: type)
      for part in parts.dropFirst() {
        guard let equals = part.firstIndex(of: "=") else { continue }
        let value = part[part.index(after: equals)...].trimmingBlanks.drop { $0 == "\"" }
        range.parameters[part[..<equals].trimmingBlanks] = value.hasSuffix("\"") ? value.dropLast() : value
      }
      // The one parameter whose value has capitals.
      if range.parameters["proto"] == proto.lowercasedASCII[...] { range.parameters["proto"] = proto[...] }
      if let weight = range.parameters["q"] { range.weight = Double(weight) ?? 0 }
      return range.weight > 0 ? (index, range) : nil
    }
    return ranges.sorted { ($1.1.weight, $0.0) < ($0.1.weight, $1.0) }.map(\.1)
  }
}

extension String {
  fileprivate var lowercasedASCII: String {
    String(decoding: utf8.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    var rest = drop { $0 == " " || $0 == "\t" }
    while rest.last == " " || rest.last == "\t" { rest.removeLast() }
    return rest
  }
}
