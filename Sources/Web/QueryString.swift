// The query of a URL, as application/x-www-form-urlencoded has it (https://url.spec.whatwg.org/#urlencoded-parsing).

/// Splits a request's target into its decoded path and query.
enum RequestTarget {
  /// Parameters beyond these are left out.
  static let parameterLimit = 1000

  static func parse(_ target: String) -> (path: String, query: [(name: String, value: String)]) {
    let parts = target.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
    let path = decode(parts[0], plusIsSpace: false)
    guard parts.count > 1 else { return (path, []) }
    let query = parts[1].split(separator: UInt8(ascii: "&")).prefix(parameterLimit).map { parameter in
      let pair = parameter.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      return (
        name: decode(pair[0], plusIsSpace: true),
        value: pair.count > 1 ? decode(pair[1], plusIsSpace: true) : ""
      )
    }
    return (path, query)
  }

  /// Ill-formed escapes stay as they are; ill-formed UTF-8 becomes U+FFFD.
  private static func decode(_ text: Substring.UTF8View, plusIsSpace: Bool) -> String {
    var bytes: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hexDigit),
        let low = rest.dropFirst().first.flatMap(hexDigit)
      {
        bytes.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte == UInt8(ascii: "+") && plusIsSpace ? UInt8(ascii: " ") : byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
