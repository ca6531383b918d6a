import Bytes
import Configuration
import Exposition

/// What is scraped: where, how often, and which labels its series get.
public struct Target: Sendable {
  public var jobName: String
  /// All labels before the job's rules, `__address__` and its like included; by name.
  public var discoveredLabels: LabelSet
  /// The labels of the target's series; by name, none of them begins with `__`.
  public var labels: LabelSet
  public var scrapeURL: String
  public var interval: Duration
  public var timeout: Duration
  public var honorLabels: Bool
  public var honorTimestamps: Bool

  public init(
    jobName: String, discoveredLabels: LabelSet, labels: LabelSet, scrapeURL: String, interval: Duration,
    timeout: Duration, honorLabels: Bool, honorTimestamps: Bool
  ) {
    self.jobName = jobName
    self.discoveredLabels = discoveredLabels
    self.labels = labels
    self.scrapeURL = scrapeURL
    self.interval = interval
    self.timeout = timeout
    self.honorLabels = honorLabels
    self.honorTimestamps = honorTimestamps
  }

  /// The targets of a job: of those with equal labels and URL, one.
  public static func all(of job: ScrapeConfiguration, groups: [TargetGroup]) -> [Target] {
    var seen: Set<Identity> = []
    return groups.flatMap { group in
      group.targets.map { Target(job, $0, group.labels) }
    }.filter { seen.insert(Identity(labels: $0.labels, url: Array($0.scrapeURL.utf8))).inserted }
  }

  private struct Identity: Hashable {
    let labels: LabelSet
    /// As bytes: a String equals what is canonically equivalent.
    let url: [UInt8]
  }

  /// From what was discovered to the target, in Prometheus' order: the target's own labels, the group's, the job's.
  private init(_ job: ScrapeConfiguration, _ own: [ConfiguredLabel], _ group: [ConfiguredLabel]) {
    var discovered = LabelSet()
    func addIfAbsent(_ name: String, _ value: String) {
      if discovered.index(of: name.utf8.span.bytes) == nil {
        discovered.append(name.utf8.span.bytes, value.utf8.span.bytes)
      }
    }
    for label in own + group { addIfAbsent(label.name, label.value) }
    // A label without a value is no label: the defaults stand in.
    discovered.removeEmpty()
    let defaults: [(String, String)] = [
      ("job", job.jobName), ("__scrape_interval__", job.scrapeInterval.prometheusText),
      ("__scrape_timeout__", job.scrapeTimeout.prometheusText), ("__metrics_path__", job.metricsPath),
      ("__scheme__", job.scheme),
    ]
    for (name, value) in defaults
      + job.params.compactMap({ param in param.values.first.map { ("__param_\(param.name)", $0) } })
    {
      addIfAbsent(name, value)
    }
    discovered.sort()
    self.init(
      jobName: job.jobName, discoveredLabels: discovered, labels: Self.seriesLabels(of: discovered),
      scrapeURL: Self.url(of: discovered, job.params), interval: job.scrapeInterval, timeout: job.scrapeTimeout,
      honorLabels: job.honorLabels, honorTimestamps: job.honorTimestamps)
  }

  private static func seriesLabels(of discovered: LabelSet) -> LabelSet {
    var labels = LabelSet()
    for index in 0..<discovered.count where !discovered.name(at: index).starts(with: "__") {
      labels.append(discovered.name(at: index), discovered.value(at: index))
    }
    if labels.index(of: "instance") == nil {
      labels.append("instance".utf8.span.bytes, value("__address__", discovered).utf8.span.bytes)
    }
    labels.removeEmpty()
    labels.sort()
    return labels
  }

  private static func value(_ name: StaticString, _ labels: LabelSet) -> String {
    labels.index(of: name).map { String(utf8: labels.value(at: $0)) } ?? ""
  }

  /// `__scheme__://__address____metrics_path__`, and the parameters of the job, of which a label `__param_NAME`
  /// replaces the first value.
  private static func url(of labels: LabelSet, _ params: [(name: String, values: [String])]) -> String {
    var query: [(name: String, values: [String])] = params
    for index in 0..<labels.count {
      let name = String(utf8: labels.name(at: index))
      guard name.hasPrefix("__param_") else { continue }
      let param = String(name.dropFirst("__param_".count))
      let value = String(utf8: labels.value(at: index))
      if let place = query.firstIndex(where: { $0.name.utf8.elementsEqual(param.utf8) }) {
        query[place].values = [value] + query[place].values.dropFirst()
      } else {
        query.append((param, [value]))
      }
    }
    // Go's url.Values.Encode orders by key.
    let pairs = query.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.flatMap { param in
      param.values.map { "\(encoded(param.name))=\(encoded($0))" }
    }
    let path = value("__metrics_path__", labels)
    return value("__scheme__", labels) + "://" + value("__address__", labels) + (path.hasPrefix("/") ? "" : "/")
      + path.utf8.map(encodedInPath).joined() + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }

  /// As application/x-www-form-urlencoded.
  private static func encoded(_ text: String) -> String {
    text.utf8.map { byte in
      isUnreserved(byte) ? String(UnicodeScalar(byte)) : byte == UInt8(ascii: " ") ? "+" : percent(byte)
    }.joined()
  }

  /// As Go's url.URL writes a path.
  private static func encodedInPath(_ byte: UInt8) -> String {
    isUnreserved(byte) || "/:@$&+,;=".utf8.contains(byte) ? String(UnicodeScalar(byte)) : percent(byte)
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-_.~".utf8.contains(byte)
    }
  }

  private static func percent(_ byte: UInt8) -> String {
    let hex = String(byte, radix: 16, uppercase: true)
    return "%" + (hex.count < 2 ? "0" : "") + hex
  }
}
