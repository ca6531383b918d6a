import Exposition
import YAML

/// The `global` block: what stands in for keys that jobs do not give, and the labels of all samples.
public struct GlobalConfiguration: Sendable {
  public var scrapeInterval: Duration = .seconds(60)
  public var scrapeTimeout: Duration = .seconds(10)
  /// Rules are not evaluated here: it is only shown.
  public var evaluationInterval: Duration = .seconds(60)
  /// With variables of the environment filled in.
  public var externalLabels: [ConfiguredLabel] = []
  /// Nil when the file gives none.
  public var scrapeProtocols: [ScrapeProtocol]?
  public var scrapeNativeHistograms = false
  public var convertClassicHistogramsToNHCB = false
  public var alwaysScrapeClassicHistograms = false
  public var extraScrapeMetrics = false
  public var limits = ScrapeLimits()
  public var names = NameRules()

  private static let keys = BlockKeys(
    served: [
      "scrape_interval", "scrape_timeout", "external_labels", "scrape_protocols", "scrape_native_histograms",
      "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms", "extra_scrape_metrics",
      "evaluation_interval", "rule_query_offset", "query_log_file",
    ] + ScrapeLimits.keys + NameRules.keys,
    known: ["scrape_failure_log_file"])

  init() {}

  init(_ top: BlockReader, environment: (String) -> String?) {
    guard let block = top.block("global", Self.keys) else { return }
    if let interval = block.duration("scrape_interval"), interval > .zero { scrapeInterval = interval }
    if let timeout = block.duration("scrape_timeout"), timeout > .zero {
      scrapeTimeout = timeout
      if timeout > scrapeInterval {
        block.refuse("scrape_timeout", "global scrape timeout greater than scrape interval")
      }
    } else {
      scrapeTimeout = min(scrapeTimeout, scrapeInterval)
    }
    if let interval = block.duration("evaluation_interval"), interval > .zero { evaluationInterval = interval }
    // What concerns rules and queries is of no effect in an agent: it is read for its form only.
    _ = block.duration("rule_query_offset")
    _ = block.string("query_log_file")
    scrapeProtocols = block.scrapeProtocols("scrape_protocols")
    scrapeNativeHistograms = block.bool("scrape_native_histograms") ?? scrapeNativeHistograms
    convertClassicHistogramsToNHCB =
      block.bool("convert_classic_histograms_to_nhcb") ?? convertClassicHistogramsToNHCB
    alwaysScrapeClassicHistograms = block.bool("always_scrape_classic_histograms") ?? alwaysScrapeClassicHistograms
    extraScrapeMetrics = block.bool("extra_scrape_metrics") ?? extraScrapeMetrics
    limits = ScrapeLimits(block)
    names = NameRules(block)
    externalLabels = block.labels("external_labels", names.scheme, refused: ["__name__"]).map { label in
      ConfiguredLabel(name: label.name, value: label.value.expandingVariables(environment))
    }
  }
}
