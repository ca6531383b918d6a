import Configuration

/// Targets that share labels, as every mechanism of discovery gives them.
public struct TargetGroup: Sendable, Equatable {
  /// Names the group within its mechanism, so that an update replaces it.
  public var source: String
  /// The labels of each target; `__address__` among them.
  public var targets: [[ConfiguredLabel]]
  /// Labels of all targets; a target's own win.
  public var labels: [ConfiguredLabel]

  public init(source: String, targets: [[ConfiguredLabel]], labels: [ConfiguredLabel]) {
    self.source = source
    self.targets = targets
    self.labels = labels
  }

  /// What takes the group away.
  var withoutTargets: TargetGroup { TargetGroup(source: source, targets: [], labels: []) }
}
