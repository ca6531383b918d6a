import CZlib

/// The checksum of gzip and Ethernet (ISO 3309, RFC 1952 section 8).
public enum Checksum {
  public static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let base = bytes.baseAddress else { return 0 }
    return UInt32(truncatingIfNeeded: crc32_z(0, base.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
