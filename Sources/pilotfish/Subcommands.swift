/// What follows the name of a command that does several things.
struct Subcommands: Sendable {
  typealias Kind = (name: String, usage: String, run: @Sendable ([String]) async -> Int32)

  private let command: String
  private let kinds: [Kind]
  private let unknown: Int32

  /// - Parameter unknown: the status to exit with when there is no such subcommand.
  init(of command: String, _ kinds: [Kind], unknown: Int32) {
    self.command = command
    self.kinds = kinds
    self.unknown = unknown
  }

  static func isHelp(_ argument: String?) -> Bool { ["--help", "-h"].contains(argument) }

  /// - Parameter asksForHelp: whether these arguments of a subcommand ask for its usage.
  /// - Returns: the status to exit with.
  func run(_ arguments: [String], asksForHelp: ([String]) -> Bool) async -> Int32 {
    let name = arguments.first ?? ""
    let rest = Array(arguments.dropFirst())
    if let kind = kinds.first(where: { $0.name == name }) {
      guard asksForHelp(rest) else { return await kind.run(rest) }
      print(kind.usage, terminator: "")
      return ExitStatus.success
    }
    let usage = "usage: pilotfish \(command) \(kinds.map(\.name).joined(separator: "|")) …"
    guard Self.isHelp(name) else {
      Console.complain(usage)
      return unknown
    }
    print(usage)
    return ExitStatus.success
  }
}
