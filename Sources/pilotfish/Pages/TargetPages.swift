// What the agent says of its targets: Prometheus' HTTP API
// (https://prometheus.io/docs/prometheus/latest/querying/api/#targets) and the pages /targets and /service-discovery.

import Bytes
import Discovery
import Exposition
import HTTPClient
import Relabeling
import Scraping
import Web

final class TargetPages: Sendable {
  let scraping: ScrapeManager
  let discovery: DiscoveryManager
  private let hostname: String

  init(scraping: ScrapeManager, discovery: DiscoveryManager, hostname: String) {
    self.scraping = scraping
    self.discovery = discovery
    self.hostname = hostname
  }

  func add(to routes: inout WebRoutes) {
    let pages: [(String, @Sendable (TargetPages, WebRequest) -> WebResponse)] = [
      ("/api/v1/targets", { .json($0.targets($1)) }),
      ("/api/v1/scrape_pools", { pages, _ in .json(pages.scrapePools()) }),
      ("/api/v1/targets/relabel_steps", { $0.relabelSteps($1) }),
      ("/targets", { .html($0.targetsPage(TargetSelection($1))) }),
      ("/service-discovery", { .html($0.serviceDiscoveryPage(TargetSelection($1))) }),
    ]
    for (path, page) in pages {
      // With thousands of targets a page takes a while, which an event loop with its scrapes must not.
      routes[path] = { [self] request, respond in Task { respond(page(self, request)) } }
    }
  }

  /// `state`: active, dropped or any; `scrapePool`: the targets of one job.
  private func targets(_ request: WebRequest) -> JSON {
    let state = request.parameters("state").first?.lowercased() ?? "any"
    let pool = request.parameters("scrapePool").first ?? ""
    let jobs = discovery.snapshot().filter { pool.isEmpty || $0.jobName == pool }
    let statuses = state == "dropped" ? [] : scraping.snapshot().filter { pool.isEmpty || $0.target.jobName == pool }
    return .success([
      "activeTargets": .array(statuses.map(active)),
      "droppedTargets": .array(state == "active" ? [] : jobs.flatMap(dropped)),
      "droppedTargetCounts": .object(jobs.map { ($0.jobName, .integer($0.droppedCount)) }),
    ])
  }

  private func dropped(_ job: JobTargets) -> [JSON] {
    job.inactive(limit: job.job.keptDroppedTargets).filter { $0.fault == nil }.map { target in
      ["discoveredLabels": .labels(target.discoveredLabels), "scrapePool": .string(job.jobName)]
    }
  }

  private func active(_ status: TargetStatus) -> JSON {
    let target = status.target
    return [
      "discoveredLabels": .labels(target.discoveredLabels),
      "labels": .labels(target.labels),
      "scrapePool": .string(target.jobName),
      "scrapeUrl": .string(HTTPURL.masked(target.scrapeURL)),
      "globalUrl": .string(HTTPURL.masked(status.globalURL(hostname: hostname))),
      "lastError": .string(status.lastError),
      "lastScrape": .string(status.lastScrape.map { String(rfc3339Nanoseconds: $0) } ?? "0001-01-01T00:00:00Z"),
      "lastScrapeDuration": .number(status.lastScrapeDuration / .seconds(1)),
      "health": .string(status.health.rawValue),
      "scrapeInterval": .string(target.interval.prometheusText),
      "scrapeTimeout": .string(target.timeout.prometheusText),
    ]
  }

  private func scrapePools() -> JSON {
    .success(["scrapePools": .array(discovery.snapshot().map(\.jobName).sorted().map(JSON.string))])
  }

  // MARK: Steps

