// RFC 9110, section 12.5.3.

/// Which codings a client takes.
enum AcceptEncoding {
  /// Whether the header allows gzip: named or by `*`, and not with a weight of 0.
  static func allowsGzip(_ header: String) -> Bool {
    var byStar = false
    for part in header.lowercased().split(separator: ",") {
      let pieces = part.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
      guard let coding = pieces.first else { continue }
      let weight = pieces.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
      if coding == "gzip" || coding == "x-gzip" { return weight > 0 }
      if coding == "*" { byStar = weight > 0 }
    }
    return byStar
  }
}
