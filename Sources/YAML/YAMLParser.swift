// YAML 1.1 by libyaml's event parser (yaml.h).

import CYAML

/// Builds the tree of one YAML document, within bounds: a small text that aliases itself into a huge one is refused.
package struct YAMLParser {
  package static let sizeLimit = 16 << 20
  static let depthLimit = 64
  /// Nodes, those that aliases repeat included.
  static let nodeLimit = 1_000_000

  private let text: [UInt8]
  private var parser = yaml_parser_t()
  private var anchors: [String: (node: YAMLNode, count: Int, height: Int)] = [:]
  private var nodeCount = 0
  /// The depth of the deepest node since the anchor at work.
  private var deepest = 0

  private init(_ text: [UInt8]) { self.text = text }

  /// The document's root; `null` for an empty text.
  ///
  /// - Throws: for the first fault, with its place.
  package static func parse(_ text: [UInt8]) throws(ConfigurationProblem) -> YAMLNode {
    guard text.count <= sizeLimit else {
      throw ConfigurationProblem(
        .init(line: 1, column: 1), "", "the file is longer than \(sizeLimit >> 20) MiB")
    }
    var parser = YAMLParser(text)
    // The parser keeps a pointer to the text until it is deleted.
    let result: Result<YAMLNode, ConfigurationProblem> = text.withUnsafeBufferPointer { bytes in
      yaml_parser_initialize(&parser.parser)
      defer { yaml_parser_delete(&parser.parser) }
      // libyaml wants a pointer even where there is nothing to read.
      let start = bytes.baseAddress ?? UnsafePointer(bitPattern: 1)
      yaml_parser_set_input_string(&parser.parser, start, bytes.count)
      do throws(ConfigurationProblem) {
        return .success(try parser.document())
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  // MARK: Events

  /// The parts of libyaml's event that are used here.
  private struct Event {
    var type: yaml_event_type_t
    var position: YAMLNode.Position
    var anchor: String?
    var scalar = ""
    var isPlain = false
  }

  private mutating func next() throws(ConfigurationProblem) -> Event {
    var raw = yaml_event_t()
    guard yaml_parser_parse(&parser, &raw) == 1 else { throw fault }
    defer { yaml_event_delete(&raw) }
    let position = YAMLNode.Position(line: Int(raw.start_mark.line) + 1, column: Int(raw.start_mark.column) + 1)
    var event = Event(type: raw.type, position: position)
    func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? { pointer.map { String(cString: $0) } }
    switch raw.type {
    case YAML_SCALAR_EVENT:
      let scalar = raw.data.scalar
      event.anchor = text(scalar.anchor)
      event.scalar = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      event.isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && text(scalar.tag) != "tag:yaml.org,2002:str"
    case YAML_SEQUENCE_START_EVENT: event.anchor = text(raw.data.sequence_start.anchor)
    case YAML_MAPPING_START_EVENT: event.anchor = text(raw.data.mapping_start.anchor)
    case YAML_ALIAS_EVENT: event.anchor = text(raw.data.alias.anchor)
    default: break
    }
    return event
  }

  private var fault: ConfigurationProblem {
    let reason = parser.problem.map { String(cString: $0) } ?? "malformed"
    if parser.error == YAML_READER_ERROR {
      // No mark is set for bytes that are no text; the offset is.
      let before = text.prefix(parser.problem_offset)
      let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      let line = before.count { $0 == UInt8(ascii: "\n") } + 1
      let column = String(decoding: before[lineStart...], as: UTF8.self).unicodeScalars.count + 1
      return ConfigurationProblem(.init(line: line, column: column), "", "YAML: \(reason)")
    }
    let mark = parser.problem_mark
    return ConfigurationProblem(.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1), "", "YAML: \(reason)")
  }

  // MARK: Nodes

  /// The first document. Others must be empty: Prometheus does not look at them, which hides what they hold.
  private mutating func document() throws(ConfigurationProblem) -> YAMLNode {
    var root: YAMLNode?
    while true {
      let event = try next()
      switch event.type {
      case YAML_STREAM_END_EVENT: return root ?? YAMLNode(content: .null, position: .init(line: 1, column: 1))
      case YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT, YAML_DOCUMENT_END_EVENT: break
      default:
        anchors.removeAll()
        let node = try node(event, depth: 0)
        guard root != nil else {
          root = node
          break
        }
        guard case .null = node.content else {
          throw ConfigurationProblem(event.position, "", "the file holds more than one document")
        }
      }
    }
  }

  private mutating func node(_ event: Event, depth: Int) throws(ConfigurationProblem) -> YAMLNode {
    try reach(depth, event)
    let deepestBefore = deepest
    deepest = depth
    defer { deepest = max(deepest, deepestBefore) }
    let countBefore = nodeCount
    try count(1, event)
    let node: YAMLNode
    switch event.type {
    case YAML_ALIAS_EVENT:
      guard let (anchored, size, height) = anchors[event.anchor ?? ""] else {
        throw ConfigurationProblem(event.position, "", "unknown anchor \(event.anchor ?? "")")
      }
      try count(size, event)
      try reach(depth + height, event)
      return anchored
    case YAML_SEQUENCE_START_EVENT:
      node = YAMLNode(content: .sequence(try sequence(depth)), position: event.position)
    case YAML_MAPPING_START_EVENT:
      node = YAMLNode(content: .mapping(try mapping(depth)), position: event.position)
    default:
      let isNull = event.isPlain && ["", "~", "null", "Null", "NULL"].contains(event.scalar)
      node = YAMLNode(
        content: isNull ? .null : .scalar(event.scalar, isPlain: event.isPlain), position: event.position)
    }
    if let anchor = event.anchor { anchors[anchor] = (node, nodeCount - countBefore, deepest - depth) }
    return node
  }

  private mutating func reach(_ depth: Int, _ event: Event) throws(ConfigurationProblem) {
    guard depth < Self.depthLimit else {
      throw ConfigurationProblem(event.position, "", "nested deeper than \(Self.depthLimit) levels")
    }
    deepest = max(deepest, depth)
  }

  private mutating func count(_ nodes: Int, _ event: Event) throws(ConfigurationProblem) {
    nodeCount += nodes
    guard nodeCount <= Self.nodeLimit else {
      throw ConfigurationProblem(event.position, "", "the file holds more than \(Self.nodeLimit) values")
    }
  }

  private mutating func sequence(_ depth: Int) throws(ConfigurationProblem) -> [YAMLNode] {
    var elements: [YAMLNode] = []
    while true {
      let event = try next()
      if event.type == YAML_SEQUENCE_END_EVENT { return elements }
      elements.append(try node(event, depth: depth + 1))
    }
  }

  private mutating func mapping(_ depth: Int) throws(ConfigurationProblem) -> [YAMLNode.Member] {
    var members = Members()
    while true {
      let event = try next()
      if event.type == YAML_MAPPING_END_EVENT { return members.list }
      guard event.type == YAML_SCALAR_EVENT else {
        throw ConfigurationProblem(event.position, "", "a key must be a single value")
      }
      let value = try node(try next(), depth: depth + 1)
      if event.isPlain, event.scalar == "<<" {
        try members.merge(value)
      } else if !members.add((event.scalar, event.position, value)) {
        throw ConfigurationProblem(event.position, shown(event.scalar), "the key is there already")
      }
    }
  }
}

/// The members of one mapping. Prometheus' YAML library goes through them in the order of the text: a key behind a
/// merge key `<<` takes the place of what was merged, and what is merged takes the place of a key before it.
private struct Members {
  private(set) var list: [YAMLNode.Member] = []
  /// Where each key stands in `list`; by its bytes, since Strings are equal that are only canonically equivalent.
  private var places: [[UInt8]: Int] = [:]
  /// The keys that stand in the text of the mapping itself.
  private var own: Set<[UInt8]> = []

  /// False when the key was there already.
  mutating func add(_ member: YAMLNode.Member) -> Bool {
    guard own.insert(Array(member.key.utf8)).inserted else { return false }
    set(member)
    return true
  }

  /// - Parameter value: a mapping, or a list of mappings, of which the first counts most.
  mutating func merge(_ value: YAMLNode) throws(ConfigurationProblem) {
    if case .sequence(let nodes) = value.content {
      for node in nodes.reversed() { try mergeOne(node) }
    } else {
      try mergeOne(value)
    }
  }

  private mutating func mergeOne(_ node: YAMLNode) throws(ConfigurationProblem) {
    guard case .mapping(let members) = node.content else {
      throw ConfigurationProblem(
        node.position, "<<", "map merge requires map or sequence of maps as the value, found \(node.kind)")
    }
    for member in members { set(member) }
  }

  private mutating func set(_ member: YAMLNode.Member) {
    let key = Array(member.key.utf8)
    if let place = places[key] {
      list[place] = member
    } else {
      places[key] = list.count
      list.append(member)
    }
  }
}