  /// `scrapePool`: whose rules; `labels`: to which, as a JSON object.
  private func relabelSteps(_ request: WebRequest) -> WebResponse {
    let pool = request.parameters("scrapePool").first ?? ""
    guard !pool.isEmpty else { return .badData("no scrapePool parameter provided") }
    var labels = LabelSet()
    do throws(JSONValue.Fault) {
      let text = Array((request.parameters("labels").first ?? "").utf8)
      guard case .object(let members) = try JSONValue(parsing: text.span.bytes) else {
        return .badData("error parsing labels: expected an object of texts")
      }
      for case (let name, .string(let value)) in members.map({ ($0.name, $0.value) }) {
        labels.set(name.utf8.span.bytes, to: value.utf8.span.bytes)
      }
    } catch {
      return .badData("error parsing labels: \(error)")
    }
    guard let job = discovery.snapshot().first(where: { $0.jobName == pool })?.job else {
      return .badData("error retrieving scrape config: scrape pool \"\(pool)\" not found")
    }
    let steps = job.relabelRules.steps(labels)
    let kept = steps.map { step in
      JSON.object([
        ("rule", JSON(step.rule.definition)), ("output", step.labels.map(JSON.labels) ?? [:]),
        ("keep", .bool(step.labels != nil)),
      ])
    }
    // Prometheus shows the rules behind the one that drops, too.
    let rest = job.relabelRules.rules.dropFirst(steps.count).map { rule in
      JSON.object([("rule", JSON(rule.definition)), ("output", [:]), ("keep", false)])
    }
    return .json(.success(["steps": .array(kept + rest)]))
  }
}

/// Which targets a page shows.
struct TargetSelection {
  /// So many targets stand on one page.
  static let limit = 500

  let pool: String
  /// Empty: all.
  let health: String
  let search: String

  init(_ request: WebRequest) {
    pool = request.parameters("scrapePool").first ?? ""
    health = request.parameters("health").first?.lowercased() ?? ""
    search = request.parameters("search").first ?? ""
  }

  /// Whether a text stands in a name, in a value or in one of the texts, in any case.
  func matches(_ labels: LabelSet, _ texts: String...) -> Bool {
    if search.isEmpty { return true }
    let wanted = search.lowercased()
    if texts.contains(where: { $0.lowercased().contains(wanted) }) { return true }
    return (0..<labels.count).contains { index in
      "\(String(utf8: labels.name(at: index)))=\"\(String(utf8: labels.value(at: index)))\"".lowercased()
        .contains(wanted)
    }
  }

  /// The form that asks for other ones.
  ///
  /// - Parameter states: those that `health` may name.
  func form(pools: [String], states: [String]) -> String {
    func options(_ values: [String], _ chosen: String) -> String {
      ([""] + values).map { value in
        "<option value=\"\(HTML.escape(value))\"\(value == chosen ? " selected" : "")>"
          + "\(value.isEmpty ? "all" : HTML.escape(value))</option>"
      }.joined()
    }
    return """
      <form>
      <label>Job <select name="scrapePool">\(options(pools, pool))</select></label>
      <label>State <select name="health">\(options(states, health))</select></label>
      <label>Search <input name="search" value="\(HTML.escape(search))"></label>
      <button>Show</button>
      </form>

      """
  }
}

extension JSON {
  static func success(_ data: JSON) -> JSON { ["status": "success", "data": data] }

  /// As Prometheus shows a rule: what is empty is left out.
  init(_ rule: RelabelRule.Definition) {
    self = .object(
      [
        ("source_labels", rule.sourceLabels.isEmpty ? .null : .array(rule.sourceLabels.map(JSON.string))),
        ("separator", .string(rule.separator)), ("regex", .string(rule.regex)),
        ("modulus", rule.modulus == 0 ? .null : .integer(Int(clamping: rule.modulus))),
        ("target_label", .string(rule.targetLabel)), ("replacement", .string(rule.replacement)),
        ("action", .string(rule.action.rawValue)),
      ].filter { member in
        switch member.1 {
        case .null, .string(""): false
        default: true
        }
      })
  }
}

extension WebResponse {
  static func badData(_ reason: String) -> WebResponse {
    .json(["status": "error", "errorType": "bad_data", "error": .string(reason)], status: 400)
  }
}
