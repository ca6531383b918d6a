/// A stable 64-bit hash (http://www.isthe.com/chongo/tech/comp/fnv/), FNV-1a.
public struct FNV1a: Sendable {
  public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  public init() {}

  public mutating func combine(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }

  public mutating func combine(_ bytes: RawSpan) {
    for offset in 0..<bytes.byteCount { combine(bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
  }
}
