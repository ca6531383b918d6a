// The page /targets: how each target fares.

import Bytes
import Discovery
import Exposition
import Glibc
import HTTPClient
import Scraping
import Web

extension TargetPages {
  func targetsPage(_ selection: TargetSelection) -> String {
    let all = scraping.snapshot()
    let jobs = discovery.snapshot().map(\.jobName)
    var shown = 0
    var left = 0
    var body = selection.form(pools: jobs, states: ["up", "down", "unknown"])
    for (job, statuses) in Self.byJob(all) where selection.pool.isEmpty || selection.pool == job {
      var rows = ""
      for status in statuses where matches(status, selection) {
        guard shown < TargetSelection.limit else {
          left += 1
          continue
        }
        shown += 1
        rows += row(status)
      }
      let up = statuses.count { $0.health == .up }
      body += """
        <h2>\(HTML.escape(job)) (\(up) of \(statuses.count) up)</h2>
        <table>
        <tr><th>Endpoint</th><th>State</th><th>Labels</th><th>Last scrape</th><th>Duration</th><th>Error</th></tr>
        \(rows)</table>

        """
    }
    return HTML.page(title: "Targets", links: Self.links, body: body + Self.note(left))
  }

  static let links = [("/", "Home"), ("/targets", "Targets"), ("/service-discovery", "Service discovery")]

  /// Says how many targets the page leaves out.
  static func note(_ left: Int) -> String {
    left == 0 ? "" : "<p>\(left) more are not shown: choose a job or a state, or search.</p>"
  }

  /// In the order that they have.
  private static func byJob(_ statuses: [TargetStatus]) -> [(String, [TargetStatus])] {
    var jobs: [(String, [TargetStatus])] = []
    for status in statuses {
      if jobs.last?.0 == status.target.jobName {
        jobs[jobs.count - 1].1.append(status)
      } else {
        jobs.append((status.target.jobName, [status]))
      }
    }
    return jobs
  }

  private func matches(_ status: TargetStatus, _ selection: TargetSelection) -> Bool {
    (selection.health.isEmpty || selection.health == status.health.rawValue)
      && selection.matches(status.target.labels, status.target.scrapeURL, status.lastError)
  }

  private func row(_ status: TargetStatus) -> String {
    let url = HTML.escape(HTTPURL.masked(status.target.scrapeURL))
    // What rules make of a URL may be no http at all: then it is no link.
    let isLink = ["http://", "https://"].contains { status.target.scrapeURL.hasPrefix($0) }
    let milliseconds = (status.lastScrapeDuration / .milliseconds(1)).rounded()
    return """
      <tr><td>\(isLink ? "<a href=\"\(url)\">\(url)</a>" : url)</td>
      <td class="\(status.health.rawValue)">\(status.health.rawValue)</td>
      <td>\(labelList(status.target.labels))
      <details><summary>discovered</summary>\(labelList(status.target.discoveredLabels))</details></td>
      <td>\(status.lastScrape.map(age) ?? "never")</td><td>\(Int(milliseconds)) ms</td>
      <td>\(HTML.escape(status.lastError))</td></tr>

      """
  }

  /// How long ago that was.
  private func age(_ nanoseconds: Int64) -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let age = max(Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000 - nanoseconds / 1_000_000, 0)
    return
      "<span title=\"\(String(rfc3339Nanoseconds: nanoseconds))\">\(Duration.milliseconds(age).prometheusText) ago</span>"
  }
}

/// A label a line.
func labelList(_ labels: LabelSet) -> String {
  (0..<labels.count).map { index in
    let name = HTML.escape(String(utf8: labels.name(at: index)))
    return "<code>\(name)=\"\(HTML.escape(String(utf8: labels.value(at: index))))\"</code>"
  }.joined(separator: "<br>")
}
