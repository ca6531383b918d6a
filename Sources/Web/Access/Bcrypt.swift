// bcrypt by crypt(3) of libxcrypt.

import CCrypt
import Glibc

/// A password's bcrypt hash: `$2b$10$`, 22 characters of salt, 31 of hash.
struct BcryptHash: Sendable, Equatable {
  /// The variants $2$, $2a$, $2x$ and $2y$ name bugs of old programs, which Go has none of: all are read as $2b$.
  private let text: String
  /// The work is 2 to the power of this: 4 to 31.
  let cost: Int

  private static let digits = Set("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

  init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0].isEmpty, parts[1].first == UInt8(ascii: "2"), parts[1].count <= 2,
      parts[2].count == 2, parts[2].allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let cost = Int(Substring(parts[2])), (4...31).contains(cost),
      parts[3].count == 53, parts[3].allSatisfy(Self.digits.contains)
    else { return nil }
    self.cost = cost
    self.text = "$2b$\(Substring(parts[2]))$\(Substring(parts[3]))"
  }

  /// A hash of no password that anybody knows, which takes as long to compare with.
  static func decoy(cost: Int) -> BcryptHash? {
    BcryptHash("$2b$\(cost < 10 ? "0" : "")\(cost)$" + String(repeating: "abcdefgh", count: 6) + "abcde")
  }

  /// Whether this is the password's hash. Takes its time: some 50 ms at cost 10, twice as long for each further step.
  func matches(_ password: [UInt8]) -> Bool {
    // crypt takes a C string: what stands behind a zero would not count.
    let hasZero = password.contains(0)
    let size = MemoryLayout<crypt_data>.size
    let work = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<crypt_data>.alignment)
    memset(work, 0, size)
    defer {
      explicit_bzero(work, size)
      work.deallocate()
    }
    var phrase = password.map { CChar(bitPattern: $0) } + [0]
    defer { phrase.withUnsafeMutableBufferPointer { $0.update(repeating: 0) } }
    guard let output = crypt_rn(phrase, text, work, CInt(size)) else { return false }
    let isEqual = constantTimeEqual(String(cString: output).utf8.suffix(31), text.utf8.suffix(31))
    return isEqual && !hasZero
  }
}

/// Whether two runs of bytes are the same, in a time that says nothing but whether they are as long.
func constantTimeEqual(_ one: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
  guard one.count == other.count else { return false }
  return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
