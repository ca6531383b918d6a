import CRE2

/// A compiled RE2 pattern (https://github.com/google/re2/wiki/Syntax): the dialect of Prometheus' relabeling and of
/// node_exporter's flags; linear in time on any text.
public final class Pattern: Sendable {
  public let text: String
  // RE2 objects are immutable and may be searched from many threads at once; OpaquePointer is not Sendable by itself.
  private nonisolated(unsafe) let compiled: OpaquePointer

  /// - Parameter dotMatchesNewline: as if the pattern began with `(?s)`.
  public init(_ text: String, dotMatchesNewline: Bool = false) throws(PatternError) {
    self.text = text
    let errorSize = 256
    var reason = [CChar](repeating: 0, count: errorSize)
    var copy = text
    let compiled = copy.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) { chars in
        cre2_compile(
          chars.baseAddress ?? UnsafePointer(bitPattern: 1), chars.count, dotMatchesNewline, &reason, errorSize)
      }
    }
    guard let compiled else {
      throw PatternError(pattern: text, reason: reason.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
    }
    self.compiled = compiled
  }

  deinit { cre2_free(compiled) }

  /// Whether the pattern occurs anywhere in the text, which need not be valid UTF-8.
  public func occurs(in text: RawSpan) -> Bool {
    text.withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { chars in
        cre2_search(compiled, chars.baseAddress ?? UnsafePointer(bitPattern: 1), chars.count)
      }
    }
  }

  public func occurs(in text: String) -> Bool { occurs(in: text.utf8.span.bytes) }

  /// How many capturing groups the pattern has; they are numbered from 1.
  public var groupCount: Int { Int(cre2_group_count(compiled)) }

  /// The number of the capturing group `(?P<name>…)`; nil when there is none.
  public func group(named name: String) -> Int? {
    var copy = name
    let number = copy.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) { chars in
        cre2_group_number(compiled, chars.baseAddress ?? UnsafePointer(bitPattern: 1), chars.count)
      }
    }
    return number > 0 ? Int(number) : nil
  }

  /// Finds the leftmost match in the text, and what its groups captured; nil when the pattern does not occur.
  ///
  /// - Parameter groups: how many groups the caller asks for, the whole match included.
  public func match(in text: RawSpan, groups: Int) -> PatternMatch? {
    let groups = min(max(groups, 1), groupCount + 1)
    var bounds = [Int](repeating: -1, count: 2 * groups)
    let isFound = text.withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { chars in
        cre2_match(compiled, chars.baseAddress ?? UnsafePointer(bitPattern: 1), chars.count, &bounds, groups)
      }
    }
    return isFound ? PatternMatch(bounds: bounds) : nil
  }
}

/// Where a pattern and its groups were found.
public struct PatternMatch: Sendable {
  /// A start and an end for each group; -1 where it took no part.
  fileprivate let bounds: [Int]

  /// The bytes of the text that a group captured, 0 being the whole match; nil for a group that took no part in the
  /// match, or was not asked for.
  public subscript(_ group: Int) -> Range<Int>? {
    guard 2 * group + 1 < bounds.count, bounds[2 * group] >= 0 else { return nil }
    return bounds[2 * group]..<bounds[2 * group + 1]
  }
}

/// A text that is not a pattern, with RE2's reason.
public struct PatternError: Error, CustomStringConvertible {
  public let pattern: String
  public let reason: String

  /// RE2's words and Go's for the same faults: those who match on node_exporter's messages know Go's.
  private static let goWords: [(re2: String, go: String)] = [
    ("missing ): ", "missing closing ): "), ("missing ]: ", "missing closing ]: "),
    ("no argument for repetition operator: ", "missing argument to repetition operator: "),
  ]

  public var description: String {
    let words = Self.goWords.first { reason.hasPrefix($0.re2) }
    let goReason = words.map { $0.go + reason.dropFirst($0.re2.count) } ?? reason
    return "error parsing regexp: \(goReason) in `\(pattern)`"
  }
}
