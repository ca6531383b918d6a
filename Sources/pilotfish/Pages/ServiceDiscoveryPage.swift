// The page /service-discovery: what was discovered, and what the rules made of it.

import Configuration
import Discovery
import Exposition
import Relabeling
import Web

extension TargetPages {
  func serviceDiscoveryPage(_ selection: TargetSelection) -> String {
    let jobs = discovery.snapshot()
    var left = 0
    var room = TargetSelection.limit
    var body = selection.form(pools: jobs.map(\.jobName), states: ["active", "dropped", "error"])
    for job in jobs where selection.pool.isEmpty || selection.pool == job.jobName {
      let (rows, shown, more) = rows(job, selection, room: room)
      room -= shown
      left += more
      let active = job.count - job.droppedCount - job.faultCount
      body += """
        <h2>\(HTML.escape(job.jobName)) (\(active) of \(job.count) active)</h2>
        <table>
        <tr><th>State</th><th>Discovered labels</th><th>Target labels</th></tr>
        \(rows)</table>

        """
    }
    return HTML.page(title: "Service discovery", links: Self.links, body: body + Self.note(left))
  }

  /// - Returns: the rows, how many there are, and for how many there was no room.
  private func rows(
    _ job: JobTargets, _ selection: TargetSelection, room: Int
  ) -> (html: String, shown: Int, left: Int) {
    var (html, shown, left) = ("", 0, 0)
    func show(_ discovered: LabelSet, _ state: String, _ outcome: () -> String) {
      guard selection.health.isEmpty || selection.health == state, selection.matches(discovered) else { return }
      guard shown < room else {
        left += 1
        return
      }
      shown += 1
      html += """
        <tr><td class="\(state)">\(state)</td><td>\(labelList(discovered))</td><td>\(outcome())</td></tr>

        """
    }
    for target in job.targets { show(target.discoveredLabels, "active") { labelList(target.labels) } }
    let kept = job.job.keptDroppedTargets
    let inactive = job.inactive(limit: kept)
    for target in inactive {
      if let fault = target.fault {
        show(target.discoveredLabels, "error") { HTML.escape(fault) }
      } else {
        show(target.discoveredLabels, "dropped") { dropping(target.discoveredLabels, job.job.relabelRules) }
      }
    }
    if selection.search.isEmpty, selection.health.isEmpty {
      left += max(job.droppedCount + job.faultCount - inactive.count, 0)
    }
    return (html, shown, left)
  }

  /// The rule that dropped the labels, by its place in the list.
  private func dropping(_ labels: LabelSet, _ rules: RelabelRules) -> String {
    guard let index = rules.firstDrop(labels) else { return "" }
    return "dropped by relabel_configs[\(index)] <code>\(HTML.escape(rules.rules[index].definition.summary))</code>"
  }
}

extension ScrapeConfiguration {
  /// How many dropped targets are shown.
  var keptDroppedTargets: Int { limits.droppedTargets == 0 ? 100 : limits.droppedTargets }
}
