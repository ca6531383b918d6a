// YAML as text, in block style: what is written is read back as the same by YAML 1.1 and by YAML 1.2.

extension YAMLNode {
  /// A text, which stays one when it looks like a number.
  package static func text(_ text: String) -> YAMLNode { built(.scalar(text, isPlain: false)) }

  /// A number, a boolean or a duration.
  package static func plain(_ text: String) -> YAMLNode { built(.scalar(text, isPlain: true)) }

  package static func bool(_ value: Bool) -> YAMLNode { plain(value ? "true" : "false") }

  package static func list(_ elements: [YAMLNode]) -> YAMLNode { built(.sequence(elements)) }

  package static func block(_ members: [(key: String, value: YAMLNode)]) -> YAMLNode {
    let nowhere = Position(line: 0, column: 0)
    return built(.mapping(members.map { ($0.key, nowhere, $0.value) }))
  }

  private static func built(_ content: Content) -> YAMLNode {
    YAMLNode(content: content, position: Position(line: 0, column: 0))
  }

  /// The tree as a document, with a newline at its end.
  package var document: String {
    var text = ""
    if let inline { text = inline + "\n" } else { write(to: &text, indent: 0) }
    return text
  }

  /// What fits behind its key on one line; nil for what needs lines of its own.
  private var inline: String? {
    switch content {
    case .null: "null"
    case .scalar(let text, let isPlain): isPlain && text.isSpelledPlainly || text.isPlainWord ? text : text.yamlQuoted
    case .sequence(let elements): elements.isEmpty ? "[]" : nil
    case .mapping(let members): members.isEmpty ? "{}" : nil
    }
  }

  /// Writes lines; the first one is indented already.
  private func write(to text: inout String, indent: Int) {
    let margin = String(repeating: " ", count: indent)
    switch content {
    case .null, .scalar: break
    case .sequence(let elements):
      for (index, element) in elements.enumerated() {
        text += (index > 0 ? margin : "") + "- "
        element.writeValue(to: &text, indent: indent + 2, isOnOwnLine: false)
      }
    case .mapping(let members):
      for (index, member) in members.enumerated() {
        text += (index > 0 ? margin : "") + (YAMLNode.text(member.key).inline ?? "") + ":"
        member.value.writeValue(to: &text, indent: member.value.isSequence ? indent : indent + 2, isOnOwnLine: true)
      }
    }
  }

  private func writeValue(to text: inout String, indent: Int, isOnOwnLine: Bool) {
    if let inline {
      text += (isOnOwnLine ? " " : "") + inline + "\n"
    } else {
      if isOnOwnLine { text += "\n" + String(repeating: " ", count: indent) }
      write(to: &text, indent: indent)
    }
  }

  private var isSequence: Bool {
    if case .sequence = content { return true }
    return false
  }
}

extension String {
  private static let keywords: Set<String> = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"]

  private var isKeyword: Bool { utf8.count <= 5 && Self.keywords.contains(lowercased()) }

  /// A number, a boolean or a duration, which needs no quotes to be one.
  fileprivate var isSpelledPlainly: Bool {
    isKeyword || Int(yaml: self) != nil || Double(yaml: self) != nil || Duration(prometheus: self) != nil
  }

  /// What no reader of YAML takes for anything but a text.
  fileprivate var isPlainWord: Bool {
    guard let first = utf8.first, utf8.last != UInt8(ascii: ":"), !isKeyword else { return false }
    func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    return (isLetter(first) || first == UInt8(ascii: "_") || first == UInt8(ascii: "/"))
      && utf8.allSatisfy { isLetter($0) || $0 &- 0x30 < 10 || "_./:-".utf8.contains($0) }
  }

  /// In double quotes, on one line.
  fileprivate var yamlQuoted: String {
    var text = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      // Line ends and what is not printable in YAML 1.1.
      case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{a0}", "\u{2028}", "\u{2029}", "\u{fe00}"..."\u{feff}",
        "\u{fff0}"..."\u{ffff}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
