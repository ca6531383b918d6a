/// A number of bytes, as Prometheus' flags write it: `64MB`, `1GiB`, `0`. All units are powers of two, as there.
public struct ByteSize: FlagValue, Equatable {
  public let bytes: Int

  private static let units: [(suffix: String, shift: Int)] = [
    ("KIB", 10), ("MIB", 20), ("GIB", 30), ("TIB", 40), ("PIB", 50), ("EIB", 60), ("KB", 10), ("MB", 20), ("GB", 30),
    ("TB", 40), ("PB", 50), ("EB", 60), ("B", 0),
  ]

  public init(_ bytes: Int) { self.bytes = bytes }

  public static func parse(_ text: String) throws(FlagSyntaxError) -> ByteSize {
    if text == "0" { return ByteSize(0) }
    let upper = text.uppercased()
    for (suffix, shift) in units where upper.hasSuffix(suffix) {
      guard let number = Int(upper.dropLast(suffix.utf8.count)), number >= 0, number <= Int.max >> shift else { break }
      return ByteSize(number << shift)
    }
    throw FlagSyntaxError("expected a size such as 64MB or 2GiB got \"\(text)\"")
  }

  public var help: String? {
    for (suffix, shift) in [("GB", 30), ("MB", 20), ("KB", 10)] where bytes > 0 && bytes % (1 << shift) == 0 {
      return "\(bytes >> shift)\(suffix)"
    }
    return "\(bytes)"
  }
}
