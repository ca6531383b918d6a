/// A 128-bit fingerprint of bytes: by it a scrape knows a series again without comparing or parsing its text.
///
/// Among a million series of one target, two with the same fingerprint have a chance of 1 in 10^26.
public struct SeriesHash: Equatable, Sendable {
  public let low: UInt64
  public let high: UInt64

  @inlinable
  init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }
}

extension SeriesHash: Hashable {
  /// Half of it is more than a hash table needs.
  public func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

/// Makes `SeriesHash`es: two lanes that each take 8 bytes a step, one by a folded 64 × 64 → 128 bit multiplication
/// (as wyhash does, https://github.com/wangyi-fudan/wyhash), one by rotation and an odd multiplier.
///
/// Keyed, so that nobody who cannot see the key can prepare texts with equal hashes.
public struct SeriesHasher: Sendable {
  @usableFromInline let start: (UInt64, UInt64)
  @usableFromInline let multiplier: (UInt64, UInt64)

  /// The hasher of this process, with a random key.
  public static let process: SeriesHasher = {
    var random = SystemRandomNumberGenerator()
    return SeriesHasher(using: &random)
  }()

  /// A hasher with a key from `random`.
  public init(using random: inout some RandomNumberGenerator) {
    start = (random.next(), random.next())
    multiplier = (random.next() | 1, random.next() | 1)
  }

  /// - Parameter salt: equal bytes with different salts have different hashes.
  @inlinable @inline(__always)
  public func hash(_ bytes: RawSpan, salt: UInt64 = 0) -> SeriesHash {
    let count = bytes.byteCount
    // The length is in the start, so that the overlapping last word cannot confuse texts of different lengths.
    let first = salt &* 0x9e37_79b9_7f4a_7c15 ^ UInt64(truncatingIfNeeded: count)
    var a = start.0 ^ first
    var b = start.1 &+ first
    var offset = 0
    while offset &+ 8 < count {
      let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      a = fold(a ^ word, multiplier.0)
      b = ((b << 29 | b >> 35) ^ word) &* multiplier.1
      offset &+= 8
    }
    let word = lastWord(of: bytes)
    a = fold(a ^ word, multiplier.0)
    b = ((b << 29 | b >> 35) ^ word) &* multiplier.1
    return SeriesHash(low: fold(a ^ multiplier.1, b | 1), high: fold(b ^ start.0, multiplier.0) ^ a)
  }

  /// The last 8 bytes; of fewer than 8 all, each at a place of its own.
  @inlinable @inline(__always)
  func lastWord(of bytes: RawSpan) -> UInt64 {
    let count = bytes.byteCount
    if count >= 8 { return bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: count - 8, as: UInt64.self) }
    if count >= 4 {
      let front = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt32.self)
      let back = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: count - 4, as: UInt32.self)
      return UInt64(front) << 32 | UInt64(back)
    }
    var word: UInt64 = 0
    for offset in 0..<count { word = word << 8 | UInt64(bytes[offset]) }
    return word
  }

  @inlinable @inline(__always)
  func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}

extension SeriesHasher {
  /// The fingerprint of a sequence of texts: of `bytes` behind those whose fingerprint is `hash`.
  @inlinable @inline(__always)
  public func hash(_ bytes: RawSpan, salt: UInt64 = 0, after hash: SeriesHash) -> SeriesHash {
    let own = self.hash(bytes, salt: hash.low &+ salt)
    return SeriesHash(low: own.low, high: own.high ^ (hash.high << 1 | hash.high >> 63))
  }
}

extension SeriesHash {
  /// Of no text at all: where a sequence begins.
  public static let none = SeriesHash(low: 0, high: 0)
}
