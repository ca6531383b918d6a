import Glibc

/// `pilotfish` is the exporter; `pilotfish agent` also scrapes and remote-writes; `pilotfish check` looks at files,
/// `pilotfish amp` at a workspace of AMP, `pilotfish healthcheck` at a running pilotfish.
@main
struct Pilotfish {
  static func main() {
    TerminationSignals.block()
    Task.detached { await run(Array(CommandLine.arguments.dropFirst())) }
    TerminationSignals.deliver()
  }

  private static func run(_ arguments: [String]) async -> Never {
    do {
      switch arguments.first {
      case "agent": try await AgentCommand.run(Array(arguments.dropFirst()))
      case "amp": exit(await AmpCommand.run(Array(arguments.dropFirst())))
      case "check": exit(await CheckCommand.run(Array(arguments.dropFirst())))
      case "healthcheck": exit(await HealthcheckCommand.run(Array(arguments.dropFirst())))
      default: try await ExporterCommand.run(arguments)
      }
      exit(0)
    } catch {
      Console.complain("pilotfish: error: \(error)")
      exit(1)
    }
  }
}
