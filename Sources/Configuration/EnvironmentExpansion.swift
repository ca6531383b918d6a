// Variables of the environment in external labels, as Go's os.Expand and Prometheus put them there.

extension String {
  /// The text with `$NAME` and `${NAME}` replaced. `$$` is a dollar sign; a variable that is not there is empty.
  ///
  /// - Parameter variable: gives a variable's value.
  func expandingVariables(_ variable: (String) -> String?) -> String {
    var expanded = String.UnicodeScalarView()
    var rest = unicodeScalars[...]
    while let scalar = rest.popFirst() {
      guard scalar == "$", let next = rest.first else {
        expanded.append(scalar)
        continue
      }
      let name: Substring.UnicodeScalarView
      if next == "{" {
        rest.removeFirst()
        // Without an end, only the brace goes.
        guard let end = rest.firstIndex(of: "}") else { continue }
        name = rest[..<end]
        rest = rest[rest.index(after: end)...]
        if name.isEmpty { continue }
      } else {
        // Those of the shell itself ($1, $@) are one character.
        name = next.isShellVariable ? rest.prefix(1) : rest.prefix(while: \.isInVariableName)
        rest = rest[name.endIndex...]
      }
      let text = name.isEmpty || name.elementsEqual("$".unicodeScalars) ? "$" : variable(String(name)) ?? ""
      expanded += text.unicodeScalars
    }
    return String(expanded)
  }
}

extension UnicodeScalar {
  fileprivate var isShellVariable: Bool { "*#$@!?-0123456789".unicodeScalars.contains(self) }

  fileprivate var isInVariableName: Bool {
    switch self {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: false
    }
  }
}
