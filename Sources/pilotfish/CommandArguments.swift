/// The arguments of a subcommand: flags, wherever they stand before a `--`, and what else is given.
struct CommandArguments {
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
