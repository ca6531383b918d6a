/// Collects the faults of one file while it is read: reading goes on behind each.
final class Problems {
  private(set) var list: [ConfigurationProblem] = []

  func add(_ position: YAMLNode.Position, _ path: String, _ reason: String) {
    list.append(ConfigurationProblem(position, path, reason))
  }
}

/// The keys of one kind of block.
struct BlockKeys {
  /// What this version acts on.
  let served: Set<String>
  /// What Prometheus knows besides: refused by name, never ignored.
  let known: Set<String>

  init(served: [String], known: [String] = []) {
    self.served = Set(served)
    self.known = Set(known)
  }
}

/// Reads one block: its keys against the table of those that it may have, its values by type.
///
/// A value of the wrong type is a fault and reads as nil, so that the default stands in and reading goes on.
struct BlockReader {
  let position: YAMLNode.Position
  let path: String
  let problems: Problems
  private let members: [String: YAMLNode]

  /// - Parameter node: a mapping, or nothing for an empty block.
  init(_ node: YAMLNode, _ path: String, _ keys: BlockKeys, _ problems: Problems) {
    position = node.position
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

  private static func join(_ path: String, _ key: String) -> String {
    path.isEmpty ? shown(key) : "\(path).\(shown(key))"
  }

  func path(of key: String) -> String { Self.join(path, key) }

  /// Notes a fault at a key's value.
  func refuse(_ key: String, _ reason: String) {
    problems.add(members[key]?.position ?? position, path(of: key), reason)
  }

  // MARK: Values

  func has(_ key: String) -> Bool { members[key] != nil }

  func string(_ key: String) -> String? {
    guard let node = members[key] else { return nil }
    switch node.content {
    case .scalar(let text, _): return text
    case .null: return nil
    default:
      refuse(key, "expected a text, found \(node.kind)")
      return nil
    }
  }

  func bool(_ key: String) -> Bool? {
    parsed(key, "true or false") { text, isPlain in
      // YAML 1.1 spells booleans in many ways.
      switch isPlain ? text.lowercased() : "" {
      case "true", "yes", "on", "y": true
      case "false", "no", "off", "n": false
      default: nil
      }
    }
  }

  func integer(_ key: String) -> Int? { parsed(key, "a whole number") { text, isPlain in isPlain ? Int(text) : nil } }

  /// A whole number above 0.
  func positive(_ key: String) -> Int? {
    guard let number = integer(key) else { return nil }
    guard number > 0 else {
      refuse(key, "must be greater than 0")
      return nil
    }
    return number
  }

  func duration(_ key: String) -> Duration? {
    parsed(key, "a duration such as 15s or 1m30s") { text, _ in Duration(prometheus: text) }
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
  func block(_ key: String, _ keys: BlockKeys) -> BlockReader? {
    members[key].map { BlockReader($0, path(of: key), keys, problems) }
  }

  /// The elements of a list, each with its path; an empty element is a fault.
  func elements(_ key: String) -> [(node: YAMLNode, path: String)] {
    guard let node = members[key] else { return [] }
    switch node.content {
    case .null: return []
    case .sequence(let elements):
      return elements.enumerated().compactMap { index, element in
        let path = "\(path(of: key))[\(index)]"
        if case .null = element.content {
          problems.add(element.position, path, "empty or null entry")
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
  func blocks(_ key: String, _ keys: BlockKeys) -> [BlockReader] {
    elements(key).compactMap { element in
      let block = BlockReader(element.node, element.path, keys, problems)
      if case .mapping = element.node.content { return block }
      return nil
    }
  }

  /// A list of texts, each checked.
  ///
  /// - Parameter fault: what is wrong with a text; nil for nothing.
  func strings(_ key: String, fault: (String) -> String?) -> [String] {
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
  func pairs(_ key: String) -> [(key: String, position: YAMLNode.Position, value: YAMLNode)] {
    guard let node = members[key] else { return [] }
    switch node.content {
    case .null: return []
    case .mapping(let pairs): return pairs.map { ($0.key, $0.keyPosition, $0.value) }
    default:
      refuse(key, "expected a mapping, found \(node.kind)")
      return []
    }
  }

  /// A mapping of label names to values.
  ///
  /// - Parameter refused: names that may not stand there.
  func labels(_ key: String, refused: Set<String> = []) -> [ConfiguredLabel] {
    pairs(key).compactMap { pair in
      let path = Self.join(path(of: key), pair.key)
      if pair.key.isEmpty || refused.contains(pair.key) {
        problems.add(pair.position, path, "\"\(pair.key)\" is not a valid label name")
      }
      switch pair.value.content {
      case .scalar(let text, _): return ConfiguredLabel(name: pair.key, value: text)
      case .null: return ConfiguredLabel(name: pair.key, value: "")
      default:
        problems.add(pair.value.position, path, "expected a text, found \(pair.value.kind)")
        return nil
      }
    }
  }
}

/// The word of `words` that is at most two edits away from `word`; nil when there is none.
func nearest(to word: String, in words: Set<String>) -> String? {
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
