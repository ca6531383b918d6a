// Times as RFC 3339 writes them, in UTC: 2026-11-21T04:25:53.939Z.

extension ByteWriter {
  /// Appends a time of the years 0 to 9999; allocates nothing.
  ///
  /// - Parameters:
  ///   - seconds: since the epoch.
  ///   - fraction: of the second, with so many digits: 939 with 3 digits is `.939`.
  public mutating func append(rfc3339 seconds: Int64, fraction: UInt64, digits: Int) {
    let (days, time) = seconds.floored(by: 86400)
    let date = CivilDate(daysSinceEpoch: days)
    append(padded: UInt64(clamping: date.year), 4)
    append(UInt8(ascii: "-"))
    append(padded: date.month, 2)
    append(UInt8(ascii: "-"))
    append(padded: date.day, 2)
    append(UInt8(ascii: "T"))
    append(padded: UInt64(time / 3600), 2)
    append(UInt8(ascii: ":"))
    append(padded: UInt64(time / 60 % 60), 2)
    append(UInt8(ascii: ":"))
    append(padded: UInt64(time % 60), 2)
    append(UInt8(ascii: "."))
    append(padded: fraction, digits)
    append(UInt8(ascii: "Z"))
  }

  /// Appends the number with zeros before it, in `width` digits or more.
  private mutating func append(padded value: UInt64, _ width: Int) {
    var limit: UInt64 = 1
    for _ in 1..<min(max(width, 1), 19) { limit *= 10 }
    while value < limit, limit > 1 {
      append(UInt8(ascii: "0"))
      limit /= 10
    }
    append(decimal: value)
  }
}

extension String {
  /// Milliseconds since the epoch as a time; beyond the years 0 to 9999 as the number that they are.
  public init(rfc3339Milliseconds milliseconds: Int64) {
    guard (-62_167_219_200_000..<253_402_300_800_000).contains(milliseconds) else {
      self = "\(milliseconds)"
      return
    }
    self.init(parts: milliseconds, perSecond: 1000, digits: 3)
  }

  /// Nanoseconds since the epoch as a time.
  public init(rfc3339Nanoseconds nanoseconds: Int64) {
    self.init(parts: nanoseconds, perSecond: 1_000_000_000, digits: 9)
  }

  private init(parts: Int64, perSecond: Int64, digits: Int) {
    let (seconds, fraction) = parts.floored(by: perSecond)
    var writer = ByteWriter(capacity: 64)
    writer.append(rfc3339: seconds, fraction: UInt64(fraction), digits: digits)
    self = writer.withBytes { String(utf8: $0) }
  }
}

extension Int64 {
  /// Divided so that the remainder is not negative.
  fileprivate func floored(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

/// A day of the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
private struct CivilDate {
  let year: Int64
  let month: UInt64
  let day: UInt64

  init(daysSinceEpoch days: Int64) {
    // Years begin on the 1st of March, eras of 400 years on that of year 0.
    let (era, dayOfEra) = (days + 719_468).floored(by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = UInt64(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    month = UInt64(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }
}
