// The three ways in which AWS writes times: of signatures (20260115T000000Z), of credentials (ISO 8601), and of the
// header Date (RFC 9110 section 5.6.7).

import Glibc

/// Seconds since the epoch.
public struct Timestamp: Sendable, Hashable, Comparable {
  public var seconds: Int64

  public init(seconds: Int64) { self.seconds = seconds }

  public static var now: Timestamp { Timestamp(seconds: Int64(time(nil))) }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.seconds < b.seconds }

  /// As a signature has it: `20260115T000000Z`.
  public var basic: String { fields.joined() }

  /// As people read it: `2026-01-15T00:00:00Z`.
  public var extended: String {
    let parts = fields
    return "\(parts[0])-\(parts[1])-\(parts[2])T\(parts[4]):\(parts[5]):\(parts[6])Z"
  }

  /// Year, month, day, "T", hour, minute, second, "Z".
  private var fields: [String] {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return [
      padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2), "T",
      padded(Int(parts.tm_hour), 2), padded(Int(parts.tm_min), 2), padded(Int(parts.tm_sec), 2), "Z",
    ]
  }

  /// Nil when there is no such day or time.
  private init?(_ year: Int?, _ month: Int?, _ day: Int?, _ hour: Int?, _ minute: Int?, _ second: Int?) {
    guard let year, let month, let day, let hour, let minute, let second, 1970...9999 ~= year, 1...12 ~= month,
      1...31 ~= day, 0...23 ~= hour, 0...59 ~= minute, 0...60 ~= second
    else { return nil }
    var parts = tm()
    parts.tm_year = Int32(year - 1900)
    parts.tm_mon = Int32(month - 1)
    parts.tm_mday = Int32(day)
    parts.tm_hour = Int32(hour)
    parts.tm_min = Int32(minute)
    parts.tm_sec = Int32(second)
    self.init(seconds: Int64(timegm(&parts)))
  }

  /// `2026-11-21T09:00:00Z`, `2026-11-21T09:00:00.123+00:00` and, as signatures have it, `20261121T090000Z`.
  public init?(iso8601 text: String) {
    let bytes = Array(text.utf8)
    guard let t = bytes.firstIndex(of: UInt8(ascii: "T")) else { return nil }
    let date = bytes[..<t].filter { $0 != UInt8(ascii: "-") }
    var rest = bytes[(t + 1)...]
    let clock = rest.prefix { $0.isDigit || $0 == UInt8(ascii: ":") }
    rest = rest.dropFirst(clock.count)
    if rest.first == UInt8(ascii: ".") { rest = rest.dropFirst().drop(while: \.isDigit) }
    let digits = clock.filter(\.isDigit)
    guard date.count == 8, digits.count == 6 else { return nil }
    self.init(
      date[0..<4].number, date[4..<6].number, date[6..<8].number, digits[0..<2].number, digits[2..<4].number,
      digits[4..<6].number)
    guard let offset = Self.offset(rest) else { return nil }
    seconds -= offset
  }

  /// Seconds east of Greenwich: of "Z", "+00:00", "-0330"; nil of anything else.
  private static func offset(_ zone: ArraySlice<UInt8>) -> Int64? {
    guard let sign = zone.first else { return nil }
    if sign == UInt8(ascii: "Z") { return zone.count == 1 ? 0 : nil }
    let digits = zone.dropFirst().filter { $0 != UInt8(ascii: ":") }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), digits.count == 4, let hours = digits[0..<2].number,
      let minutes = digits[2..<4].number
    else { return nil }
    let offset = Int64(hours * 3600 + minutes * 60)
    return sign == UInt8(ascii: "-") ? -offset : offset
  }

  /// `Sun, 06 Nov 1994 08:49:37 GMT`.
  public init?(httpDate text: String) {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])) else { return nil }
    let clock = parts[4].split(separator: ":", omittingEmptySubsequences: false).map { Array($0.utf8)[...].number }
    guard clock.count == 3 else { return nil }
    self.init(
      Array(parts[3].utf8)[...].number, month + 1, Array(parts[1].utf8)[...].number, clock[0], clock[1], clock[2])
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { self &- 0x30 < 10 }
}

extension RandomAccessCollection where Element == UInt8 {
  /// Of one to nine digits and nothing else.
  fileprivate var number: Int? {
    guard 1...9 ~= count, allSatisfy(\.isDigit) else { return nil }
    return reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }
}
