/// `pilotfish amp`: asks a workspace of Amazon Managed Service for Prometheus by hand. Each subcommand is a file of its
/// own.
enum AmpCommand {
  private static let kinds = Subcommands(
    of: "amp",
    [
      ("query", AmpQueryCommand.usage, AmpQueryCommand.run),
      ("labels", AmpLabelsCommand.usage, AmpLabelsCommand.run),
      ("series", AmpSeriesCommand.usage, AmpSeriesCommand.run),
      ("push", AmpPushCommand.usage, AmpPushCommand.run),
      ("cost", AmpCostCommand.usage, AmpCostCommand.run),
    ], unknown: ExitStatus.usage)

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) async -> Int32 {
    await kinds.run(arguments) { $0.contains(where: Subcommands.isHelp) }
  }
}
