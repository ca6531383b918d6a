/// Percent encoding of URLs (RFC 3986, section 2.1): letters, digits and `-._~` stay as they are, and all else becomes "%"
/// and two upper-case digits.
extension Sequence<UInt8> {
  /// - Parameter others: further characters that stay as they are; of ASCII.
  public func percentEncoded(keeping others: String = "") -> String {
    var encoded: [UInt8] = []
    for byte in self {
      if byte.isLetter || byte.isDigit || "-._~".utf8.contains(byte) || others.utf8.contains(byte) {
        encoded.append(byte)
      } else {
        encoded += [UInt8(ascii: "%"), (byte >> 4).upperHexDigit, (byte & 15).upperHexDigit]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  /// As application/x-www-form-urlencoded: a blank is a plus sign.
  public var formEncoded: String {
    String(decoding: percentEncoded(keeping: " ").utf8.map { $0 == .space ? UInt8(ascii: "+") : $0 }, as: UTF8.self)
  }
}

extension UInt8 {
  /// The hexadecimal digit of a number below 16.
  public var upperHexDigit: UInt8 { self < 10 ? self + 0x30 : self - 10 + 0x41 }
}
