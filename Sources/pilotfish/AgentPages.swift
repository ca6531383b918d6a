// Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/#targets) and its health checks.

import Bytes
import Discovery
import Exposition
import Glibc
import Scraping
import Selectors
import Synchronization
import Web

/// What the agent shows beside `/metrics`.
final class AgentPages: Sendable {
  let isReady = Atomic<Bool>(false)
  private let scraping: ScrapeManager
  private let discovery: DiscoveryManager
  private let reload: AgentReload?
  private let hostname: String

  /// - Parameter reload: what `/-/reload` calls; nil: it is not allowed.
  init(scraping: ScrapeManager, discovery: DiscoveryManager, reload: AgentReload?, hostname: String) {
    self.scraping = scraping
    self.discovery = discovery
    self.reload = reload
    self.hostname = hostname
  }

  func add(to routes: inout WebRoutes) {
    routes["/-/healthy"] = { _, respond in respond(.plain(200, "pilotfish is Healthy.")) }
    routes["/-/ready"] = { [self] _, respond in
      respond(
        isReady.load(ordering: .relaxed)
          ? .plain(200, "pilotfish is Ready.") : .plain(503, "Service Unavailable"))
    }
    routes["/-/reload"] = { [reload] request, respond in
      guard ["POST", "PUT"].contains(request.method) else {
        return respond(.text(405, "Only POST or PUT requests allowed"))
      }
      guard let reload else { return respond(.text(403, "Lifecycle API is not enabled.")) }
      Task {
        do {
          try await reload.reload()
          respond(.text(200, ""))
        } catch {
          respond(.text(500, "failed to reload config: \(error)"))
        }
      }
    }
    routes["/api/v1/targets"] = { [self] request, respond in respond(.json(targets(request))) }
    routes["/api/v1/targets/metadata"] = { [self] request, respond in respond(metadata(request)) }
  }

  private func success(_ data: JSON) -> JSON { ["status": "success", "data": data] }

  // MARK: Targets

  /// `state`: active, dropped or any; `scrapePool`: the targets of one job.
  private func targets(_ request: WebRequest) -> JSON {
    let state = request.parameters("state").first ?? "any"
    let pool = request.parameters("scrapePool").first ?? ""
    let statuses = scraping.snapshot().filter { pool.isEmpty || $0.target.jobName == pool }
    let dropped = discovery.dropped().filter { pool.isEmpty || $0.jobName == pool }
    return success([
      "activeTargets": .array(state == "dropped" ? [] : statuses.map(active)),
      "droppedTargets": .array(state == "active" ? [] : dropped.flatMap(shown)),
      "droppedTargetCounts": .object(dropped.map { ($0.jobName, .integer($0.count)) }),
    ])
  }

  private func shown(_ dropped: DroppedTargets) -> [JSON] {
    dropped.discoveredLabels.map { labels in
      ["discoveredLabels": json(labels), "scrapePool": .string(dropped.jobName)]
    }
  }

  private func active(_ status: TargetStatus) -> JSON {
    let target = status.target
    return [
      "discoveredLabels": json(target.discoveredLabels),
      "labels": json(target.labels),
      "scrapePool": .string(target.jobName),
      "scrapeUrl": .string(target.scrapeURL),
      "globalUrl": .string(status.globalURL(hostname: hostname)),
      "lastError": .string(status.lastError),
      "lastScrape": .string(status.lastScrape.map(rfc3339) ?? "0001-01-01T00:00:00Z"),
      "lastScrapeDuration": .number(status.lastScrapeDuration / .seconds(1)),
      "health": .string(status.health.rawValue),
      "scrapeInterval": .string(target.interval.prometheusText),
      "scrapeTimeout": .string(target.timeout.prometheusText),
    ]
  }

  private func json(_ labels: LabelSet) -> JSON {
    .object(
      (0..<labels.count).map { index in
        (String(utf8: labels.name(at: index)), .string(String(utf8: labels.value(at: index))))
      })
  }

  // MARK: Metadata

  /// `match_target`: a selector; `metric`: one family; `limit`: so many entries.
  private func metadata(_ request: WebRequest) -> WebResponse {
    let text = request.parameters("match_target").first ?? ""
    let selector: Selector?
    do throws(SelectorError) {
      selector = text.isEmpty ? nil : try Selector(text)
    } catch {
      return .json(
        [
          "status": "error", "errorType": "bad_data",
          "error": .string("invalid parameter \"match_target\": \(error)"),
        ], status: 400)
    }
    let metric = request.parameters("metric").first ?? ""
    let limit = request.parameters("limit").first.flatMap { Int($0) } ?? .max
    let entries = scraping.snapshot().filter { selector?.matches($0.target.labels) ?? true }.flatMap { status in
      status.metadata.filter { metric.isEmpty || $0.family == metric }.map { entry -> JSON in
        [
          "target": json(status.target.labels), "metric": .string(entry.family), "type": .string(entry.type),
          "help": .string(entry.help), "unit": .string(entry.unit),
        ]
      }
    }
    return .json(success(.array(Array(entries.prefix(max(limit, 0))))))
  }
}

extension WebResponse {
  /// Plain text, as Prometheus' health checks answer.
  fileprivate static func plain(_ status: Int, _ text: String) -> WebResponse { .text(status, text) }
}

/// Nanoseconds since the epoch as RFC 3339, in UTC.
private func rfc3339(_ nanoseconds: Int64) -> String {
  var seconds = time_t(nanoseconds / 1_000_000_000)
  var parts = tm()
  gmtime_r(&seconds, &parts)
  func padded(_ value: some BinaryInteger, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
  return "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
    + "T\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
    + ".\(padded(nanoseconds % 1_000_000_000, 9))Z"
}
