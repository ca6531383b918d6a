import Glibc

/// How often property tests try: PILOTFISH_FUZZ_ROUNDS times, a few hundred if that is not set.
public let fuzzRounds = getenv("PILOTFISH_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 300

/// A generator of random numbers that gives the same ones in every run (splitmix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}

/// `bytes` with a few of them changed, taken out or doubled.
public func mutated(_ bytes: [UInt8], with random: inout SeededGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
    let place = Int.random(in: bytes.indices, using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
    case 1: bytes.remove(at: place)
    case 2: bytes.insert(bytes[place], at: place)
    default: bytes.removeSubrange(place..<min(place + 9, bytes.count))
    }
  }
  return bytes
}
