// Upper and lower case as Go's strings.ToUpper and ToLower have them: one code point for one code point. So `ß`, whose
// upper case is two letters, stays as it is.

extension [UInt8] {
  /// UTF-8 in lower case; a byte that is no UTF-8 becomes U+FFFD.
  var lowercased: [UInt8] { mapped(ascii: 0x41...0x5a) { $0.simpleLowercase } }

  /// UTF-8 in upper case; a byte that is no UTF-8 becomes U+FFFD.
  var uppercased: [UInt8] { mapped(ascii: 0x61...0x7a) { $0.simpleUppercase } }

  /// - Parameter letters: the letters of ASCII that have another case.
  private func mapped(ascii letters: ClosedRange<UInt8>, _ map: (UnicodeScalar) -> UnicodeScalar) -> [UInt8] {
    guard contains(where: { $0 >= 0x80 }) else { return self.map { letters.contains($0) ? $0 ^ 0x20 : $0 } }
    var result: [UInt8] = []
    result.reserveCapacity(count)
    for scalar in UTF8Scalars(self) { result.append(contentsOf: UTF8.encode(map(scalar))!) }
    return result
  }
}

/// The code points of bytes as Go's range over a string gives them: U+FFFD for each byte that is no UTF-8.
struct UTF8Scalars: Sequence, IteratorProtocol {
  private let bytes: [UInt8]
  private(set) var offset: Int

  init(_ bytes: [UInt8], from offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  mutating func next() -> UnicodeScalar? {
    guard offset < bytes.count else { return nil }
    var input = bytes[offset...].prefix(4).makeIterator()
    var decoder = UTF8()
    if case .scalarValue(let scalar) = decoder.decode(&input) {
      offset += UTF8.width(scalar)
      return scalar
    }
    offset += 1
    return "\u{fffd}"
  }
}

extension UnicodeScalar {
  fileprivate var simpleLowercase: UnicodeScalar {
    // The only one whose full mapping has two code points is İ, and the simple mapping is the first of them.
    properties.lowercaseMapping.unicodeScalars.first ?? self
  }

  fileprivate var simpleUppercase: UnicodeScalar {
    // Where the full mapping has several code points, the simple one, if there is any, is that to title case: ᾳ, ᾼ.
    for mapping in [properties.uppercaseMapping, properties.titlecaseMapping] {
      let scalars = mapping.unicodeScalars
      if let first = scalars.first, scalars.count == 1 { return first }
    }
    return self
  }
}
