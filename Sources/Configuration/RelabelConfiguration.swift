// relabel_configs, metric_relabel_configs and write_relabel_configs
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config). What is refused, and in
// which words, is as in Prometheus 3.

import Exposition
import Relabeling
import YAML

extension BlockReader {
  private static let relabelKeys = BlockKeys(
    served: ["source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"])

  /// A list of relabelling rules.
  ///
  /// - Parameters:
  ///   - scheme: which names the rules may give to labels.
  ///   - null: what is said of an empty entry.
  func relabelRules(_ key: String, _ scheme: NameScheme, null: String) -> RelabelRules {
    RelabelRules(
      blocks(key, Self.relabelKeys, null: null).compactMap { block in
        var definition = RelabelRule.Definition()
        definition.scheme = scheme
        guard block.read(into: &definition) else { return nil }
        do throws(RelabelFault) {
          return try RelabelRule(definition)
        } catch {
          block.refuse("regex", error.reason)
          return nil
        }
      })
  }

  /// False when the rule is not to be worked with; why is noted.
  private func read(into rule: inout RelabelRule.Definition) -> Bool {
    let action = text("action") ?? rule.action.rawValue
    guard let known = RelabelRule.Action(rawValue: action.lowercased()) else {
      refuse(
        "action", action.isEmpty ? "relabel action cannot be empty" : "unknown relabel action \"\(shown(action))\"")
      return false
    }
    rule.action = known
    rule.sourceLabels = strings("source_labels") { $0.isEmpty ? "\"\" is not a valid label name" : nil }
    rule.separator = text("separator") ?? rule.separator
    rule.regex = text("regex") ?? rule.regex
    rule.modulus = unsigned("modulus") ?? rule.modulus
    rule.targetLabel = text("target_label") ?? rule.targetLabel
    rule.replacement = text("replacement") ?? rule.replacement
    guard let fault = fault(of: rule) else { return true }
    refuse(fault.key, fault.reason)
    return false
  }

  /// A text that is there; nothing reads as an empty one, which is not the default.
  private func text(_ key: String) -> String? { has(key) ? string(key) ?? "" : nil }

  private func fault(of rule: RelabelRule.Definition) -> (key: String, reason: String)? {
    let action = rule.action
    if action == .hashmod, rule.modulus == 0 {
      return ("modulus", "relabel configuration for hashmod requires non-zero modulus")
    }
    if action.needsTarget, rule.targetLabel.isEmpty {
      return ("target_label", "relabel configuration for \(action) action requires 'target_label' value")
    }
    if action.needsTarget, !rule.scheme.allowsLabel(rule.targetLabel, isTemplate: action == .replace) {
      return ("target_label", "\"\(shown(rule.targetLabel))\" is invalid 'target_label' for \(action) action")
    }
    let fixed = RelabelRule.Definition()
    if [.lowercase, .uppercase, .keepequal, .dropequal].contains(action), rule.replacement != fixed.replacement {
      return ("replacement", "'replacement' can not be set for \(action) action")
    }
    if action == .labelmap, !rule.scheme.allowsLabel(rule.replacement, isTemplate: true) {
      return ("replacement", "\"\(shown(rule.replacement))\" is invalid 'replacement' for labelmap action")
    }
    let isGiven: [(key: String, Bool)] = [
      ("source_labels", !rule.sourceLabels.isEmpty), ("target_label", !rule.targetLabel.isEmpty),
      ("regex", rule.regex != fixed.regex), ("modulus", rule.modulus != 0),
      ("separator", rule.separator != fixed.separator), ("replacement", rule.replacement != fixed.replacement),
    ]
    let (allowed, reason): (Set<String>, String)
    switch action {
    case .keepequal, .dropequal:
      (allowed, reason) = (["source_labels", "target_label"], "only 'source_labels' and `target_label`")
    case .labeldrop, .labelkeep: (allowed, reason) = (["regex"], "only 'regex'")
    default: return nil
    }
    return isGiven.first { $0.1 && !allowed.contains($0.key) }.map { key, _ in
      (key, "\(action) action requires \(reason), and no other fields")
    }
  }
}

extension RelabelRule.Action {
  fileprivate var needsTarget: Bool {
    switch self {
    case .replace, .hashmod, .lowercase, .uppercase, .keepequal, .dropequal: true
    case .keep, .drop, .labelmap, .labeldrop, .labelkeep: false
    }
  }
}

extension NameScheme {
  /// - Parameter isTemplate: whether `$1`, `$name` and `${name}` may stand in the name.
  fileprivate func allowsLabel(_ name: String, isTemplate: Bool) -> Bool {
    guard isTemplate, self == .legacy else { return allowsLabel(name) }
    // With each reference replaced by a letter, it must be a name.
    var plain = ""
    var rest = name[...]
    while let character = rest.popFirst() {
      guard character == "$" else {
        plain.append(character)
        continue
      }
      let isBraced = rest.first == "{"
      if isBraced { rest.removeFirst() }
      let reference = rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
      rest = rest[reference.endIndex...]
      if reference.isEmpty || isBraced && rest.popFirst() != "}" { return false }
      plain.append("x")
    }
    return allowsLabel(plain)
  }
}
