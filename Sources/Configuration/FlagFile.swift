// The exporter's configuration file: everything that the command line's flags say, as YAML. A flag's name is a key, or
// is spread over nested keys at its dots; what is both a switch and the start of other names is its key `enabled`.
//
//     web.listen-address: [":9100", "vsock://:9100"]
//     collector:
//       wifi: true
//       cpu: {enabled: true, info: true}
//       textfile: {directory: [/var/lib/node_exporter/textfile_collector]}

import Flags
import YAML

/// Reads the values of flags from a file.
public enum FlagFile {
  /// - Parameters:
  ///   - definitions: the flags that may stand in the file.
  /// - Throws: with all faults of the file: unknown keys, wrong values, a flag twice.
  public static func load(_ path: String, _ definitions: [FlagDefinition]) throws(ConfigurationError) -> FlagValues {
    try parse(try Configuration.read(path), file: path, definitions)
  }

  /// - Parameter file: how the errors name the text.
  static func parse(
    _ text: [UInt8], file: String, _ definitions: [FlagDefinition]
  ) throws(ConfigurationError) -> FlagValues {
    let root: YAMLNode
    do {
      root = try YAMLParser.parse(text)
    } catch {
      throw ConfigurationError(file, [error])
    }
    var reader = FlagFileReader(definitions)
    reader.read(root, path: "", at: root.position)
    guard reader.problems.list.isEmpty else { throw ConfigurationError(file, reader.problems.list) }
    return reader.values
  }
}

private struct FlagFileReader {
  let problems = Problems()
  var values = FlagValues()
  private let definitions: [String: FlagDefinition]

  init(_ definitions: [FlagDefinition]) {
    self.definitions = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func read(_ node: YAMLNode, path: String, at position: YAMLNode.Position) {
    switch node.content {
    case .mapping(let pairs):
      for pair in pairs {
        let isSwitch = pair.key == "enabled" && definitions[path]?.isSwitch == true
        let name = isSwitch || path.isEmpty ? (isSwitch ? path : pair.key) : "\(path).\(pair.key)"
        read(pair.value, path: name, at: pair.keyPosition)
      }
    case .null where path.isEmpty: break
    case .null: problems.add(position, path, "has no value")
    case .scalar(let text, let isPlain): give(path, [(text, isPlain, node.position)], at: position)
    case .sequence(let items):
      var texts: [(String, Bool, YAMLNode.Position)] = []
      for item in items {
        if case .scalar(let text, let isPlain) = item.content {
          texts.append((text, isPlain, item.position))
        } else {
          problems.add(item.position, path, "expected a text, found \(item.kind)")
        }
      }
      if definitions[path]?.isRepeatable == false {
        problems.add(node.position, path, "expected one value, found \(node.kind)")
      } else {
        give(path, texts, at: position)
      }
    }
  }

  private mutating func give(
    _ name: String, _ texts: [(text: String, isPlain: Bool, position: YAMLNode.Position)],
    at position: YAMLNode.Position
  ) {
    guard let definition = definitions[name] else {
      let hint = nearest(to: name, in: Set(definitions.keys)).map { ", did you mean \($0)?" } ?? ""
      return problems.add(position, name, "unknown flag\(hint)")
    }
    guard !values.isGiven(definition) else { return problems.add(position, name, "stands here twice") }
    for (text, isPlain, position) in texts {
      if definition.isSwitch, !(isPlain && ["true", "false"].contains(text)) {
        problems.add(position, name, "expected true or false, found \(shown(text))")
        continue
      }
      do {
        try values.give(definition, text)
      } catch {
        problems.add(position, name, error.reason)
      }
    }
  }
}
