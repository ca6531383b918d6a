import Bytes
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct ValueCodecTests {
  /// Writes the values one after the other, as one series has them, and reads them back.
  private func roundTrip(_ values: [UInt64]) -> (read: [UInt64], bytes: Int)? {
    var output = ByteWriter()
    var state = ValueState()
    for bits in values where bits != state.bits { ValueCodec.append(bits, &state, to: &output) }
    var scanner = ByteScanner(output.bytes)
    state = ValueState()
    var read: [UInt64] = []
    for bits in values {
      if bits != state.bits {
        guard let tag = scanner.next, tag >= 0x40 else { return nil }
        scanner.position += 1
        guard ValueCodec.read(tag, &state, from: &scanner) else { return nil }
      }
      read.append(state.bits)
    }
    return scanner.isAtEnd ? (read, output.count) : nil
  }

  private static let special: [Double] = {
    let border = 9_007_199_254_740_992.0
    var values: [Double] = [
      0, -0.0, 1, -1, 0.1, 0.2, 0.1 + 0.2, 1e-7, 1e-8, 12345.67, -12345.67, 1e15, 1e16, 1e22, 1e23, 1e300, 1e-300,
      .infinity, -.infinity, .staleMarker, .nan, .signalingNaN, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
      .leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .pi, .ulpOfOne,
      Double(bitPattern: 0xfff1_2345_6789_abcd), Double(bitPattern: 0x7ff8_0000_0000_0001),
      Double(bitPattern: 1 << 56), Double(bitPattern: .max), 1_700_000_000.123, 4_294_967_295,
      18_446_744_073_709_551_616,
    ]
    for power in 0...7 {
      let scale = (0..<power).reduce(1.0) { product, _ in product * 10 }
      values += [border / scale, (border / scale).nextUp, (border / scale).nextDown, -border / scale, 31 / scale]
      values += [32 / scale, -33 / scale]
    }
    return values + [border, border - 1, border + 2, -border, border / 2, Double(Int64.max), Double(Int64.min)]
  }()

  @Test func everyValueReadsBackAfterEveryOther() throws {
    for first in Self.special {
      let values = Self.special.flatMap { [first, $0, first, $0, $0].map(\.bitPattern) }
      #expect(roundTrip(values)?.read == values, "\(first)")
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func walksReadBack(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    var value = Double.random(in: -1e6...1e6, using: &random)
    var values: [UInt64] = []
    let scale = [1, 10, 100, 1000, 1e7, 1e9].randomElement(using: &random)!
    for _ in 0..<fuzzRounds * 10 {
      switch Int.random(in: 0..<20, using: &random) {
      case 0: value = Self.special.randomElement(using: &random)!
      case 1: value = Double(bitPattern: random.next())
      case 2: value = -value
      case 3..<8: break
      default: value = ((value * scale).rounded() + Double(Int.random(in: -40...40, using: &random))) / scale
      }
      values.append(value.bitPattern)
    }
    #expect(roundTrip(values)?.read == values)
  }

  @Test func steadyDecimalsTakeAByte() throws {
    let values = (0..<1000).map { (Double($0 * 7 % 60) / 100 + 20).bitPattern }
    let result = try #require(roundTrip(values))
    #expect(result.read == values && result.bytes < 1900)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func garbageIsReadWithoutHarm(seed: UInt64) {
    var random = SeededGenerator(seed)
    var state = ValueState()
    for _ in 0..<fuzzRounds {
      let bytes = (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random)
      }
      var scanner = ByteScanner(bytes.span.bytes)
      let tag = UInt8.random(in: 0x40 ... .max, using: &random)
      let isRead = ValueCodec.read(tag, &state, from: &scanner)
      #expect(isRead || bytes.count < 8)
      if !isRead { state = ValueState(bits: random.next(), exponent: UInt8.random(in: 0...255, using: &random)) }
    }
  }
}
