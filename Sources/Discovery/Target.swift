import Bytes
import Configuration
import Exposition
import HTTPClient
import Relabeling
import YAML

/// What is scraped: where, how often, and which labels its series get.
public struct Target: Sendable {
  /// Tells a target that was made anew from one that is as it was.
  public final class Revision: Sendable {}

  public let revision = Revision()
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
  /// For the labels of what is scraped.
  public var metricRelabelRules: RelabelRules
  /// What the target is asked for, the most wanted first.
  public var scrapeProtocols = ScrapeProtocol.defaults
  /// How an answer is read whose Content-Type says nothing of use; nil: such an answer is an error.
  public var fallbackScrapeProtocol: ScrapeProtocol?
  public var scrapeNativeHistograms = false
  /// Whether a histogram's classic buckets are taken beside its native ones.
  public var alwaysScrapeClassicHistograms = false
  /// Whether classic histograms are stored as native ones with custom buckets.
  public var convertsClassicHistograms = false
  /// Whether the target is asked for gzip.
  public var enableCompression = true
  /// TLS, credentials and proxy; nil: none of them.
  public var access: HTTPAccess?
  public var limits = ScrapeLimits()
  /// Whether series with timestamps of their own get staleness markers, too.
  public var trackTimestampsStaleness = false
  /// Whether each scrape says what it was bounded by, and how long its body was.
  public var extraScrapeMetrics = false
  public var names = NameRules()
  /// How fine native histograms may be.
  public var histogramResolution = HistogramResolution(buckets: 0, factor: 0)

  public init(
    jobName: String, discoveredLabels: LabelSet, labels: LabelSet, scrapeURL: String, interval: Duration,
    timeout: Duration, honorLabels: Bool, honorTimestamps: Bool, metricRelabelRules: RelabelRules = RelabelRules()
  ) {
    self.jobName = jobName
    self.discoveredLabels = discoveredLabels
    self.labels = labels
    self.scrapeURL = scrapeURL
    self.interval = interval
    self.timeout = timeout
    self.honorLabels = honorLabels
    self.honorTimestamps = honorTimestamps
    self.metricRelabelRules = metricRelabelRules
  }

  /// All labels of a target before the job's rules, by name: its own, the group's, and the job's defaults for those
  /// that have no value.
  package static func discoveredLabels(
    _ job: ScrapeConfiguration, _ own: [ConfiguredLabel], _ group: [ConfiguredLabel]
  ) -> LabelSet {
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
    discovered.removeEmpty()
    discovered.sort()
    return discovered
  }

  /// Nil when the job's rules drop the target.
  ///
  /// - Parameter discovered: from `discoveredLabels`.
  /// - Throws: when what the rules leave is nothing that can be scraped.
  init?(_ job: ScrapeConfiguration, _ discovered: LabelSet) throws(TargetFault) {
    var labels = discovered
    guard job.relabelRules.apply(to: &labels) else { return nil }
    let address = labels.text("__address__")
    if address.isEmpty { throw TargetFault(reason: "no address") }
    if address.utf8.contains(UInt8(ascii: "/")) {
      throw TargetFault(reason: "\"\(shown(address))\" is not a valid hostname")
    }
    let interval = try Self.duration("interval", labels.text("__scrape_interval__"))
    let timeout = try Self.duration("timeout", labels.text("__scrape_timeout__"))
    if timeout > interval {
      throw TargetFault(
        reason: "scrape timeout cannot be greater than scrape interval (\"\(timeout.prometheusText)\" > "
          + "\"\(interval.prometheusText)\")")
    }
    self.init(
      jobName: job.jobName, discoveredLabels: discovered, labels: Self.seriesLabels(of: labels, address),
      scrapeURL: Self.url(of: labels, job.params), interval: interval, timeout: timeout,
      honorLabels: job.honorLabels, honorTimestamps: job.honorTimestamps, metricRelabelRules: job.metricRelabelRules)
    scrapeProtocols = job.scrapeProtocols
    fallbackScrapeProtocol = job.fallbackScrapeProtocol
    scrapeNativeHistograms = job.scrapeNativeHistograms
    alwaysScrapeClassicHistograms = job.alwaysScrapeClassicHistograms
    convertsClassicHistograms = job.convertClassicHistogramsToNHCB
    enableCompression = job.enableCompression
    limits = job.limits
    trackTimestampsStaleness = job.trackTimestampsStaleness
    extraScrapeMetrics = job.extraScrapeMetrics
    names = job.names
    histogramResolution = HistogramResolution(
      buckets: job.nativeHistogramBucketLimit, factor: job.nativeHistogramMinBucketFactor)
  }

  private static func duration(_ name: String, _ text: String) throws(TargetFault) -> Duration {
    guard let duration = Duration(prometheus: text) else {
      throw TargetFault(reason: "error parsing scrape \(name): not a valid duration string: \"\(shown(text))\"")
    }
    if duration == .zero { throw TargetFault(reason: "scrape \(name) cannot be 0") }
    return duration
  }

  private static func seriesLabels(of relabeled: LabelSet, _ address: String) -> LabelSet {
    var labels = LabelSet()
    for index in 0..<relabeled.count where !relabeled.name(at: index).starts(with: "__") {
      labels.append(relabeled.name(at: index), relabeled.value(at: index))
    }
    if labels.index(of: "instance") == nil {
      labels.append("instance".utf8.span.bytes, address.utf8.span.bytes)
    }
    labels.sort()
    return labels
  }
}

extension Target {
  /// Targets that have the same are one.
  public struct Identity: Hashable, Sendable {
    public let labels: LabelSet
    /// As bytes: a String equals what is canonically equivalent.
    let url: [UInt8]
    let job: [UInt8]
  }

  public var identity: Identity { Identity(labels: labels, url: Array(scrapeURL.utf8), job: Array(jobName.utf8)) }
}

/// Why a discovered target cannot be scraped.
struct TargetFault: Error {
  let reason: String
}

extension LabelSet {
  /// The value of a label; empty when there is none.
  fileprivate func text(_ name: StaticString) -> String {
    index(of: name).map { String(utf8: value(at: $0)) } ?? ""
  }
}

// MARK: The URL

extension Target {
  /// `__scheme__://__address____metrics_path__`, and the parameters of the job, of which a label `__param_NAME`
  /// replaces the first value.
  private static func url(of labels: LabelSet, _ params: [ScrapeConfiguration.Parameter]) -> String {
    var query = params
    for index in 0..<labels.count {
      let name = String(utf8: labels.name(at: index))
      guard name.hasPrefix("__param_") else { continue }
      let param = String(name.dropFirst("__param_".count))
      let value = String(utf8: labels.value(at: index))
      if let place = query.firstIndex(where: { $0.name.utf8.elementsEqual(param.utf8) }) {
        query[place].values = [value] + query[place].values.dropFirst()
      } else {
        query.append(ScrapeConfiguration.Parameter(name: param, values: [value]))
      }
    }
    // Go's url.Values.Encode orders by key.
    let pairs = query.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.flatMap { param in
      param.values.map { "\(param.name.utf8.formEncoded)=\($0.utf8.formEncoded)" }
    }
    let path = labels.text("__metrics_path__")
    return labels.text("__scheme__") + "://" + labels.text("__address__") + (path.hasPrefix("/") ? "" : "/")
      // As Go's url.URL writes a path.
      + path.utf8.percentEncoded(keeping: "/:@$&+,;=") + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }
}
