// What AMP bills for the agent's samples: the page /cost, and /api/v1/pilotfish/cost for `pilotfish amp cost`.

import Billing
import Exposition
import Flags
import HTTPClient
import RemoteWrite
import Scraping
import Web

struct CostPages: Sendable {
  static let pricesFile = Flag(
    "agent.prices.file", "", "Path to a YAML file with what samples cost, for /cost; without one AMP's in us-east-1.")

  /// - Throws: when the file cannot be read, or has faults.
  static func prices(_ flags: FlagValues) throws -> AMPPrices {
    try flags[pricesFile].isEmpty ? .standard : AMPPrices(file: flags[pricesFile])
  }

  /// Rows of a table, if nobody says how many; and most of all.
  static let defaultTop = 10
  static let mostTop = 10_000

  private let account: CostAccount
  private let prices: AMPPrices

  init(_ scraping: ScrapeManager, _ storage: RemoteStorage, _ warden: SeriesGuard?, _ prices: AMPPrices) {
    self.prices = prices
    account = CostAccount { await Self.report(scraping, storage, warden) }
  }

  func add(to routes: inout WebRoutes) {
    for (path, show) in [("/cost", Self.page), ("/api/v1/pilotfish/cost", Self.json)] {
      routes[path] = { request, respond in
        Task {
          let name = request.parameters("remote").first.flatMap { $0.isEmpty ? nil : $0 }
          let document = CostDocument(await account.report(), prices, remoteName: name)
          guard document.remote != nil else { return respond(.badData("there is no remote_write of that name")) }
          let top = request.parameters("top").first.map { Int($0) ?? -1 } ?? Self.defaultTop
          guard 0...Self.mostTop ~= top else {
            return respond(.badData("top must be a number from 0 to \(Self.mostTop)"))
          }
          respond(show(document, top))
        }
      }
    }
  }

  private static func report(
    _ scraping: ScrapeManager, _ storage: RemoteStorage, _ warden: SeriesGuard?
  ) async -> CostReport {
    let sources = await scraping.activeSeries().map { target, series in
      let instance: StaticString = "instance"
      let url = HTTPURL.masked(target.scrapeURL)
      return CostSurvey.Source(
        job: target.jobName,
        instance: target.labels.index(of: instance).map { String(utf8: target.labels.value(at: $0)) } ?? url,
        url: url, interval: target.interval, series: series)
    }
    let remotes = storage.remotes.map { options in
      CostSurvey.Remote(
        name: options.name, url: "\(options.url)", rules: options.rules,
        texts: options.rules.rules.map(\.definition.summary))
    }
    var report = await CostSurvey(labels: storage).report(sources, remotes)
    let external = storage.externalLabels
    let (cluster, replica): (StaticString, StaticString) = ("cluster", "__replica__")
    if external.index(of: replica) != nil {
      report.cluster = external.index(of: cluster).map { String(utf8: external.value(at: $0)) }
    }
    report.refusals = warden?.standings().map(CostReport.Refusal.init)
    return report
  }

  // MARK: Showing

  private static func json(_ document: CostDocument, top: Int) -> WebResponse {
    .json(.success(document.json(top: top)))
  }

  private static func page(_ document: CostDocument, top: Int) -> WebResponse {
    let names = document.report.remotes.map(\.name)
    let options = names.map { name in
      let isChosen = name == document.remote?.name
      return "<option\(isChosen ? " selected" : "")>\(HTML.escape(name))</option>"
    }
    let form = """
      <form>
      <label>Remote <select name="remote">\(options.joined())</select></label>
      <label>Rows <input name="top" value="\(top)" inputmode="numeric"></label>
      <button>Show</button>
      </form>

      """
    let notes = document.notes.map { "<p>\(HTML.escape($0))</p>\n" }.joined()
    let tables = document.tables(top: top).map(html).joined()
    return .html(HTML.page(title: "Cost", links: TargetPages.links, body: form + tables + notes))
  }

  private static func html(_ table: CostTable) -> String {
    let columns = table.columns.map { "<th>\(HTML.escape($0))</th>" }.joined()
    let rows = table.rows.map { row in
      "<tr>" + row.map { "<td>\(HTML.escape($0))</td>" }.joined() + "</tr>\n"
    }
    return """
      <h2>\(HTML.escape(table.title))</h2>
      <table>
      <tr>\(columns)</tr>
      \(rows.joined())</table>
      \(table.left > 0 ? "<p>\(table.left) more are not shown.</p>" : "")

      """
  }
}
