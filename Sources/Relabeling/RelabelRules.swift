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

  /// What one rule makes of labels.
  public struct Step: Sendable {
    public let rule: RelabelRule
    /// The labels after the rule, by name; nil when it drops them.
    public let labels: LabelSet?
    /// Whether they are other ones than before the rule.
    public let isChange: Bool
  }

  /// What each rule makes of the labels; the last step is that of the rule that drops them, if one does.
  public func steps(_ labels: LabelSet) -> [Step] {
    var labels = labels
    labels.removeEmpty()
    labels.sort()
    var scratch = RelabelRule.Scratch()
    var steps: [Step] = []
    for rule in rules {
      let before = labels
      guard rule.apply(to: &labels, &scratch) else {
        return steps + [Step(rule: rule, labels: nil, isChange: true)]
      }
      labels.sort()
      steps.append(Step(rule: rule, labels: labels, isChange: labels != before))
    }
    return steps
  }

  /// The index of the rule that drops the labels; nil when none does.
  public func firstDrop(_ labels: LabelSet) -> Int? {
    let steps = steps(labels)
    return steps.last.map { $0.labels == nil } == true ? steps.count - 1 : nil
  }
}
