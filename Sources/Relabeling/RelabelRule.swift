import Bytes
import Exposition
import Patterns

/// One entry of a `relabel_configs` list.
public struct RelabelRule: Sendable {
  public enum Action: String, Sendable, CaseIterable {
    /// Sets the target label to the replacement where the pattern matches.
    case replace
    /// Drops what does not match, what matches.
    case keep, drop
    /// Drops what differs from the target label's value, what is equal to it.
    case keepequal, dropequal
    /// Sets the target label to a hash of the value, modulo `modulus`.
    case hashmod
    /// Gives the values of labels whose names match to labels named by the replacement.
    case labelmap
    /// Removes labels whose names match, whose names do not match.
    case labeldrop, labelkeep
    /// Sets the target label to the value in another case.
    case lowercase, uppercase
  }

  /// What a rule says, with Prometheus' defaults.
  public struct Definition: Sendable {
    public var action = Action.replace
    public var sourceLabels: [String] = []
    public var separator = ";"
    public var regex = "(.*)"
    public var modulus: UInt64 = 0
    public var targetLabel = ""
    public var replacement = "$1"
    /// Which names `replace` may give to a label; with others it changes nothing.
    public var scheme = NameScheme.utf8

    public init() {}
  }

  public let definition: Definition
  private let sources: [[UInt8]]
  private let separator: [UInt8]
  private let target: Template
  private let replacement: Template
  private let pattern: Pattern
  /// The default pattern, which needs no search.
  private let matchesAnything: Bool

  /// - Throws: when `regex` is not a valid pattern.
  public init(_ definition: Definition) throws(RelabelFault) {
    self.definition = definition
    do throws(PatternError) {
      pattern = try Pattern("^(?s:\(definition.regex))$")
    } catch {
      throw RelabelFault(reason: "\(error)")
    }
    matchesAnything = definition.regex == "(.*)"
    sources = definition.sourceLabels.map { Array($0.utf8) }
    separator = Array(definition.separator.utf8)
    target = Template(Array(definition.targetLabel.utf8), of: pattern)
    replacement = Template(Array(definition.replacement.utf8), of: pattern)
  }

  // MARK: Applying

  /// Memory that the rules of a list share.
  struct Scratch {
    /// The values of the source labels, joined.
    var value: [UInt8] = []
    var name: [UInt8] = []
    var result: [UInt8] = []
  }

  /// Applies the rule to labels without empty values; false when it drops them.
  func apply(to labels: inout LabelSet, _ scratch: inout Scratch) -> Bool {
    join(labels, into: &scratch.value)
    switch definition.action {
    case .replace: replace(in: &labels, &scratch)
    case .keep: return matches(scratch.value.span.bytes)
    case .drop: return !matches(scratch.value.span.bytes)
    case .keepequal: return isEqualToTarget(scratch.value, labels)
    case .dropequal: return !isEqualToTarget(scratch.value, labels)
    case .hashmod:
      guard definition.modulus > 0 else { return true }
      let shard = MD5(scratch.value).halves.last % definition.modulus
      set(definition.targetLabel, to: Array(String(shard).utf8), in: &labels)
    case .labelmap: mapNames(of: &labels, &scratch)
    case .labeldrop: remove(from: &labels) { matches($0) }
    case .labelkeep: remove(from: &labels) { !matches($0) }
    case .lowercase: set(definition.targetLabel, to: scratch.value.lowercased, in: &labels)
    case .uppercase: set(definition.targetLabel, to: scratch.value.uppercased, in: &labels)
    }
    return true
  }

  /// A label that is not there counts as empty.
  private func join(_ labels: LabelSet, into value: inout [UInt8]) {
    value.removeAll(keepingCapacity: true)
    for (index, name) in sources.enumerated() {
      if index > 0 { value += separator }
      if let place = labels.index(of: name.span.bytes) { value.append(labels.value(at: place)) }
    }
  }

  private func matches(_ text: RawSpan) -> Bool { matchesAnything || pattern.occurs(in: text) }

  private func isEqualToTarget(_ value: [UInt8], _ labels: LabelSet) -> Bool {
    guard let index = labels.index(of: definition.targetLabel.utf8.span.bytes) else { return value.isEmpty }
    return labels.value(at: index).equals(value.span.bytes)
  }

  private func replace(in labels: inout LabelSet, _ scratch: inout Scratch) {
    guard expand(target, replacement, of: scratch.value, &scratch.name, &scratch.result) else { return }
    guard definition.scheme.isLabelName(scratch.name.span.bytes) else { return }
    set(scratch.name.span.bytes, to: scratch.result.span.bytes, in: &labels)
  }

  /// Fills both templates from a match in `text`; false when the pattern does not match.
  private func expand(
    _ first: Template, _ second: Template, of text: [UInt8], _ one: inout [UInt8], _ other: inout [UInt8]
  ) -> Bool {
    one.removeAll(keepingCapacity: true)
    other.removeAll(keepingCapacity: true)
    guard let match = pattern.match(in: text.span.bytes, groups: max(first.groups, second.groups)) else { return false }
    first.expand(match, in: text, into: &one)
    second.expand(match, in: text, into: &other)
    return true
  }

  /// Goes through the labels as they were before the rule.
  private func mapNames(of labels: inout LabelSet, _ scratch: inout Scratch) {
    let before = labels
    for index in 0..<before.count {
      guard matches(before.name(at: index)) else { continue }
      scratch.value.removeAll(keepingCapacity: true)
      scratch.value.append(before.name(at: index))
      guard expand(replacement, replacement, of: scratch.value, &scratch.name, &scratch.result) else { continue }
      set(scratch.name.span.bytes, to: before.value(at: index), in: &labels)
    }
  }

  private func remove(from labels: inout LabelSet, where mustGo: (RawSpan) -> Bool) {
    for index in (0..<labels.count).reversed() where mustGo(labels.name(at: index)) { labels.remove(at: index) }
  }

  private func set(_ name: String, to value: [UInt8], in labels: inout LabelSet) {
    set(name.utf8.span.bytes, to: value.span.bytes, in: &labels)
  }

  /// An empty value takes the label away; what cannot name a label changes nothing.
  private func set(_ name: RawSpan, to value: RawSpan, in labels: inout LabelSet) {
    guard NameScheme.utf8.isLabelName(name) else { return }
    guard value.isEmpty else { return labels.set(name, to: value) }
    if let index = labels.index(of: name) { labels.remove(at: index) }
  }
}

extension RelabelRule: Equatable {
  /// As bytes: Strings are equal that are only canonically equivalent.
  public static func == (left: RelabelRule, right: RelabelRule) -> Bool {
    func bytes(_ rule: Definition) -> [[UInt8]] {
      ([rule.separator, rule.regex, rule.targetLabel, rule.replacement] + rule.sourceLabels).map { Array($0.utf8) }
    }
    let (one, other) = (left.definition, right.definition)
    return one.action == other.action && one.modulus == other.modulus && one.scheme == other.scheme
      && bytes(one) == bytes(other)
  }
}

/// A rule that cannot be worked with.
public struct RelabelFault: Error, CustomStringConvertible {
  public let reason: String
  public var description: String { reason }
}

extension [UInt8] {
  fileprivate mutating func append(_ bytes: RawSpan) { bytes.withUnsafeBytes { append(contentsOf: $0) } }
}
