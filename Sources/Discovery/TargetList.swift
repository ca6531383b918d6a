// A list of target groups, each with a list `targets` of HOST:PORT and a mapping `labels`, as JSON or YAML: what
// `file_sd_configs` reads and `http_sd_configs` is answered
// (https://prometheus.io/docs/prometheus/latest/http_sd/#http_sd-format).

import Bytes
import Configuration
import YAML

/// Why a text gives no target groups.
package struct TargetListFault: Error, CustomStringConvertible {
  package let reason: String
  package var description: String { reason }
}

enum TargetList {
  enum Format { case json, yaml }

  /// Bytes of a text.
  static let sizeLimit = YAMLParser.sizeLimit
  private static let keys = BlockKeys(served: ["targets", "labels"])

  /// All groups of a text, or none.
  ///
  /// - Parameters:
  ///   - source: where the text is from: the groups are named by it and by their place.
  ///   - label: says the same to the targets; theirs of that name does not count.
  static func parse(
    _ text: [UInt8], _ format: Format, source: String, label: ConfiguredLabel
  ) throws(TargetListFault) -> [TargetGroup] {
    let root = format == .json ? try json(text) : try yaml(text)
    let problems = Problems()
    // As if the list stood in a block, under a key that the faults show.
    let member = (key: "groups", keyPosition: root.position, value: root)
    let file = BlockReader(
      YAMLNode(content: .mapping([member]), position: root.position), "", BlockKeys(served: ["groups"]), problems)
    let groups = file.blocks("groups", keys).enumerated().map { index, block in
      group(block, source: "\(source):\(index)", label)
    }
    guard let problem = problems.list.first else { return groups }
    // The tree of a JSON text has no places.
    throw TargetListFault(reason: format == .json ? "\(problem.path): \(problem.reason)" : "\(problem)")
  }

  private static func group(_ block: BlockReader, source: String, _ own: ConfiguredLabel) -> TargetGroup {
    let targets = block.strings("targets") { _ in nil }
    var labels: [ConfiguredLabel] = []
    for label in block.texts("labels") where label.key != own.name {
      if label.key.isEmpty { block.problems.add(label.position, block.path(of: "labels"), "a label has no name") }
      labels.append(ConfiguredLabel(name: label.key, value: label.text))
    }
    labels.append(own)
    return TargetGroup(
      source: source, targets: targets.map { [ConfiguredLabel(name: "__address__", value: $0)] }, labels: labels)
  }

  private static func yaml(_ text: [UInt8]) throws(TargetListFault) -> YAMLNode {
    do throws(ConfigurationProblem) {
      return try YAMLParser.parse(text)
    } catch {
      throw TargetListFault(reason: "\(error)")
    }
  }

  private static func json(_ text: [UInt8]) throws(TargetListFault) -> YAMLNode {
    let value: JSONValue
    do throws(JSONValue.Fault) {
      value = try JSONValue(parsing: text.span.bytes)
    } catch {
      throw TargetListFault(reason: "\(error)")
    }
    return try node(value)
  }

  /// A JSON value as the tree of a YAML text.
  private static func node(_ value: JSONValue) throws(TargetListFault) -> YAMLNode {
    let nowhere = YAMLNode.Position(line: 1, column: 1)
    switch value {
    case .null: return YAMLNode(content: .null, position: nowhere)
    case .string(let text): return YAMLNode(content: .scalar(text, isPlain: false), position: nowhere)
    case .bool, .number: throw TargetListFault(reason: "expected texts, found a number, true or false")
    case .array(let values):
      return YAMLNode(
        content: .sequence(try values.map { value throws(TargetListFault) in try node(value) }), position: nowhere)
    case .object(let members):
      let pairs = try members.map { member throws(TargetListFault) in
        (key: member.name, keyPosition: nowhere, value: try node(member.value))
      }
      return YAMLNode(content: .mapping(pairs), position: nowhere)
    }
  }
}
