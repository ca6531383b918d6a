// Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/#targets) and its health checks.

import Bytes
import Exposition
import Scraping
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
    routes["/api/v1/targets/metadata"] = { [self] request, respond in respond(metadata(request)) }
  }

  // MARK: Metadata

  /// `match_target`: a selector of label matchers with `=`; `metric`: one family; `limit`: so many entries.
  private func metadata(_ request: WebRequest) -> WebResponse {
    let text = request.parameters("match_target").first ?? ""
    guard let selector = EqualitySelector(text) else {
      return .badData("invalid parameter \"match_target\": only {label=\"value\", …} is served by this version")
    }
    let metric = request.parameters("metric").first ?? ""
    let limit = request.parameters("limit").first.flatMap { Int($0) } ?? .max
    let entries = scraping.snapshot().filter { selector.matches($0.target.labels) }.flatMap { status in
      status.metadata.filter { metric.isEmpty || $0.family == metric }.map { entry -> JSON in
        [
          "target": .labels(status.target.labels), "metric": .string(entry.family), "type": .string(entry.type),
          "help": .string(entry.help), "unit": .string(entry.unit),
        ]
      }
    }
    return .json(.success(.array(Array(entries.prefix(max(limit, 0))))))
  }
}

extension WebResponse {
  /// Plain text, as Prometheus' health checks answer.
  fileprivate static func plain(_ status: Int, _ text: String) -> WebResponse { .text(status, text) }
}

/// A selector of the form `{name="value", …}`.
struct EqualitySelector {
  private var matchers: [(name: String, value: String)] = []

  /// Nil when the text is anything else; an empty text matches everything.
  init?(_ text: String) {
    let trimmed = text.trimmingBlanks
    if trimmed.isEmpty { return }
    guard trimmed.first == "{", trimmed.last == "}", trimmed.count >= 2 else { return nil }
    var rest = trimmed.dropFirst().dropLast()[...]
    while true {
      rest = rest.drop { $0 == " " || $0 == "," }
      if rest.isEmpty { return }
      guard let equals = rest.firstIndex(of: "=") else { return nil }
      let name = String(rest[..<equals]).trimmingBlanks
      rest = rest[rest.index(after: equals)...].drop { $0 == " " }
      guard rest.popFirst() == "\"" else { return nil }
      var value = ""
      var isClosed = false
      while let character = rest.popFirst() {
        if character == "\"" {
          isClosed = true
          break
        }
        if character == "\\" {
          guard let escaped = rest.popFirst() else { return nil }
          value.append(escaped == "n" ? "\n" : escaped)
        } else {
          value.append(character)
        }
      }
      guard isClosed, !name.isEmpty else { return nil }
      matchers.append((name, value))
    }
  }

  /// A label that is not there counts as empty.
  func matches(_ labels: LabelSet) -> Bool {
    matchers.allSatisfy { matcher in
      let index = labels.index(of: matcher.name.utf8.span.bytes)
      let value = index.map { String(utf8: labels.value(at: $0)) } ?? ""
      return value.utf8.elementsEqual(matcher.value.utf8)
    }
  }
}

extension String {
  fileprivate var trimmingBlanks: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
