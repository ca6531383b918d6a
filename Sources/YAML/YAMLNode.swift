/// A YAML text as a tree, each node with its place.
package struct YAMLNode {
  package enum Content {
    /// A plain `null`, `~` or nothing.
    case null
    /// `isPlain`: without quotes, so that it may be a number or a boolean.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    /// In the order of the text; no key twice.
    case mapping([Member])
  }

  /// One key of a mapping, and what stands there.
  package typealias Member = (key: String, keyPosition: Position, value: YAMLNode)

  /// Counted from 1.
  package struct Position: Hashable, Sendable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
      self.line = line
      self.column = column
    }
  }

  package var content: Content
  package var position: Position

  package init(content: Content, position: Position) {
    self.content = content
    self.position = position
  }

  /// What this is, for a message.
  package var kind: String {
    switch content {
    case .null: "nothing"
    case .scalar: "a single value"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}
