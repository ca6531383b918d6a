import Exposition

/// The rules of a `relabel_configs` list, applied one after the other
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config).
public struct RelabelRules: Sendable, Equatable {
  public let rules: [RelabelRule]

  public init(_ rules: [RelabelRule] = []) { self.rules = rules }

  public var isEmpty: Bool { rules.isEmpty }

  /// Applies the rules to labels in any order; they are in no certain order, and without empty values, afterwards.
  /// False when a rule drops the labels.
  public func apply(to labels: inout LabelSet) -> Bool {
    labels.removeEmpty()
    var scratch = RelabelRule.Scratch()
    for rule in rules {
      guard rule.apply(to: &labels, &scratch) else { return false }
    }
    return true
  }
}
