/// `pilotfish amp`: asks a workspace of Amazon Managed Service for Prometheus by hand. Each subcommand is a file of its
/// own.
enum AmpCommand {
  private static let kinds: [(name: String, usage: String, run: @Sendable ([String]) async -> Int32)] = [
    ("query", AmpQueryCommand.usage, AmpQueryCommand.run),
    ("labels", AmpLabelsCommand.usage, AmpLabelsCommand.run),
    ("series", AmpSeriesCommand.usage, AmpSeriesCommand.run),
    ("push", AmpPushCommand.usage, AmpPushCommand.run),
    ("cost", AmpCostCommand.usage, AmpCostCommand.run),
  ]

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) async -> Int32 {
    let name = arguments.first ?? ""
    let rest = Array(arguments.dropFirst())
    if let kind = kinds.first(where: { $0.name == name }) {
      guard rest.contains(where: { ["--help", "-h"].contains($0) }) else { return await kind.run(rest) }
      print(kind.usage, terminator: "")
      return ExitStatus.success
    }
    let usage = "usage: pilotfish amp \(kinds.map(\.name).joined(separator: "|")) …"
    guard ["--help", "-h"].contains(name) else {
      Console.complain(usage)
      return ExitStatus.usage
    }
    print(usage)
    return ExitStatus.success
  }
}
