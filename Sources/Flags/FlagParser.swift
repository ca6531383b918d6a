/// Reads a command line by the rules of kingpin (https://github.com/alecthomas/kingpin), which node_exporter and
/// Prometheus use: `--flag=value`, `--flag value`, `--switch`, `--no-switch`, `@FILE` for arguments a line each;
/// only repeatable flags may come twice.
public struct FlagParser: Sendable {
  public let definitions: [FlagDefinition]
  private let byName: [String: Int]

  /// - Parameter definitions: in the order in which the help shows them; names are unique.
  public init(_ definitions: [FlagDefinition]) {
    self.definitions = definitions
    byName = Dictionary(definitions.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// - Parameters:
  ///   - arguments: without the program's name.
  ///   - environment: gives the value of an environment variable; an empty one is as none.
  ///   - readFile: gives the lines of the file of an `@FILE` argument.
  public func parse(
    _ arguments: [String], environment: (String) -> String? = { _ in nil },
    readFile: (String) throws(FlagError) -> [String]
  ) throws(FlagError) -> FlagValues {
    var values = FlagValues()
    var rest = Array(try expand(arguments, readFile).reversed())
    while let argument = rest.popLast() {
      switch argument {
      case "-h": try give("help", "true", to: &values)
      case "--":
        // Behind it stand no flags, and there is nothing else to be given.
        if let word = rest.popLast() { throw .unexpected(word) }
      case let long where long.hasPrefix("--"):
        try parse(long: long, &rest, into: &values)
      case let short where short.hasPrefix("-") && short.count > 1:
        throw .unknownShort(short)
      default:
        throw .unexpected(argument)
      }
    }
    for definition in definitions where values.given[definition.name] == nil {
      guard let variable = definition.environment, let text = environment(variable), !text.isEmpty else { continue }
      try give(definition.name, text, to: &values)
    }
    return values
  }

  /// At most this many files inside files.
  private static let fileDepth = 8

  private func expand(
    _ arguments: [String], _ readFile: (String) throws(FlagError) -> [String], depth: Int = 0
  ) throws(FlagError) -> [String] {
    var expanded: [String] = []
    for argument in arguments {
      if argument.hasPrefix("@"), argument.count > 1 {
        guard depth < Self.fileDepth else { throw .unreadableFile(argument, "files are nested too deeply") }
        expanded += try expand(try readFile(String(argument.dropFirst())), readFile, depth: depth + 1)
      } else {
        expanded.append(argument)
      }
    }
    return expanded
  }

  private func parse(long argument: String, _ rest: inout [String], into values: inout FlagValues) throws(FlagError) {
    let text = argument.dropFirst(2)
    let equals = text.firstIndex(of: "=")
    let name = String(text[..<(equals ?? text.endIndex)])
    let inlineValue = equals.map { String(text[text.index(after: $0)...]) }
    if let index = byName[name] {
      if definitions[index].isSwitch {
        if let inlineValue { throw .unexpected(inlineValue) }
        try give(name, "true", to: &values)
      } else if let inlineValue {
        try give(name, inlineValue, to: &values)
      } else if let value = rest.popLast(), value == "-" || !value.hasPrefix("-") {
        try give(name, value, to: &values)
      } else {
        throw .missingValue(name)
      }
    } else if name.hasPrefix("no-"), let index = byName[String(name.dropFirst(3))], definitions[index].isSwitch {
      if let inlineValue { throw .unexpected(inlineValue) }
      try give(String(name.dropFirst(3)), "false", to: &values)
    } else {
      throw .unknown(name)
    }
  }

  private func give(_ name: String, _ value: String, to values: inout FlagValues) throws(FlagError) {
    guard let index = byName[name] else { throw .unknown(name) }
    let definition = definitions[index]
    if values.isGiven(definition), !definition.isRepeatable { throw .repeated(name) }
    do { try values.give(definition, value) } catch { throw .badValue(error.reason) }
  }
}

/// A command line that cannot be taken; the text is kingpin's, for those who match on it.
public enum FlagError: Error, CustomStringConvertible, Equatable {
  case unknown(String)
  case unknownShort(String)
  case unexpected(String)
  case repeated(String)
  case missingValue(String)
  case badValue(String)
  case unreadableFile(String, String)

  public var description: String {
    switch self {
    case .unknown(let name): "unknown long flag '--\(name)', try --help"
    case .unknownShort(let flag): "unknown short flag '\(flag)', try --help"
    case .unexpected(let word): "unexpected \(word), try --help"
    case .repeated(let name): "flag '\(name)' cannot be repeated, try --help"
    case .missingValue(let name): "expected argument for flag '--\(name)', try --help"
    case .badValue(let reason): "\(reason), try --help"
    case .unreadableFile(let path, let reason): "cannot read arguments from \(path): \(reason)"
    }
  }
}
