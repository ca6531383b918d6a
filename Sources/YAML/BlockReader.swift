/// Collects the faults of one file while it is read: reading goes on behind each.
package final class Problems {
  package private(set) var list: [ConfigurationProblem] = []

  package init() {}

  package func add(_ position: YAMLNode.Position, _ path: String, _ reason: String) {
    list.append(ConfigurationProblem(position, path, reason))
  }
}

/// The keys of one kind of block.
package struct BlockKeys: Sendable {
  /// What this version acts on.
  package let served: Set<String>
  /// What Prometheus knows besides: refused by name, never ignored.
  package let known: Set<String>

  package init(served: [String], known: [String] = []) {
    self.served = Set(served)
    self.known = Set(known)
  }
}

/// Reads one block: its keys against the table of those that it may have, its values by type.
///
/// A value of the wrong type is a fault and reads as nil, so that the default stands in and reading goes on.
package struct BlockReader {
  /// The block, unread.
  package let node: YAMLNode
  package let path: String
  package let problems: Problems
  private let members: [String: YAMLNode]

  /// - Parameter node: a mapping, or nothing for an empty block.
  package init(_ node: YAMLNode, _ path: String, _ keys: BlockKeys, _ problems: Problems) {
    self.node = node
    self.path = path
    self.problems = problems
    var members: [String: YAMLNode] = [:]
    switch node.content {
    case .null: break
    case .mapping(let pairs):
      for pair in pairs {
        if keys.served.contains(pair.key) {
          members[pair.key] = pair.value
        } else if keys.known.contains(pair.key) {
          problems.add(
            pair.keyPosition, Self.join(path, pair.key),
            "known to Prometheus, but not served by this version of pilotfish; remove it")
        } else {
          let hint = nearest(to: pair.key, in: keys.served.union(keys.known)).map { ", did you mean \($0)?" } ?? ""
          problems.add(pair.keyPosition, Self.join(path, pair.key), "unknown key\(hint)")
        }
      }
    default: problems.add(node.position, path, "expected a mapping, found \(node.kind)")
    }
    self.members = members
  }

  /// Reads a text by the keys of its outermost block.
  ///
  /// - Parameter file: how the errors name the text.
  /// - Throws: with all faults of the text.
  package static func read<Value>(
    _ text: [UInt8], file: String, _ keys: BlockKeys, _ body: (BlockReader) -> Value
  ) throws(ConfigurationError) -> Value {
    let root: YAMLNode
    do {
      root = try YAMLParser.parse(text)
    } catch {
      throw ConfigurationError(file, [error])
    }
    let problems = Problems()
    let value = body(BlockReader(root, "", keys, problems))
    guard problems.list.isEmpty else { throw ConfigurationError(file, problems.list) }
    return value
  }

  private static func join(_ path: String, _ key: String) -> String {
    path.isEmpty ? shown(key) : "\(path).\(shown(key))"
  }

  package var position: YAMLNode.Position { node.position }

  package func path(of key: String) -> String { Self.join(path, key) }

  /// The path of a member of the mapping at `key`.
  package func path(of key: String, _ member: String) -> String { Self.join(path(of: key), member) }

  /// Notes a fault at a key's value.
  package func refuse(_ key: String, _ reason: String) {
    problems.add(members[key]?.position ?? node.position, path(of: key), reason)
  }

  // MARK: Values

  package func has(_ key: String) -> Bool { members[key] != nil }

  /// What stands at a key, unread.
  package func node(_ key: String) -> YAMLNode? { members[key] }

  package func string(_ key: String) -> String? {
    guard let node = members[key] else { return nil }
    switch node.content {
    case .scalar(let text, _): return text
    case .null: return nil
    default:
      refuse(key, "expected a text, found \(node.kind)")
      return nil
    }
  }

  package func bool(_ key: String) -> Bool? {
    parsed(key, "true or false") { text, isPlain in
      // YAML 1.1 spells booleans in many ways.
      switch isPlain ? text.lowercased() : "" {
      case "true", "yes", "on", "y": true
      case "false", "no", "off", "n": false
      default: nil
      }
    }
  }

  package func integer(_ key: String) -> Int? {
    parsed(key, "a whole number") { text, isPlain in isPlain ? Int(yaml: text) : nil }
  }

  package func number(_ key: String) -> Double? {
    parsed(key, "a number") { text, isPlain in isPlain ? Double(yaml: text) : nil }
  }

  /// A whole number above 0.
  package func positive(_ key: String) -> Int? {
    guard let number = integer(key) else { return nil }
    guard number > 0 else {
      refuse(key, "must be greater than 0")
      return nil
    }
    return number
  }

  /// A whole number that is not negative.
  package func unsigned(_ key: String) -> UInt64? {
    parsed(key, "a whole number that is not negative") { text, isPlain in isPlain ? UInt64(yaml: text) : nil }
  }

  package func duration(_ key: String) -> Duration? {
    parsed(key, "a duration such as 15s or 1m30s") { text, _ in Duration(prometheus: text) }
  }

  /// Bytes.
  package func byteSize(_ key: String) -> Int? {
    parsed(key, "a size such as 10MB or 1GiB") { text, _ in Int(prometheusBytes: text) }
  }

  private func parsed<Value>(_ key: String, _ expected: String, _ parse: (String, Bool) -> Value?) -> Value? {
    guard let node = members[key] else { return nil }
    switch node.content {
    case .null: return nil
    case .scalar(let text, let isPlain):
      if let value = parse(text, isPlain) { return value }
      refuse(key, "expected \(expected)")
    default: refuse(key, "expected \(expected), found \(node.kind)")
    }
    return nil
  }

  // MARK: Collections

  /// A block of its own; nil when the key is absent.
  package func block(_ key: String, _ keys: BlockKeys) -> BlockReader? {
    members[key].map { BlockReader($0, path(of: key), keys, problems) }
  }

  /// The elements of a list, each with its path; an empty element is a fault.
  ///
  /// - Parameter null: what is said of an empty element.
  package func elements(
    _ key: String, null: String = "empty or null entry"
  ) -> [(node: YAMLNode, path: String)] {
    guard let node = members[key] else { return [] }
    switch node.content {
    case .null: return []
    case .sequence(let elements):
      return elements.enumerated().compactMap { index, element in
        let path = "\(path(of: key))[\(index)]"
        if case .null = element.content {
          problems.add(element.position, path, null)
          return nil
        }
        return (element, path)
      }
    default:
      refuse(key, "expected a list, found \(node.kind)")
      return []
    }
  }

  /// A list of blocks; an element that is no mapping is a fault.
  package func blocks(
    _ key: String, _ keys: BlockKeys, null: String = "empty or null entry"
  ) -> [BlockReader] {
    elements(key, null: null).compactMap { element in
      let block = BlockReader(element.node, element.path, keys, problems)
      if case .mapping = element.node.content { return block }
      return nil
    }
  }

  /// A list of texts, each checked.
  ///
  /// - Parameter fault: what is wrong with a text; nil for nothing.
  package func strings(_ key: String, fault: (String) -> String?) -> [String] {
    elements(key).compactMap { element in
      if case .scalar(let text, _) = element.node.content {
        if let reason = fault(text) { problems.add(element.node.position, element.path, reason) }
        return text
      }
      problems.add(element.node.position, element.path, "expected a text, found \(element.node.kind)")
      return nil
    }
  }

  /// A mapping of any keys, in the order of the file.
  package func pairs(_ key: String) -> [(key: String, position: YAMLNode.Position, value: YAMLNode)] {
    guard let node = members[key] else { return [] }
    switch node.content {
    case .null: return []
    case .mapping(let pairs): return pairs.map { ($0.key, $0.keyPosition, $0.value) }
    default:
      refuse(key, "expected a mapping, found \(node.kind)")
      return []
    }
  }
  /// A mapping of any keys to texts, in the order of the file; nothing reads as an empty text.
  package func texts(_ key: String) -> [(key: String, position: YAMLNode.Position, text: String)] {
    pairs(key).compactMap { pair in
      switch pair.value.content {
      case .scalar(let text, _): return (pair.key, pair.position, text)
      case .null: return (pair.key, pair.position, "")
      default:
        problems.add(pair.value.position, path(of: key, pair.key), "expected a text, found \(pair.value.kind)")
        return nil
      }
    }
  }
}

/// The word of `words` that is at most two edits away from `word`; nil when there is none.
package func nearest(to word: String, in words: Set<String>) -> String? {
  guard word.utf8.count <= 64 else { return nil }
  return words.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }.filter { $0.1 <= 2 }
    .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
}

/// Levenshtein's distance.
private func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
  var row = Array(0...other.count)
  for (i, left) in one.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, right) in other.enumerated() {
      let substitution = diagonal + (left == right ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[other.count]
}
