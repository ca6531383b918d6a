import Kernel
import Synchronization

/// Who asks, by `Authorization: Basic` (RFC 7617).
struct BasicCredentials: Sendable, Equatable {
  var user: String
  var password: [UInt8]

  init(user: String, password: [UInt8]) {
    self.user = user
    self.password = password
  }

  /// Nil when the header is of another kind, or malformed.
  init?(_ header: String) {
    let scheme = "Basic "
    guard header.utf8.count > scheme.utf8.count, header.prefix(scheme.count).lowercased() == scheme.lowercased(),
      let bytes = Base64.decode(header.utf8.dropFirst(scheme.utf8.count)),
      let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
    else { return nil }
    self.init(user: String(decoding: bytes[..<colon], as: UTF8.self), password: Array(bytes[(colon + 1)...]))
  }
}

/// Compares passwords with their hashes, on a thread of its own, one after the other.
///
/// Each user's last password that was right is remembered, with the hash that it was right for: a scraper costs the hash
/// once, and as a user has but one password, that is the bound of what is remembered.
final class PasswordCheck: Sendable {
  private struct Verified {
    var hash: BcryptHash
    var password: [UInt8]
  }

  private struct Queue {
    var waiting: [@Sendable () -> Void] = []
    var isRunning = false
  }

  private let verified = Mutex<[String: Verified]>([:])
  private let queue = Mutex(Queue())

  /// Tells whether the credentials are those of a user; at once when that is known, else later, on another thread.
  func check(
    _ credentials: BasicCredentials, _ users: [String: BcryptHash], then done: @escaping @Sendable (Bool) -> Void
  ) {
    let hash = users[credentials.user]
    if let hash, isKnown(credentials, hash) { return done(true) }
    // For an unknown user the work is done all the same, so that the time does not tell who is known.
    guard let compared = hash ?? BcryptHash.decoy(cost: users.values.map(\.cost).max() ?? 10) else {
      return done(false)
    }
    enqueue { [self] in
      // The same password may have been found right while this one waited.
      if let hash, isKnown(credentials, hash) { return done(true) }
      let isRight = compared.matches(credentials.password) && hash != nil
      if isRight {
        verified.withLock { verified in
          verified = verified.filter { users[$0.key] == $0.value.hash }
          verified[credentials.user] = Verified(hash: compared, password: credentials.password)
        }
      }
      done(isRight)
    }
  }

  private func isKnown(_ credentials: BasicCredentials, _ hash: BcryptHash) -> Bool {
    guard let known = verified.withLock({ $0[credentials.user] }), known.hash == hash else { return false }
    return constantTimeEqual(known.password, credentials.password)
  }

  // MARK: Thread

  private func enqueue(_ work: @escaping @Sendable () -> Void) {
    let mustStart = queue.withLock { queue in
      queue.waiting.append(work)
      defer { queue.isRunning = true }
      return !queue.isRunning
    }
    guard mustStart else { return }
    do {
      try KernelThread.start("bcrypt") { [self] in run() }
    } catch {
      // Without a thread the work delays this one, but is done.
      run()
    }
  }

  /// Does what waits, until nothing is left.
  private func run() {
    while true {
      let next = queue.withLock { queue -> (@Sendable () -> Void)? in
        queue.isRunning = !queue.waiting.isEmpty
        return queue.isRunning ? queue.waiting.removeFirst() : nil
      }
      guard let next else { return }
      next()
    }
  }
}

/// Base64 (RFC 4648, section 4).
enum Base64 {
  /// Nil unless the text is well-formed, with its padding.
  static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    for character in text.dropLast(padding) {
      guard let digit = digit(character) else { return nil }
      bits = bits << 6 | UInt32(digit)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    return bytes
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
