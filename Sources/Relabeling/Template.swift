// The templates of Go's Regexp.Expand (https://pkg.go.dev/regexp#Regexp.Expand): `$1` and `$name` for what a group
// captured, `${1}` where a letter follows, `$$` for a dollar sign. A name is as long as it can be: `$1_x` is the group
// named `1_x`. A group that is not there is empty; a `$` that begins nothing stands for itself.

import Patterns

/// A `replacement` or `target_label`, compiled for its pattern.
struct Template: Sendable {
  private enum Part {
    case text([UInt8])
    case group(Int)
  }

  private var parts: [Part] = []
  /// The groups that a match must give: one more than the greatest number in the template.
  private(set) var groups = 1

  init(_ text: [UInt8], of pattern: Pattern) {
    var literal: [UInt8] = []
    func flush() {
      if !literal.isEmpty { parts.append(.text(literal)) }
      literal = []
    }
    var offset = 0
    while offset < text.count {
      let byte = text[offset]
      offset += 1
      guard byte == UInt8(ascii: "$") else {
        literal.append(byte)
        continue
      }
      if offset < text.count, text[offset] == UInt8(ascii: "$") {
        literal.append(byte)
        offset += 1
      } else if let (name, end) = Self.name(text, at: offset) {
        offset = end
        guard let group = Self.group(name, of: pattern) else { continue }
        flush()
        parts.append(.group(group))
        groups = max(groups, group + 1)
      } else {
        literal.append(byte)
      }
    }
    flush()
  }

  /// Appends the template with the groups of a match in `text` filled in.
  func expand(_ match: PatternMatch, in text: [UInt8], into output: inout [UInt8]) {
    for part in parts {
      switch part {
      case .text(let literal): output += literal
      case .group(let group):
        if let range = match[group] { output += text[range] }
      }
    }
  }

  /// The name behind a `$`, and where the text goes on; nil when there is none.
  private static func name(_ text: [UInt8], at offset: Int) -> (name: [UInt8], end: Int)? {
    let isBraced = offset < text.count && text[offset] == UInt8(ascii: "{")
    let start = offset + (isBraced ? 1 : 0)
    var scalars = UTF8Scalars(text, from: start)
    var end = start
    while let scalar = scalars.next(), isPartOfName(scalar) { end = scalars.offset }
    guard end > start else { return nil }
    guard isBraced else { return (Array(text[start..<end]), end) }
    guard end < text.count, text[end] == UInt8(ascii: "}") else { return nil }
    return (Array(text[start..<end]), end + 1)
  }

  private static func isPartOfName(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber: true
    default: scalar == "_"
    }
  }

  /// The number of a group; nil when the pattern has none of that name or number.
  private static func group(_ name: [UInt8], of pattern: Pattern) -> Int? {
    let isNumber = name.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    // Digits behind a zero are a name to Go.
    guard isNumber, name.count == 1 || name[0] != UInt8(ascii: "0") else {
      return pattern.group(named: String(decoding: name, as: UTF8.self))
    }
    guard name.count <= 9 else { return nil }
    let number = name.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return number <= pattern.groupCount ? number : nil
  }
}
