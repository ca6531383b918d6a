/// `pilotfish check`: looks at files without doing anything, and at a workspace of AMP. Each kind of check is a file of
/// its own.
enum CheckCommand {
  private static let kinds: [(name: String, usage: String, run: @Sendable ([String]) async -> Int32)] = [
    ("amp", CheckAmpCommand.usage, CheckAmpCommand.run),
    ("config", CheckConfigCommand.usage, CheckConfigCommand.run),
    ("log", CheckLogCommand.usage, CheckLogCommand.run),
    ("metrics", CheckMetricsCommand.usage, CheckMetricsCommand.run),
    ("relabel", CheckRelabelCommand.usage, CheckRelabelCommand.run),
    ("web-config", CheckWebConfigCommand.usage, CheckWebConfigCommand.run),
  ]

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) async -> Int32 {
    let name = arguments.first ?? ""
    let rest = Array(arguments.dropFirst())
    if let kind = kinds.first(where: { $0.name == name }) {
      guard ["--help", "-h"].contains(rest.first) else { return await kind.run(rest) }
      print(kind.usage, terminator: "")
      return ExitStatus.success
    }
    let usage = "usage: pilotfish check \(kinds.map(\.name).joined(separator: "|")) …"
    guard ["--help", "-h"].contains(name) else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    print(usage)
    return ExitStatus.success
  }
}

/// The arguments of a check: flags, wherever they stand before a `--`, and what is to be checked.
struct CheckArguments {
  private(set) var plain: [String] = []
  private var flags: [String: String] = [:]

  /// Nil when a flag is unknown or its value is missing; that is said on standard error.
  ///
  /// - Parameters:
  ///   - switches: flags without a value.
  ///   - values: flags with one.
  init?(_ arguments: [String], switches: [String] = [], values: [String] = []) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument != "--" else {
        plain += rest
        return
      }
      guard argument.hasPrefix("--") else {
        plain.append(argument)
        continue
      }
      let equals = argument.firstIndex(of: "=")
      let name = String(argument[..<(equals ?? argument.endIndex)])
      if switches.contains(name), equals == nil {
        flags[name] = ""
      } else if values.contains(name),
        let value = equals.map({ String(argument[$0...].dropFirst()) }) ?? rest.popFirst()
      {
        flags[name] = value
      } else {
        Console.complain("pilotfish: error: unknown flag '\(argument)', or its value is missing, try --help")
        return nil
      }
    }
  }

  func has(_ flag: String) -> Bool { flags[flag] != nil }
  func value(_ flag: String) -> String? { flags[flag] }
}
