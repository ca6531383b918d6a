/// Doubles as Go prints them: strconv.FormatFloat(value, 'g', -1, 64), which is what node_exporter and
/// Prometheus show.
///
/// The shortest decimal digits that read back to the same double; in exponent form, with at least two digits of
/// exponent, when the decimal exponent is below -4 or above 5: 999999, 1e+06, 1.234567e+06, 0.0001, 1e-05.
extension ByteWriter {
  public mutating func append(goFloat value: Double) {
    if value.isNaN { return append("NaN") }
    if value.isInfinite { return append(value < 0 ? "-Inf" : "+Inf") }
    if value.sign == .minus { append(UInt8(ascii: "-")) }
    let magnitude = value.magnitude
    if magnitude == 0 { return append(UInt8(ascii: "0")) }
    if let (digits, scale) = magnitude.shortDecimal {
      appendGo(digits: digits, scale: scale)
    } else {
      appendGo(description: magnitude.description)
    }
  }

  /// Writes `digits` × 10^`scale`; `digits` has no trailing zeros.
  private mutating func appendGo(digits: UInt64, scale: Int) {
    var length = 1
    var power: UInt64 = 10
    while length < 20, digits >= power {
      length += 1
      let (next, overflow) = power.multipliedReportingOverflow(by: 10)
      if overflow { break }
      power = next
    }
    let exponent = length - 1 + scale
    let start = count
    append(decimal: digits)
    if exponent < -4 || exponent >= 6 {
      if length > 1 { insert(UInt8(ascii: "."), at: start + 1) }
      append(UInt8(ascii: "e"))
      append(exponent < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
      if exponent.magnitude < 10 { append(UInt8(ascii: "0")) }
      append(decimal: UInt64(exponent.magnitude))
    } else if scale >= 0 {
      for _ in 0..<scale { append(UInt8(ascii: "0")) }
    } else if exponent >= 0 {
      insert(UInt8(ascii: "."), at: start + exponent + 1)
    } else {
      for _ in 0..<(-1 - exponent) { insert(UInt8(ascii: "0"), at: start) }
      insert(UInt8(ascii: "."), at: start)
      insert(UInt8(ascii: "0"), at: start)
    }
  }

  /// Swift's description has the same shortest digits; only their layout differs ("1e+16", "5e-324", "0.0001").
  private mutating func appendGo(description: String) {
    var digits: UInt64 = 0
    var scale = 0
    var exponent = 0
    var negativeExponent = false
    var part = 0  // 0: before the point, 1: behind it, 2: the exponent
    for byte in description.utf8 {
      switch byte {
      case UInt8(ascii: "."): part = 1
      case UInt8(ascii: "e"): part = 2
      case UInt8(ascii: "-"): negativeExponent = true
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        if part == 2 {
          exponent = exponent &* 10 &+ Int(byte &- 0x30)
        } else {
          digits = digits &* 10 &+ UInt64(byte &- 0x30)
          if part == 1 { scale -= 1 }
        }
      default: break
      }
    }
    scale += negativeExponent ? -exponent : exponent
    while digits > 0, digits % 10 == 0 {
      digits /= 10
      scale += 1
    }
    appendGo(digits: digits, scale: scale)
  }
}

extension Double {
  /// The value as digits × 10^scale, without trailing zeros, when at most 15 digits with at most 9 decimals say it
  /// exactly; nil otherwise. Fewest decimals first, so these are the shortest digits: n / 10^k is correctly rounded
  /// for n < 2^53 and k < 23, and 15 digits are unique in a double.
  fileprivate var shortDecimal: (digits: UInt64, scale: Int)? {
    guard self < 1e15 else { return nil }
    var decimals = 0
    var digits = UInt64(self)
    if Double(digits) != self {
      repeat {
        decimals += 1
        guard decimals <= 9 else { return nil }
        let scaled = self * exactPowersOfTen[decimals]
        guard scaled < 1e15 else { return nil }
        digits = UInt64(scaled.rounded())
      } while Double(digits) / exactPowersOfTen[decimals] != self
    }
    var scale = -decimals
    while digits >= 10, digits % 10 == 0 {
      digits /= 10
      scale += 1
    }
    return (digits, scale)
  }
}
