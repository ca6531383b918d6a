/// One fault of a configuration file.
public struct ConfigurationProblem: Error, Sendable, CustomStringConvertible {
  /// Counted from 1.
  public let line: Int
  /// Counted from 1.
  public let column: Int
  /// The way to the key, such as `scrape_configs[0].static_configs[1].targets`; may be empty.
  public let path: String
  /// What was expected, and what the user can do.
  public let reason: String

  package init(_ position: YAMLNode.Position, _ path: String, _ reason: String) {
    line = position.line
    column = position.column
    self.path = path
    self.reason = reason
  }

  public var description: String { "\(line):\(column): " + (path.isEmpty ? reason : "\(path): \(reason)") }
}

/// A configuration that cannot be taken, with all its faults.
public struct ConfigurationError: Error, CustomStringConvertible {
  public let file: String
  /// In the order of the file; at least one, at most a hundred.
  public let problems: [ConfigurationProblem]

  package init(_ file: String, _ problems: [ConfigurationProblem]) {
    self.file = file
    self.problems = Array(problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }.prefix(100))
  }

  /// A fault a line, each as `FILE:LINE:COLUMN: PATH: REASON`.
  public var description: String { problems.map { "\(file):\($0)" }.joined(separator: "\n") }
}

/// A text of the file as an error may show it: short, on one line, and without what may be the userinfo of a URL, which
/// is all up to the last `@`.
package func shown(_ text: String) -> String {
  var scalars = text.unicodeScalars[...]
  if let at = scalars.lastIndex(of: "@") {
    scalars = scalars[at...]
  }
  let isMasked = scalars.startIndex > text.startIndex
  let line = scalars.prefix(100).map {
    $0.properties.generalCategory == .control ? $0.escaped(asASCII: true) : String($0)
  }
  return (isMasked ? "xxxxx" : "") + line.joined() + (scalars.count > 100 ? "..." : "")
}
