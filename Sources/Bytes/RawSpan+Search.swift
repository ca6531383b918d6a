import Glibc

/// Comparing and searching byte spans by libc's vectorised routines.
extension RawSpan {
  @inlinable public subscript(_ offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  /// The offset of the first `byte` at or after `start`; nil when there is none.
  public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
    guard start < byteCount else { return nil }
    return withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress,
        let hit = memchr(base + start, Int32(byte), buffer.count - start)
      else { return nil }
      return UnsafeRawPointer(hit) - base
    }
  }

  /// The offset of the last `byte`; nil when there is none.
  public func lastIndex(of byte: UInt8) -> Int? {
    var offset = byteCount
    while offset > 0 {
      offset -= 1
      if unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) == byte { return offset }
    }
    return nil
  }

  public func equals(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    return withUnsafeBytes { left in
      other.withUnsafeBytes { right in left.isEmpty || memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0 }
    }
  }

  /// Lexicographic order of the bytes: negative when this comes first, 0 when equal.
  public func compare(_ other: RawSpan) -> Int {
    let shared = Swift.min(byteCount, other.byteCount)
    let order = withUnsafeBytes { left in
      other.withUnsafeBytes { right in
        shared == 0 ? 0 : Int(memcmp(left.baseAddress!, right.baseAddress!, shared))
      }
    }
    return order == 0 ? byteCount - other.byteCount : order
  }

  public func equals(_ text: StaticString) -> Bool { starts(with: text) && byteCount == text.utf8CodeUnitCount }

  public func starts(with text: StaticString) -> Bool {
    guard byteCount >= text.utf8CodeUnitCount else { return false }
    return withUnsafeBytes { bytes in
      text.utf8CodeUnitCount == 0 || memcmp(bytes.baseAddress!, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
  }

  public func ends(with text: StaticString) -> Bool {
    let tail = byteCount - text.utf8CodeUnitCount
    return tail >= 0 && extracting(tail..<byteCount).starts(with: text)
  }

  /// Without blanks (space, tab, carriage return, newline) at both ends.
  public var trimmed: RawSpan {
    @_lifetime(copy self) get {
      var start = 0
      var end = byteCount
      func isBlank(_ byte: UInt8) -> Bool { byte == .space || byte &- 9 < 5 }
      while start < end, isBlank(self[start]) { start += 1 }
      while end > start, isBlank(self[end - 1]) { end -= 1 }
      return extracting(start..<end)
    }
  }

  /// The number of `length` bytes at `offset`, at most 8, the most significant first.
  public func bigEndian(_ offset: Int, _ length: Int) -> UInt64 {
    var value: UInt64 = 0
    for place in offset..<offset + length { value = value << 8 | UInt64(self[place]) }
    return value
  }

  /// The bytes as an array.
  public var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension String {
  /// The bytes as UTF-8; each ill-formed sequence becomes U+FFFD.
  public init(utf8 bytes: RawSpan) { self = bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

  /// The bytes as UTF-8; each run of ill-formed ones becomes one U+FFFD, as by Go's strings.ToValidUTF8.
  public init(mendedUTF8 bytes: RawSpan) {
    guard !bytes.isUTF8 else {
      self.init(utf8: bytes)
      return
    }
    self.init()
    var input = bytes.array.makeIterator()
    var parser = Unicode.UTF8.ForwardParser()
    var isMended = false
    while true {
      switch parser.parseScalar(from: &input) {
      case .valid(let scalar):
        unicodeScalars.append(Unicode.UTF8.decode(scalar))
        isMended = false
      case .error:
        if !isMended { unicodeScalars.append("\u{fffd}") }
        isMended = true
      case .emptyInput: return
      }
    }
  }
}

extension RawSpan {
  /// Whether the bytes are well-formed UTF-8: no surrogates, nothing overlong, nothing above U+10FFFF.
  public var isUTF8: Bool {
    var offset = 0
    while offset < byteCount {
      if offset + 8 <= byteCount,
        unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
      {
        offset += 8
        continue
      }
      let lead = self[offset]
      offset += 1
      if lead < 0x80 { continue }
      let (length, second): (Int, ClosedRange<UInt8>)
      switch lead {
      case 0xc2...0xdf: (length, second) = (1, 0x80...0xbf)
      case 0xe0: (length, second) = (2, 0xa0...0xbf)
      case 0xe1...0xec, 0xee...0xef: (length, second) = (2, 0x80...0xbf)
      case 0xed: (length, second) = (2, 0x80...0x9f)
      case 0xf0: (length, second) = (3, 0x90...0xbf)
      case 0xf1...0xf3: (length, second) = (3, 0x80...0xbf)
      case 0xf4: (length, second) = (3, 0x80...0x8f)
      default: return false
      }
      guard offset + length <= byteCount, second.contains(self[offset]) else { return false }
      for next in offset + 1..<offset + length where self[next] & 0xc0 != 0x80 { return false }
      offset += length
    }
    return true
  }
}
