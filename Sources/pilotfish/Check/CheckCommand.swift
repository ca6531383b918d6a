/// `pilotfish check`: looks at files without doing anything, and at a workspace of AMP. Each kind of check is a file of
/// its own.
enum CheckCommand {
  private static let kinds = Subcommands(
    of: "check",
    [
      ("amp", CheckAmpCommand.usage, CheckAmpCommand.run),
      ("config", CheckConfigCommand.usage, CheckConfigCommand.run),
      ("log", CheckLogCommand.usage, CheckLogCommand.run),
      ("metrics", CheckMetricsCommand.usage, CheckMetricsCommand.run),
      ("relabel", CheckRelabelCommand.usage, CheckRelabelCommand.run),
      ("web-config", CheckWebConfigCommand.usage, CheckWebConfigCommand.run),
    ], unknown: ExitStatus.failure)

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) async -> Int32 {
    await kinds.run(arguments) { Subcommands.isHelp($0.first) }
  }
}
