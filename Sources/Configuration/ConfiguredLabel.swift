import Exposition
import YAML

/// A label as the file states it. Names and values are compared as bytes.
public struct ConfiguredLabel: Sendable, Equatable {
  public var name: String
  public var value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  public static func == (left: ConfiguredLabel, right: ConfiguredLabel) -> Bool {
    left.name.utf8.elementsEqual(right.name.utf8) && left.value.utf8.elementsEqual(right.value.utf8)
  }
}

extension BlockReader {
  /// A mapping of label names to values.
  ///
  /// - Parameter scheme: which names may stand there.
  func labels(_ key: String, _ scheme: NameScheme = .utf8, refused: Set<String> = []) -> [ConfiguredLabel] {
    texts(key).map { label in
      if !scheme.allowsLabel(label.key) || refused.contains(label.key) {
        problems.add(label.position, path(of: key, label.key), "\"\(shown(label.key))\" is not a valid label name")
      }
      return ConfiguredLabel(name: label.key, value: label.text)
    }
  }
}

extension NameScheme {
  func allowsLabel(_ name: String) -> Bool { isLabelName(Array(name.utf8).span.bytes) }
}
