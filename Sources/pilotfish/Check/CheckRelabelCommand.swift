import Configuration
import Discovery
import Exposition
import Relabeling
import Web

/// `pilotfish check relabel`: what a job's rules make of labels, rule by rule.
enum CheckRelabelCommand {
  static let usage = """
    usage: pilotfish check relabel FILE --job JOB [<flags>] [LABEL=VALUE…]

    Applies the relabel_configs of a job to the labels of a discovered target, and shows the labels after each rule:
    pilotfish check relabel prometheus.yml --job node __address__=10.0.0.1:9100 __meta_kubernetes_namespace=web
    The labels that each target has (job, __scheme__, …) are added.

      --metric-rules   Applies metric_relabel_configs instead, to the labels of a sample: __name__=up job=node
      --json           The same as JSON.

    """

  static func run(_ arguments: [String]) -> Int32 {
    guard
      let given = CommandArguments(arguments, switches: ["--json", "--metric-rules"], values: ["--job"]),
      let file = given.plain.first, let name = given.value("--job")
    else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    do {
      let configuration = try AgentConfiguration.load(file)
      guard let job = configuration.scrapeConfigs.first(where: { $0.jobName.utf8.elementsEqual(name.utf8) }) else {
        let names = configuration.scrapeConfigs.map(\.jobName).joined(separator: ", ")
        throw CheckFault("\(file) has no job \"\(name)\"; it has: \(names)")
      }
      let labels = try given.plain.dropFirst().map(label)
      let isForMetrics = given.has("--metric-rules")
      let start =
        isForMetrics
        ? LabelSet(labels.map { (name: $0.name, value: $0.value) }) : Target.discoveredLabels(job, labels, [])
      let steps = (isForMetrics ? job.metricRelabelRules : job.relabelRules).steps(start)
      print(given.has("--json") ? json(start, steps).text : text(start, steps))
      return ExitStatus.success
    } catch {
      Console.complain("pilotfish: error: \(error)")
      return ExitStatus.failure
    }
  }

  private static func label(_ text: String) throws(CheckFault) -> ConfiguredLabel {
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw CheckFault("\(text) is no label: expected LABEL=VALUE")
    }
    return ConfiguredLabel(name: String(text[..<equals]), value: String(text[equals...].dropFirst()))
  }

  // MARK: Showing

  private static func text(_ start: LabelSet, _ steps: [RelabelRules.Step]) -> String {
    var lines = ["labels: \(start)"]
    for (index, step) in steps.enumerated() {
      let outcome = step.labels.map { step.isChange ? "\($0)" : "no change" } ?? "dropped"
      lines.append("rule \(index) (\(step.rule.definition.summary)): \(outcome)")
    }
    lines.append("result: " + (steps.last.map { $0.labels?.description ?? "dropped" } ?? "\(start)"))
    return lines.joined(separator: "\n")
  }

  private static func json(_ start: LabelSet, _ steps: [RelabelRules.Step]) -> JSON {
    let result = steps.isEmpty ? start : steps.last?.labels
    return [
      "labels": .labels(start),
      "steps": .array(
        steps.map { step in
          [
            "rule": step.rule.definition.json, "labels": step.labels.map(JSON.labels) ?? .null,
            "changed": .bool(step.isChange),
          ]
        }),
      "dropped": .bool(result == nil), "result": result.map(JSON.labels) ?? .null,
    ]
  }
}

extension RelabelRule.Definition {
  /// The fields that are not as by default, by their names in the file.
  private var fields: [(String, String)] {
    let fixed = RelabelRule.Definition()
    let all: [(String, String, String)] = [
      ("source_labels", "[\(sourceLabels.joined(separator: ", "))]", "[]"), ("separator", separator, fixed.separator),
      ("regex", regex, fixed.regex), ("modulus", "\(modulus)", "0"), ("target_label", targetLabel, ""),
      ("replacement", replacement, fixed.replacement),
    ]
    return all.filter { $0.1 != $0.2 }.map { ($0.0, $0.1) }
  }

  var summary: String {
    (["\(action)"] + fields.map { "\($0.0): \($0.1)" }).joined(separator: ", ")
  }

  fileprivate var json: JSON {
    .object([("action", .string(action.rawValue))] + fields.map { ($0.0, .string($0.1)) })
  }
}

extension JSON {
  static func labels(_ labels: LabelSet) -> JSON {
    .object(
      (0..<labels.count).map { index in
        (String(utf8: labels.name(at: index)), .string(String(utf8: labels.value(at: index))))
      })
  }
}
