// Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/#targets) and its health checks.

import Bytes
import Exposition
import Scraping
import Selectors
import Synchronization
import Web

/// What the agent shows beside `/metrics`.
final class AgentPages: Sendable {
  let isReady = Atomic<Bool>(false)
  private let scraping: ScrapeManager
  private let reload: AgentReload?

  /// - Parameter reload: what `/-/reload` calls; nil: it is not allowed.
  init(scraping: ScrapeManager, reload: AgentReload?) {
    self.scraping = scraping
    self.reload = reload
  }

  func add(to routes: inout WebRoutes) {
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
    routes["/api/v1/targets/metadata"] = { [self] request, respond in
      // Of many targets that is much text: not on an event loop.
      Task { respond(metadata(request)) }
    }
  }

  // MARK: Metadata

  /// `match_target`: a selector; `metric`: one family; `limit`: so many entries.
  private func metadata(_ request: WebRequest) -> WebResponse {
    let text = request.parameters("match_target").first ?? ""
    let selector: Selector?
    do throws(SelectorError) {
      selector = text.isEmpty ? nil : try Selector(text)
    } catch {
      return .badData("invalid parameter \"match_target\": \(error)")
    }
    let metric = request.parameters("metric").first ?? ""
    var limit = Int.max
    if let text = request.parameters("limit").first, !text.isEmpty {
      guard let number = Int(text) else { return .badData("limit must be a number") }
      if number >= 0 { limit = number }
    }
    let entries = scraping.snapshot().filter { selector?.matches($0.target.labels) ?? true }.flatMap { status in
      status.metadata.filter { metric.isEmpty || $0.family == metric }.map { entry -> JSON in
        [
          "target": .labels(status.target.labels), "metric": .string(entry.family), "type": .string(entry.type),
          "help": .string(entry.help), "unit": .string(entry.unit),
        ]
      }
    }
    return .json(.success(.array(Array(entries.prefix(limit)))))
  }
}

extension WebResponse {
  /// Plain text, as Prometheus' health checks answer.
  fileprivate static func plain(_ status: Int, _ text: String) -> WebResponse { .text(status, text) }
}
