import Configuration

/// `pilotfish check`: looks at files without doing anything.
enum CheckCommand {
  private static let usage = "usage: pilotfish check config [--agent] FILE"

  static func run(_ arguments: [String]) throws {
    switch arguments.first {
    case "config": try checkConfiguration(Array(arguments.dropFirst()))
    default: throw UsageFault(usage: usage)
    }
  }

  /// - Throws: with all faults of the agent's configuration in the file.
  private static func checkConfiguration(_ arguments: [String]) throws {
    // promtool's flag: the agent's is the only kind of configuration here.
    let files = arguments.filter { $0 != "--agent" }
    guard let file = files.first, files.count == 1, !file.hasPrefix("-") else { throw UsageFault(usage: usage) }
    _ = try AgentConfiguration.load(file)
    print("\(file) is a valid configuration")
  }
}

/// A command line that is none.
private struct UsageFault: Error, CustomStringConvertible {
  let usage: String
  var description: String { usage }
}
