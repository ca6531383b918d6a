import Bytes

/// How the log writes values: each as the change since the series' last value in the segment (docs/log-format.md).
///
/// Most values of real targets either stay as they are or are decimal fractions that move a little: `12345.67` and
/// `12346.02` are 1234567 and 1234602 hundredths, which differ by 35. Others are compared bit by bit.
///
///     00nnnnnn                   this and the next n samples repeat the last value of their series
///     01dddddd                   the decimal changed by d - 32, with as many digits as last time
///     10eeelll + l + 1 bytes     it has e digits behind the point now, and changed by a zigzag number
///     11zzzlll + l + 1 bytes     the bits XOR those of the last value, without z zero bytes at their low end
///
/// All arithmetic is IEEE 754 in double precision with a single rounding each: what is written on one machine reads
/// the same on every other.
struct ValueState {
  /// The bit pattern of the last value; 0 at first.
  var bits: UInt64 = 0
  /// The digits behind the point of the last decimal.
  var exponent: UInt8 = 0
}

enum ValueCodec {
  static let mostRepeats = 64
  /// More digits behind the point are left to the XOR.
  private static let mostDigits: UInt8 = 7
  /// An exponent that says: the last value was no decimal, do not look for one.
  private static let noDecimal: UInt8 = 0xff
  /// Beyond 2^53 whole numbers are not exact.
  private static let largest = 9_007_199_254_740_992.0

  @inline(__always)
  private static func scale(_ exponent: UInt8) -> Double {
    switch exponent {
    case 0: 1
    case 1: 10
    case 2: 100
    case 3: 1_000
    case 4: 10_000
    case 5: 100_000
    case 6: 1_000_000
    default: 10_000_000
    }
  }

  /// The value times 10^exponent, if that is a whole number from which the value comes back bit by bit.
  @inline(__always)
  private static func decimal(_ bits: UInt64, _ exponent: UInt8) -> Int64? {
    let value = Double(bitPattern: bits)
    let scaled = (value * scale(exponent)).rounded(.toNearestOrEven)
    guard scaled.magnitude < largest else { return nil }
    let whole = Int64(scaled)
    return (Double(whole) / scale(exponent)).bitPattern == bits ? whole : nil
  }

  /// The number that a decimal's change counts from.
  @inline(__always)
  private static func base(_ state: ValueState, _ exponent: UInt8) -> Int64 { decimal(state.bits, exponent) ?? 0 }

  /// Appends a value that differs from the last one.
  @inline(__always)
  static func append(_ bits: UInt64, _ state: inout ValueState, to output: inout ByteWriter) {
    if let (exponent, whole) = decimal(bits, after: state.exponent) {
      let change = whole &- base(state, exponent)
      if exponent == state.exponent, change >= -32, change < 32 {
        output.append(0x40 | UInt8(truncatingIfNeeded: change + 32))
      } else {
        append(0x80 | exponent << 3, UInt64(bitPattern: change << 1 ^ change >> 63), to: &output)
      }
      state = ValueState(bits: bits, exponent: exponent)
    } else {
      let difference = bits ^ state.bits
      let zeros = UInt64(difference.trailingZeroBitCount / 8)
      append(0xc0 | UInt8(truncatingIfNeeded: zeros) << 3, difference >> (zeros * 8), to: &output)
      state = ValueState(bits: bits, exponent: noDecimal)
    }
  }

  @inline(__always)
  private static func append(_ tag: UInt8, _ number: UInt64, to output: inout ByteWriter) {
    let length = max(1, (71 - number.leadingZeroBitCount) / 8)
    output.reserve(9)
    output.append(tag | UInt8(truncatingIfNeeded: length - 1))
    var rest = number
    for _ in 0..<length {
      output.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  /// The value as a decimal, with the fewest digits that it was tried with: none, then as many as last time.
  @inline(__always)
  private static func decimal(_ bits: UInt64, after last: UInt8) -> (UInt8, Int64)? {
    if let whole = decimal(bits, 0) { return (0, whole) }
    if last == noDecimal { return nil }
    if last > 0, let whole = decimal(bits, last) { return (last, whole) }
    var exponent: UInt8 = 1
    while exponent <= mostDigits {
      if exponent != last, let whole = decimal(bits, exponent) { return (exponent, whole) }
      exponent += 1
    }
    return nil
  }

  /// Reads the value behind a tag that is not a repetition; nil when the bytes end too soon.
  @inline(__always)
  @_lifetime(scanner: copy scanner)
  static func read(_ tag: UInt8, _ state: inout ValueState, from scanner: inout ByteScanner) -> Bool {
    let kind = tag & 0xc0
    if kind == 0x40 {
      // Only a decimal's exponent is within the table; of a damaged record any other number is as good.
      let whole = base(state, state.exponent) &+ (Int64(tag & 0x3f) - 32)
      state.bits = (Double(whole) / scale(state.exponent)).bitPattern
      return true
    }
    let length = Int(tag & 7) + 1
    guard scanner.position + length <= scanner.bytes.byteCount else { return false }
    var number: UInt64 = 0
    for index in 0..<length { number |= UInt64(scanner.bytes[scanner.position + index]) << UInt64(8 * index) }
    scanner.position += length
    let detail = tag >> 3 & 7
    if kind == 0x80 {
      let change = Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
      let whole = base(state, detail) &+ change
      state = ValueState(bits: (Double(whole) / scale(detail)).bitPattern, exponent: detail)
    } else {
      state = ValueState(bits: state.bits ^ number << (8 * UInt64(detail)), exponent: noDecimal)
    }
    return true
  }
}
