// A report with prices as JSON: what an agent serves under /api/v1/pilotfish/cost, and what `pilotfish amp cost` reads
// from there. docs/cost.md describes it.

import Bytes
import Web

extension CostDocument {
  /// - Parameter top: rows of each table at most.
  public func json(top: Int) -> JSON {
    let remote = remote ?? CostReport.Remote(name: "", url: "")
    func rows(_ table: CostReport.Table, _ keys: (CostReport.Row) -> [(String, JSON)]) -> JSON {
      .array(table.rows.prefix(max(top, 0)).map { .object(keys($0) + members($0.amount, cost($0.amount, of: remote))) })
    }
    return .object([
      ("remote", .string(remote.name)),
      ("jobs", rows(remote.jobs) { [("job", .string($0.name))] }),
      (
        "targets",
        rows(remote.targets) { [("job", .string($0.job)), ("instance", .string($0.name)), ("url", .string($0.url))] }
      ),
      ("metrics", rows(remote.metrics) { [("metric", .string($0.name))] }),
      (
        "counts",
        [
          "jobs": .integer(remote.jobs.count), "targets": .integer(remote.targets.count),
          "metrics": .integer(remote.metrics.count),
        ]
      ),
      ("remotes", .array(report.remotes.map(json))),
      ("guard", report.refusals.map { .array($0.map(json)) } ?? .null),
      ("cluster", report.cluster.map { .string($0) } ?? .null),
      ("seriesScraped", .integer(report.series)), ("seriesExamined", .integer(report.examined)),
      ("accountSamplesPerMonth", .number(accountSamples)),
      (
        "prices",
        [
          "currency": .string(prices.currency), "date": .string(prices.date), "source": .string(prices.source),
          "samplesIngested": .array(
            prices.tiers.map { tier in
              ["upTo": tier.end.isFinite ? .number(tier.end) : .null, "per10Million": .number(tier.per10Million)]
            }),
        ]
      ),
    ])
  }

  private func members(_ amount: CostReport.Amount, _ cost: Double) -> [(String, JSON)] {
    [
      ("series", whole(amount.series)), ("samplesPerDay", .number(amount.samplesPerDay)),
      ("costPerMonth", .number(cost)),
    ]
  }

  private func json(_ remote: CostReport.Remote) -> JSON {
    let rules = remote.rules.map { rule in
      JSON.object(
        [("index", .integer(rule.index)), ("rule", .string(rule.text))]
          + members(rule.dropped, saving(rule, of: remote)))
    }
    return .object(
      [("name", .string(remote.name)), ("url", .string(remote.url))] + members(remote.total, cost(remote))
        + [("rules", .array(rules))])
  }

  private func json(_ refusal: CostReport.Refusal) -> JSON {
    [
      "job": .string(refusal.job), "series": whole(refusal.series), "samplesPerDay": .number(refusal.samplesPerDay),
      "maxSeries": refusal.maxSeries.map(whole) ?? .null,
      "maxSamplesPerDay": refusal.maxSamplesPerDay.map { .number($0) } ?? .null,
      "refusing": whole(refusal.refusing), "refused": whole(refusal.refused),
      "metrics": .array(refusal.metrics.map { ["metric": .string($0.name), "refused": whole($0.refused)] }),
    ]
  }

  private func whole(_ number: Double) -> JSON { .integer(Int(number.rounded())) }
}

// MARK: Reading

extension CostDocument {
  /// Reads what an agent serves, but for its prices.
  ///
  /// - Throws: when it is something else.
  public init(_ json: JSONValue) throws(CostFault) {
    guard case .array(let remotes)? = json["remotes"], let shown = json["remote"]?.text else {
      throw CostFault(reason: "it has no remotes")
    }
    var report = CostReport(remotes: remotes.map(CostReport.Remote.init), series: 0, examined: 0)
    report.series = Int(json.number("seriesScraped"))
    report.examined = Int(json.number("seriesExamined"))
    report.cluster = json["cluster"]?.text
    if case .array(let refusals)? = json["guard"] { report.refusals = refusals.map(CostReport.Refusal.init) }
    if let place = report.remotes.firstIndex(where: { $0.name == shown }) {
      report.remotes[place].jobs = CostReport.Table(json, "jobs", name: "job")
      report.remotes[place].targets = CostReport.Table(json, "targets", name: "instance")
      report.remotes[place].metrics = CostReport.Table(json, "metrics", name: "metric")
    }
    self.init(report, remoteName: shown)
  }
}

/// An answer that is no report.
public struct CostFault: Error, Equatable, CustomStringConvertible {
  public let reason: String
  public var description: String { "not a report of costs: \(reason)" }
}

extension CostReport.Remote {
  fileprivate init(_ json: JSONValue) {
    self.init(name: json["name"]?.text ?? "", url: json["url"]?.text ?? "", total: CostReport.Amount(json))
    rules = json.elements("rules").map { rule in
      CostReport.Rule(
        index: Int(rule.number("index")), text: rule["rule"]?.text ?? "", dropped: CostReport.Amount(rule))
    }
  }
}

extension CostReport.Amount {
  fileprivate init(_ json: JSONValue) {
    self.init(series: json.number("series"), samplesPerDay: json.number("samplesPerDay"))
  }
}

extension CostReport.Table {
  fileprivate init(_ json: JSONValue, _ key: String, name: String) {
    self.init(
      json.elements(key).map { row in
        CostReport.Row(
          name: row[name]?.text ?? "", job: name == "job" ? "" : row["job"]?.text ?? "", url: row["url"]?.text ?? "",
          amount: CostReport.Amount(row))
      })
    count = Int(json["counts"]?.number(key) ?? 0)
  }
}

extension CostReport.Refusal {
  fileprivate init(_ json: JSONValue) {
    self.init(
      job: json["job"]?.text ?? "", series: json.number("series"), samplesPerDay: json.number("samplesPerDay"),
      maxSeries: json["maxSeries"]?.number, maxSamplesPerDay: json["maxSamplesPerDay"]?.number,
      refusing: json.number("refusing"), refused: json.number("refused"),
      metrics: json.elements("metrics").map { Name(name: $0["metric"]?.text ?? "", refused: $0.number("refused")) })
  }
}

extension JSONValue {
  fileprivate var text: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// Nil for what no figure can be.
  fileprivate var number: Double? {
    if case .number(let number) = self, number.magnitude < 0x1p53 { number } else { nil }
  }

  fileprivate func number(_ key: String) -> Double { self[key]?.number ?? 0 }

  fileprivate func elements(_ key: String) -> [JSONValue] {
    if case .array(let elements)? = self[key] { elements } else { [] }
  }
}
