import Exposition
import YAML

/// Which names a job takes, and how it asks for others.
public struct NameRules: Sendable, Hashable {
  /// `metric_name_validation_scheme`
  public var scheme = NameScheme.utf8
  /// `metric_name_escaping_scheme`
  public var escaping = NameEscaping.allowUTF8

  static let keys = ["metric_name_validation_scheme", "metric_name_escaping_scheme"]

  public init() {}

  /// - Parameter inherited: what stands in for keys that the block does not give. An escaping follows a scheme that
  ///   stands in the same block.
  init(_ block: BlockReader, inherited: NameRules = NameRules()) {
    self = inherited
    if let text = block.string("metric_name_validation_scheme"), !text.isEmpty {
      if let given = NameScheme(rawValue: text) {
        scheme = given
        escaping = given == .legacy ? .underscores : .allowUTF8
      } else {
        block.refuse(
          "metric_name_validation_scheme",
          "unknown name validation method specified, must be either '', 'legacy' or 'utf8', got \(shown(text))")
      }
    }
    guard let text = block.string("metric_name_escaping_scheme"), !text.isEmpty else { return }
    guard let given = NameEscaping(rawValue: text) else {
      let all = NameEscaping.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
      block.refuse(
        "metric_name_escaping_scheme",
        "unknown name escaping method specified, must be one of \(all), got \"\(shown(text))\"")
      return
    }
    escaping = given
    if given == .allowUTF8, scheme == .legacy {
      block.refuse(
        "metric_name_escaping_scheme", "utf8 metric names requested but validation scheme is not set to UTF8")
    }
  }
}
