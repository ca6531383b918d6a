import Flags
import Patterns

/// Which devices, mounts or fields a collector shows: by an including and an excluding pattern.
struct NameFilter {
  private let include: Pattern?
  private let exclude: Pattern?

  /// A filter of flags of which one may be given at most.
  ///
  /// - Parameters:
  ///   - include: a pattern as its flag gives it, as is `exclude`; an empty one is none.
  ///   - flags: what the error calls the two.
  init(include: String, exclude: String, flags: String) throws(CollectorConfigurationError) {
    guard include.isEmpty || exclude.isEmpty else {
      throw CollectorConfigurationError("\(flags) are mutually exclusive")
    }
    try self.init(include: include, exclude: exclude)
  }

  /// A filter of flags that may both be given: shown is what the one includes and the other does not exclude.
  init(include: String = "", exclude: String = "") throws(CollectorConfigurationError) {
    self.include = try Self.compile(include)
    self.exclude = try Self.compile(exclude)
  }

  /// Whether the name is to be left out.
  func isIgnored(_ name: RawSpan) -> Bool {
    if let exclude, exclude.occurs(in: name) { return true }
    if let include, !include.occurs(in: name) { return true }
    return false
  }

  /// Whether the name is to be left out.
  func isIgnored(_ name: String) -> Bool { isIgnored(name.utf8.span.bytes) }

  /// The pattern; nil when it is empty.
  static func compile(_ pattern: String) throws(CollectorConfigurationError) -> Pattern? {
    guard !pattern.isEmpty else { return nil }
    do {
      return try Pattern(pattern)
    } catch {
      throw CollectorConfigurationError(error.description)
    }
  }
}
