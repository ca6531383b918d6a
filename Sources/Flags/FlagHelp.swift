/// What `--help` prints, in kingpin's two columns.
extension FlagParser {
  private static let helpColumn = 33
  private static let lineWidth = 80

  /// - Parameter usage: the lines before the flags, ending in a newline.
  public func help(usage: String) -> String {
    var text = usage + "\n\nFlags:\n"
    for flag in definitions where !flag.isHidden {
      let left = "  " + (flag.name == "help" ? "-h, " : "    ") + flag.leftColumn
      var lines = Self.wrap(flag.help, width: Self.lineWidth - Self.helpColumn)
      if left.count + 2 <= Self.helpColumn {
        let first = lines.isEmpty ? "" : lines.removeFirst()
        text += left + String(repeating: " ", count: Self.helpColumn - left.count) + first + "\n"
      } else {
        text += left + "  \n"
      }
      for line in lines { text += String(repeating: " ", count: Self.helpColumn) + line + "\n" }
    }
    return text
  }

  private static func wrap(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }
}

extension FlagDefinition {
  /// The flag as one types it, with its default.
  var leftColumn: String {
    if isSwitch { return "--[no-]\(name)" }
    return "--\(name)=\(defaultText ?? name.uppercased())" + (isRepeatable ? " ..." : "")
  }
}
