// A file of `file_sd_configs`: a list of target groups, each with a list `targets` of HOST:PORT and a mapping `labels`,
// as JSON or YAML by the ending of its name.

import Bytes
import Configuration
import YAML

/// Why a file gives no target groups.
package struct TargetFileFault: Error, CustomStringConvertible {
  package let reason: String
  package var description: String { reason }
}

package enum TargetFile {
  private static let sizeLimit = YAMLParser.sizeLimit
  private static let keys = BlockKeys(served: ["targets", "labels"])

  /// The groups of a file, all of them or none; each has the label `__meta_filepath`.
  package static func read(_ path: String) throws(TargetFileFault) -> [TargetGroup] {
    let text: [UInt8]
    do throws(FileFault) {
      text = try WholeFile.readRegular(path, limit: sizeLimit)
    } catch {
      throw TargetFileFault(reason: error.reason)
    }
    return try parse(text, path: path)
  }

  static func parse(_ text: [UInt8], path: String) throws(TargetFileFault) -> [TargetGroup] {
    let isJSON = path.lowercased().hasSuffix(".json")
    let root = isJSON ? try json(text) : try yaml(text)
    let problems = Problems()
    // As if the list stood in a block, under a key that the faults show.
    let member = (key: "groups", keyPosition: root.position, value: root)
    let file = BlockReader(
      YAMLNode(content: .mapping([member]), position: root.position), "", BlockKeys(served: ["groups"]), problems)
    let groups = file.blocks("groups", keys).enumerated().map { index, block in
      group(block, source: "\(path):\(index)", path: path)
    }
    guard let problem = problems.list.first else { return groups }
    // The tree of a JSON text has no places.
    throw TargetFileFault(reason: isJSON ? "\(problem.path): \(problem.reason)" : "\(problem)")
  }

  private static func group(_ block: BlockReader, source: String, path: String) -> TargetGroup {
    let targets = block.strings("targets") { _ in nil }
    var labels: [ConfiguredLabel] = []
    for label in block.texts("labels") where label.key != "__meta_filepath" {
      if label.key.isEmpty { block.problems.add(label.position, block.path(of: "labels"), "a label has no name") }
      labels.append(ConfiguredLabel(name: label.key, value: label.text))
    }
    labels.append(ConfiguredLabel(name: "__meta_filepath", value: path))
    return TargetGroup(
      source: source, targets: targets.map { [ConfiguredLabel(name: "__address__", value: $0)] }, labels: labels)
  }

  private static func yaml(_ text: [UInt8]) throws(TargetFileFault) -> YAMLNode {
    do throws(ConfigurationProblem) {
      return try YAMLParser.parse(text)
    } catch {
      throw TargetFileFault(reason: "\(error)")
    }
  }

  private static func json(_ text: [UInt8]) throws(TargetFileFault) -> YAMLNode {
    let value: JSONValue
    do throws(JSONValue.Fault) {
      value = try JSONValue(parsing: text.span.bytes)
    } catch {
      throw TargetFileFault(reason: "\(error)")
    }
    return try node(value)
  }

  /// A JSON value as the tree of a YAML text.
  private static func node(_ value: JSONValue) throws(TargetFileFault) -> YAMLNode {
    let nowhere = YAMLNode.Position(line: 1, column: 1)
    switch value {
    case .null: return YAMLNode(content: .null, position: nowhere)
    case .string(let text): return YAMLNode(content: .scalar(text, isPlain: false), position: nowhere)
    case .bool, .number: throw TargetFileFault(reason: "expected texts, found a number, true or false")
    case .array(let values):
      return YAMLNode(
        content: .sequence(try values.map { value throws(TargetFileFault) in try node(value) }), position: nowhere)
    case .object(let members):
      let pairs = try members.map { member throws(TargetFileFault) in
        (key: member.name, keyPosition: nowhere, value: try node(member.value))
      }
      return YAMLNode(content: .mapping(pairs), position: nowhere)
    }
  }
}
