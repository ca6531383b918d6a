import Glibc

/// `pilotfish` is the exporter; `pilotfish agent` also scrapes and remote-writes.
@main
struct Pilotfish {
  static func main() {
    TerminationSignals.block()
    Task.detached { await run(Array(CommandLine.arguments.dropFirst())) }
    TerminationSignals.deliver()
  }

  private static func run(_ arguments: [String]) async -> Never {
    do {
      if arguments.starts(with: ["check", "log"]) { exit(CheckLogCommand.run(Array(arguments.dropFirst(2)))) }
      if arguments.first == "agent" {
        try await AgentCommand.run(Array(arguments.dropFirst()))
      } else {
        try await ExporterCommand.run(arguments)
      }
      exit(0)
    } catch {
      var line = "pilotfish: error: \(error)\n"
      line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
      exit(1)
    }
  }
}
