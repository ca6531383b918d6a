import Web
import Workspaces

/// `pilotfish check amp`: what stands between this host and a workspace.
enum CheckAmpCommand {
  static let usage = """
    usage: pilotfish check amp [<flags>]

    Looks, step by step, whether this host can write to a workspace of Amazon Managed Service for Prometheus and read
    from it: credentials, account, DNS, TCP, TLS, clock, a sample written (pilotfish_check{host="…"}), and read back.
    Says of each step what was seen and, when it failed, what can be done.
    Ends with 0 when all passed, with 1 when one did not, with 2 when the command line is not understood.

      --json                 The same as JSON.

    \(AmpSession.sourceUsage)
    """

  static func run(_ arguments: [String]) async -> Int32 {
    await AmpSession.run(arguments, usage: usage, switches: ["--json"]) { session in
      guard session.given.plain.isEmpty else { throw UsageFault("unexpected \(session.given.plain[0])") }
      let isJSON = session.given.has("--json")
      var workspace = session.workspace
      if !session.given.has("--timeout") { workspace.timeout = .seconds(10) }
      var outcomes: [WorkspaceCheck.Outcome] = []
      if !isJSON { print("Checking \(workspace.url)") }
      var check = WorkspaceCheck(workspace, host: AgentCommand.hostname(), group: session.group)
      let isGood = await check.run { outcome in
        outcomes.append(outcome)
        if !isJSON { print(text(outcome)) }
      }
      if isJSON { print(json(workspace, outcomes, isGood).text) }
      return isGood ? ExitStatus.success : ExitStatus.failure
    }
  }

  private static func text(_ outcome: WorkspaceCheck.Outcome) -> String {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
    let line = "  \(padded(outcome.state.rawValue, 8)) \(padded(outcome.step.rawValue, 12)) \(outcome.seen)"
    return outcome.remedy.map { "\(line)\n\(padded("", 24))remedy: \($0)" } ?? line
  }

  private static func json(_ workspace: Workspace, _ outcomes: [WorkspaceCheck.Outcome], _ isGood: Bool) -> JSON {
    [
      "url": .string("\(workspace.url)"), "ok": .bool(isGood),
      "steps": .array(
        outcomes.map { outcome in
          [
            "step": .string(outcome.step.rawValue), "state": .string(outcome.state.rawValue),
            "seen": .string(outcome.seen), "remedy": outcome.remedy.map(JSON.string) ?? .null,
          ]
        }),
    ]
  }
}
