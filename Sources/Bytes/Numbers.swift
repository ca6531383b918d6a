import Glibc

/// Numbers from text: what the kernel prints, and what strconv.ParseFloat of Go takes (Prometheus' parser is it).

extension UInt64 {
  /// Decimal digits only; nil when there is anything else, nothing at all, or more than 64 bits hold.
  public init?(decimal digits: RawSpan) {
    guard digits.byteCount > 0 else { return nil }
    var value: UInt64 = 0
    for offset in 0..<digits.byteCount {
      let digit = digits.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) &- 0x30
      guard digit < 10 else { return nil }
      let (product, tooBig) = value.multipliedReportingOverflow(by: 10)
      let (sum, carried) = product.addingReportingOverflow(UInt64(digit))
      guard !tooBig, !carried else { return nil }
      value = sum
    }
    self = value
  }

  /// Hexadecimal digits, with or without "0x"; nil when there is anything else, nothing, or more than 16 of them.
  public init?(hex digits: RawSpan) {
    var start = 0
    if digits.starts(with: "0x") || digits.starts(with: "0X") { start = 2 }
    guard start < digits.byteCount, digits.byteCount - start <= 16 else { return nil }
    var value: UInt64 = 0
    for offset in start..<digits.byteCount {
      guard let digit = digits[offset].hexDigit else { return nil }
      value = value << 4 | UInt64(digit)
    }
    self = value
  }
}

extension Int64 {
  /// A decimal number with an optional sign; nil when it is none or does not fit.
  public init?(decimal text: RawSpan) {
    guard text.byteCount > 0 else { return nil }
    let sign = text[0]
    let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
    guard let magnitude = UInt64(decimal: signed ? text.extracting(1..<text.byteCount) : text) else { return nil }
    if sign == UInt8(ascii: "-") {
      guard magnitude <= UInt64(Int64.max) + 1 else { return nil }
      self = Int64(truncatingIfNeeded: 0 &- magnitude)
    } else {
      guard let value = Int64(exactly: magnitude) else { return nil }
      self = value
    }
  }
}

extension UInt8 {
  /// The value of an ASCII hexadecimal digit; nil when it is none.
  public var hexDigit: UInt8? {
    if isDigit { return self &- 0x30 }
    let letter = (self | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter + 10 : nil
  }
}

/// 10^0 to 10^22: the powers of ten that a double holds exactly.
@usableFromInline let exactPowersOfTen: InlineArray<23, Double> = [
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]

/// Why a text is no number.
public enum NumberFault: Error, Equatable, Sendable {
  /// It has not the form of one.
  case syntax
  /// It has, but no double is near it.
  case range
}

extension Double {
  /// The text of a number as Go's strconv.ParseFloat takes it, but for underscores: a decimal or hexadecimal
  /// floating-point number, "Inf", "Infinity" or "NaN" in any case, correctly rounded. Nil when it is none.
  ///
  /// Out of range is nil, as ParseFloat's error; an underflow is 0. "NaN" is the quiet NaN 0x7ff8000000000001,
  /// which is Go's and Prometheus' ordinary one.
  @inlinable
  public init?(goSyntax text: RawSpan) {
    guard let value = try? Double(checkedGoSyntax: text) else { return nil }
    self = value
  }

  /// As `init(goSyntax:)`, and says why when it is none.
  public init(checkedGoSyntax text: RawSpan) throws(NumberFault) {
    if let exact = Double(shortDecimal: text) {
      self = exact
    } else {
      self = try Double(longSyntax: text)
    }
  }

  /// Clinger's fast path: at most 15 significant digits and a power of ten up to 22 are exact in a double, so one
  /// multiplication or division rounds once. Nil when the text is longer than that or not a plain decimal.
  private init?(shortDecimal text: RawSpan) {
    let count = text.byteCount
    var offset = 0
    var negative = false
    if count > 0 {
      let sign = text.unsafeLoad(fromUncheckedByteOffset: 0, as: UInt8.self)
      negative = sign == UInt8(ascii: "-")
      if negative || sign == UInt8(ascii: "+") { offset = 1 }
    }
    var mantissa: UInt64 = 0
    var digits = 0
    var scale = 0
    var sawPoint = false
    let start = offset
    while offset < count {
      let byte = text.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      let digit = byte &- 0x30
      if digit < 10 {
        mantissa = mantissa &* 10 &+ UInt64(digit)
        digits += 1
        if sawPoint { scale -= 1 }
      } else if byte == UInt8(ascii: "."), !sawPoint {
        sawPoint = true
      } else {
        break
      }
      offset += 1
      if digits > 15 { return nil }
    }
    guard digits > 0, offset - start >= digits else { return nil }
    if offset < count {
      guard text[offset] | 0x20 == UInt8(ascii: "e"), offset + 1 < count,
        let exponent = Int64(decimal: text.extracting(offset + 1..<count)), exponent > -100, exponent < 100
      else { return nil }
      scale += Int(exponent)
    }
    guard scale >= -22, scale <= 22 else { return nil }
    let magnitude =
      scale < 0 ? Double(mantissa) / exactPowersOfTen[-scale] : Double(mantissa) * exactPowersOfTen[scale]
    self = negative ? -magnitude : magnitude
  }

  /// Everything else, by strtod, which rounds correctly; what strtod takes beyond ParseFloat is refused before.
  private init(longSyntax text: RawSpan) throws(NumberFault) {
    var isHex = false
    var hasBinaryExponent = false
    for offset in 0..<text.byteCount {
      switch text[offset] {
      case UInt8(ascii: "x"), UInt8(ascii: "X"): isHex = true
      case UInt8(ascii: "p"), UInt8(ascii: "P"): hasBinaryExponent = true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
        break
      default: throw .syntax
      }
    }
    // Go wants the exponent of a hexadecimal number written out.
    if isHex != hasBinaryExponent { throw .syntax }
    let (value, parsed, fault) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.byteCount + 1) { copy in
      text.withUnsafeBytes { UnsafeMutableRawBufferPointer(copy).copyMemory(from: $0) }
      copy[text.byteCount] = 0
      var end: UnsafeMutablePointer<CChar>?
      errno = 0
      let value = strtod(copy.baseAddress!, &end)
      return (value, end.map { $0 - copy.baseAddress! } ?? 0, errno)
    }
    guard parsed == text.byteCount, parsed > 0 else { throw .syntax }
    if value.isInfinite, fault == ERANGE { throw .range }
    // Nor does it know a sign before NaN.
    if value.isNaN, text.byteCount != 3 { throw .syntax }
    self = value.isNaN ? Double(bitPattern: 0x7ff8_0000_0000_0001) : value
  }
}
