import Exposition

/// The rules of a `relabel_configs` list, applied one after the other
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config).
public struct RelabelRules: Sendable {
  public init() {}

  public var isEmpty: Bool { true }

  /// Applies the rules to labels in any order; they are in no certain order, and without empty values, afterwards.
  /// False when a rule drops the labels.
  public func apply(to labels: inout LabelSet) -> Bool { true }
}
