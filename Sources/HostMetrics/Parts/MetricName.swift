extension String {
  /// Fit to be a part of a metric's name: each run of bytes other than ASCII letters and digits that has more than
  /// underscores in it becomes one underscore, as in node_exporter.
  var asMetricName: String {
    var name = ""
    var gap = ""
    func isPlain(_ scalar: Unicode.Scalar) -> Bool {
      scalar.isASCII && (scalar.properties.isAlphabetic || "0"..."9" ~= scalar)
    }
    for scalar in unicodeScalars {
      if isPlain(scalar) {
        name += gap.allSatisfy { $0 == "_" } ? gap : "_"
        gap = ""
        name.unicodeScalars.append(scalar)
      } else {
        gap.unicodeScalars.append(scalar)
      }
    }
    return name + (gap.allSatisfy { $0 == "_" } ? gap : "_")
  }
}
