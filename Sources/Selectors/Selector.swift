import Bytes
import Exposition
import Patterns

/// A vector selector of PromQL, `metric{label="value", other=~"pattern"}`
/// (https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors): the conditions on the
/// labels of a series.
public struct Selector: Sendable {
  /// One condition. A label that is not there counts as empty.
  struct Matcher: Sendable {
    enum Condition: Sendable {
      case equal, notEqual
      /// The pattern matches the whole value, or does not.
      case matches(Pattern)
      case doesNotMatch(Pattern)
    }

    let name: [UInt8]
    let value: [UInt8]
    let condition: Condition

    func isMet(by labels: LabelSet) -> Bool {
      guard let index = labels.index(of: name.span.bytes) else { return isMet(by: RawSpan()) }
      return isMet(by: labels.value(at: index))
    }

    private func isMet(by text: RawSpan) -> Bool {
      switch condition {
      case .equal: text.equals(value.span.bytes)
      case .notEqual: !text.equals(value.span.bytes)
      case .matches(let pattern): pattern.occurs(in: text)
      case .doesNotMatch(let pattern): !pattern.occurs(in: text)
      }
    }
  }

  let matchers: [Matcher]

  /// - Throws: in the words of Prometheus, when the text is no selector.
  public init(_ text: String) throws(SelectorError) {
    var parser = SelectorParser(Array(text.utf8))
    matchers = try parser.matchers()
  }

  /// Whether there is no condition at all.
  public var isEmpty: Bool { matchers.isEmpty }

  /// Whether the labels meet all conditions.
  public func matches(_ labels: LabelSet) -> Bool { matchers.allSatisfy { $0.isMet(by: labels) } }
}

/// A text that is no selector: where, and why.
public struct SelectorError: Error, Equatable, CustomStringConvertible {
  public let description: String
}
