/// Gives texts that come again and again, such as names and namespaces of objects, as one string each, so that they
/// take memory once. Bounded: of two texts for the same place the newer one stays.
public final class StringPool {
  private static let places = 4096
  private var strings = [String](repeating: "", count: places)

  public init() {}

  public func string(_ bytes: RawSpan) -> String {
    // A string keeps so many bytes without memory of its own; long ones seldom come twice.
    guard bytes.byteCount > 15, bytes.byteCount <= 256 else { return String(utf8: bytes) }
    var hash = FNV1a()
    hash.combine(bytes)
    let place = Int(truncatingIfNeeded: hash.value) & (Self.places - 1)
    if strings[place].utf8.span.bytes.equals(bytes) { return strings[place] }
    let string = String(utf8: bytes)
    strings[place] = string
    return string
  }
}
