// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) by libnettle.

import CNettle

package enum SHA256 {
  static let byteCount = 32

  package static func hash(_ message: UnsafeRawBufferPointer) -> [UInt8] {
    var context = sha256_ctx()
    nettle_sha256_init(&context)
    nettle_sha256_update(&context, message.count, message.bindMemory(to: UInt8.self).baseAddress)
    return [UInt8](unsafeUninitializedCapacity: byteCount) { digest, count in
      nettle_sha256_digest(&context, byteCount, digest.baseAddress)
      count = byteCount
    }
  }

  static func hash(_ message: String) -> [UInt8] { Array(message.utf8).withUnsafeBytes { hash($0) } }

  /// The code that authenticates a message under a key.
  static func authenticationCode(_ message: String, key: [UInt8]) -> [UInt8] {
    var context = hmac_sha256_ctx()
    let message = Array(message.utf8)
    nettle_hmac_sha256_set_key(&context, key.count, key)
    nettle_hmac_sha256_update(&context, message.count, message)
    return [UInt8](unsafeUninitializedCapacity: byteCount) { digest, count in
      nettle_hmac_sha256_digest(&context, byteCount, digest.baseAddress)
      count = byteCount
    }
  }
}

extension Collection where Element == UInt8 {
  /// Two lower-case digits for each byte.
  package var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
