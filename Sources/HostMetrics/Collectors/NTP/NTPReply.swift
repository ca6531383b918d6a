// The header of an NTP message (RFC 5905, section 7.3) and what follows from its times.

import Bytes

/// Why a datagram is no answer to the question.
enum NTPFault: String, Error, CustomStringConvertible {
  case length = "couldn't get SNTP reply: it is too short"
  case mode = "couldn't get SNTP reply: it is not from a server"
  case transmitTime = "couldn't get SNTP reply: it has no transmit time"
  case mismatch = "couldn't get SNTP reply: it answers another request"
  case backwards = "couldn't get SNTP reply: the server's clock ticked backwards"

  var description: String { rawValue }
}

/// Seconds since 1900 and their fractions, 32 bits of each.
struct NTPTime: Equatable {
  let bits: UInt64

  /// Seconds from 1900 to 1970.
  private static let unixEpoch: Int64 = 2_208_988_800

  init(bits: UInt64) { self.bits = bits }

  /// - Parameter nanoseconds: may be more than a second.
  init(unixSeconds: Int64, nanoseconds: Int64) {
    let seconds = UInt64(bitPattern: unixSeconds &+ Self.unixEpoch &+ nanoseconds / 1_000_000_000)
    let fraction = (UInt64(nanoseconds % 1_000_000_000) << 32 + 500_000_000) / 1_000_000_000
    bits = seconds << 32 &+ fraction
  }

  /// Nanoseconds since 1970. What would lie before is taken to be after the seconds' first overflow, in 2036.
  var unixNanoseconds: Int64 {
    let epoch = (Self.unixEpoch - (bits < UInt64(Self.unixEpoch) << 32 ? 1 << 32 : 0)) * 1_000_000_000
    return Self.nanoseconds(bits) - epoch
  }

  /// Of a difference of two times, at most 2^32 seconds.
  static func nanoseconds(_ bits: UInt64) -> Int64 {
    Int64(bits >> 32) * 1_000_000_000 + Int64(((bits & 0xffff_ffff) * 1_000_000_000 + 0x8000_0000) >> 32)
  }
}

/// A server's answer. All times are in nanoseconds.
struct NTPReply {
  let leap: UInt8
  let stratum: UInt8
  let roundTrip: Int64
  let offset: Int64
  let rootDelay: Int64
  let rootDispersion: Int64
  /// When the server's clock was last set, since 1970.
  let reference: Int64
  /// When the server sent the answer, since 1970.
  let transmitted: Int64
  /// By how much the times violate causality.
  let minError: Int64

  /// - Parameters:
  ///   - cookie: what stood in the request as its time.
  ///   - sent: when the request was sent, by the local clock.
  init(_ bytes: RawSpan, cookie: UInt64, sent: NTPTime, received: NTPTime) throws(NTPFault) {
    guard bytes.byteCount >= 48 else { throw .length }
    let (there, back) = (bytes.bigEndian(32, 8), bytes.bigEndian(40, 8))
    guard bytes[0] & 7 == 4 else { throw .mode }
    guard back != 0 else { throw .transmitTime }
    guard bytes.bigEndian(24, 8) == cookie else { throw .mismatch }
    guard there <= back else { throw .backwards }

    leap = bytes[0] >> 6
    stratum = bytes[1]
    rootDelay = Self.short(bytes.bigEndian(4, 4))
    rootDispersion = Self.short(bytes.bigEndian(8, 4))
    reference = NTPTime(bits: bytes.bigEndian(16, 8)).unixNanoseconds
    transmitted = NTPTime(bits: back).unixNanoseconds

    let onTheWay = Int64(bitPattern: received.bits &- sent.bits &- (back &- there))
    roundTrip = NTPTime.nanoseconds(UInt64(max(onTheWay, 0)))
    let (forth, home) = (Int64(bitPattern: there &- sent.bits), Int64(bitPattern: back &- received.bits))
    // Halfway between the two differences, without overflow.
    let half = forth &+ (home &- forth) / 2
    let magnitude = NTPTime.nanoseconds(half.magnitude)
    offset = half < 0 ? -magnitude : magnitude
    minError = NTPTime.nanoseconds(
      max(sent.bits >= there ? sent.bits - there : 0, back >= received.bits ? back - received.bits : 0))
  }

  /// Seconds and their fractions, 16 bits of each.
  private static func short(_ bits: UInt64) -> Int64 { Int64((bits * 1_000_000_000 + 0x8000) >> 16) }

  /// Half the way to the root and back, and what its clocks may be off.
  var rootDistance: Int64 { (roundTrip + rootDelay) / 2 + rootDispersion }

  /// Whether a clock may be set by it.
  var isValid: Bool {
    // 2^17 seconds, the longest time between two polls; 16 seconds, MAXDISP.
    (1..<16).contains(stratum) && transmitted - reference <= 131_072_000_000_000
      && rootDelay / 2 + rootDispersion <= 16_000_000_000 && transmitted >= reference && leap != 3
  }
}
