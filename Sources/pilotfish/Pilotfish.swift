import Flags
import Glibc

/// `pilotfish` is the exporter; `pilotfish agent` also scrapes and remote-writes.
@main
struct Pilotfish {
  static func main() async {
    // Signals are taken by one thread of our own; all others inherit this mask.
    TerminationSignals.block()
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
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
