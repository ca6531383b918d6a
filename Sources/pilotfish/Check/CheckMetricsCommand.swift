import Exposition
import Workspaces

/// `pilotfish check metrics`: an exposition on standard input, against the conventions of names.
enum CheckMetricsCommand {
  static let usage = """
    usage: pilotfish check metrics [<flags>] < METRICS

    Reads an exposition in the text format and says on standard error what goes against Prometheus' conventions, by
    promtool's rules: curl -s http://localhost:9100/metrics | pilotfish check metrics
    Ends with 0 when there is nothing to say, with 1 when the text cannot be read, with 3 otherwise.

      --extended        Also show how many series each family has.
      --lint=all|none   Which rules.

    """

  static func run(_ arguments: [String]) -> Int32 {
    guard let given = CommandArguments(arguments, switches: ["--extended"], values: ["--lint"]), given.plain.isEmpty
    else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    let rules = given.value("--lint") ?? "all"
    guard ["all", "none"].contains(rules) else {
      Console.complain("pilotfish: error: --lint: \"\(rules)\" is neither all nor none")
      return ExitStatus.failure
    }
    do {
      let text = try Console.standardInput()
      let lint = try MetricLint(text.span.bytes)
      let problems = rules == "none" ? [] : lint.problems
      for problem in problems { Console.complain(problem.description) }
      guard problems.isEmpty else { return ExitStatus.lint }
      if given.has("--extended") { print(table(of: lint), terminator: "") }
      return ExitStatus.success
    } catch {
      Console.complain("error while linting: \(error)")
      return ExitStatus.failure
    }
  }

  private static func table(of lint: MetricLint) -> String {
    let total = lint.cardinalities.reduce(0) { $0 + $1.count }
    let rows = lint.cardinalities.map { family in
      let hundredths = (family.count * 20_000 / max(total, 1) + 1) / 2
      let fraction = String(hundredths % 100 + 100).dropFirst()
      return [family.name, "\(family.count)", "\(hundredths / 100).\(fraction)%"]
    }
    var table = TextTable(["Metric", "Cardinality", "Percentage"], gap: 4)
    for row in rows { table.append(row) }
    table.append(["Total", "\(total)", "100%"])
    return table.text
  }
}
