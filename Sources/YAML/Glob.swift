import Glibc

/// Paths with `*`, `?` and `[…]`.
package enum Glob {
  /// The files of a pattern, by name (glob(3)); those whose names begin with a dot, too, as Go has it.
  package static func files(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, GLOB_PERIOD, nil, &found) == 0, let names = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { names[$0].map { String(cString: $0) } }
      .filter { !$0.hasSuffix("/.") && !$0.hasSuffix("/..") }
  }
}

extension String {
  /// This path, counted from a folder when it is relative; an empty path stays one.
  package func path(from directory: String) -> String {
    isEmpty || hasPrefix("/") || directory.isEmpty ? self : "\(directory)/\(self)"
  }
}
