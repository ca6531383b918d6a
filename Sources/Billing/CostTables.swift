/// A report with prices as tables, for people: the command prints them, the page shows them.
public struct CostTable: Sendable {
  public var title: String
  public var columns: [String]
  public var rows: [[String]]
  /// How many more rows there are.
  public var left = 0
}

extension CostDocument {
  /// - Parameter top: rows of each table at most, but for the remotes and their rules, which are all there.
  public func tables(top: Int) -> [CostTable] {
    guard let remote else { return [] }
    let figures = ["Series", "Samples/day", "\(prices.currency)/month"]
    var tables: [CostTable] = []
    if !report.remotes.contains(where: { $0.name.isEmpty }) {
      tables.append(
        CostTable(
          title: "Remotes", columns: ["Remote", "URL"] + figures,
          rows: report.remotes.map { [$0.name, $0.url] + cells($0.total, cost($0)) }))
    }
    let name = remote.name.isEmpty ? "a remote" : remote.name
    func add(_ title: String, _ columns: [String], _ table: CostReport.Table, _ names: (CostReport.Row) -> [String]) {
      let rows = table.rows.prefix(max(top, 0)).map { names($0) + cells($0.amount, cost($0.amount, of: remote)) }
      tables.append(
        CostTable(
          title: "\(title), sent to \(name)", columns: columns + figures, rows: rows,
          left: max(table.count - rows.count, 0)))
    }
    add("Jobs", ["Job"], remote.jobs) { [$0.name] }
    add("Targets", ["Job", "Instance"], remote.targets) { [$0.job, $0.name] }
    add("Metric names", ["Metric"], remote.metrics) { [$0.name] }
    for remote in report.remotes where !remote.rules.isEmpty {
      tables.append(
        CostTable(
          title: "What write_relabel_configs of \(remote.name) save", columns: ["Rule", "Text"] + figures,
          rows: remote.rules.map { ["\($0.index)", $0.text] + cells($0.dropped, saving($0, of: remote)) }))
    }
    if let refusals = report.refusals { tables.append(table(refusals)) }
    return tables
  }

  private func cells(_ amount: CostReport.Amount, _ cost: Double) -> [String] {
    [amount.series.grouped, amount.samplesPerDay.grouped, cost.fixed(2)]
  }

  private func table(_ refusals: [CostReport.Refusal]) -> CostTable {
    func of(_ most: Double?) -> String { most.map { " of \($0.grouped)" } ?? "" }
    return CostTable(
      title: "Guard", columns: ["Job", "Series", "Samples/day", "Kept out", "Refused so far", "Metric names refused"],
      rows: refusals.map { refusal in
        [
          refusal.job, refusal.series.grouped + of(refusal.maxSeries),
          refusal.samplesPerDay.grouped + of(refusal.maxSamplesPerDay), refusal.refusing.grouped,
          refusal.refused.grouped,
          refusal.metrics.map { "\($0.name) (\($0.refused.grouped))" }.joined(separator: ", "),
        ]
      })
  }
}

extension CostTable {
  /// Columns in line; numbers to the right, as far as their headings say so.
  public var text: String {
    let all = [columns] + rows.map { $0.map(Self.harmless) }
    let widths = columns.indices.map { column in all.map { $0[column].unicodeScalars.count }.max() ?? 0 }
    let lines = all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
        line += (column == 0 ? "" : "  ") + (isNumeric(column) ? padding + cell : cell + padding)
      }
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
    let rest = left > 0 ? ["… and \(left) more: --top=N shows them"] : []
    return ([title] + lines + rest).joined(separator: "\n") + "\n"
  }

  /// A target names its metrics as it likes: nothing of that is a command to a terminal.
  private static func harmless(_ cell: String) -> String {
    String(
      String.UnicodeScalarView(
        cell.unicodeScalars.map { scalar in
          switch scalar.properties.generalCategory {
          case .control, .format, .lineSeparator, .paragraphSeparator: "\u{fffd}"
          default: scalar
          }
        }))
  }

  private func isNumeric(_ column: Int) -> Bool {
    ["Series", "Samples/day", "Kept out", "Refused so far"].contains(columns[column])
      || columns[column].hasSuffix("/month")
  }
}
