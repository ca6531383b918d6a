// Times, steps and ranges of queries as promtool reads them.

import AWS
import Bytes
import YAML

/// A moment of a query: RFC 3339 or Unix seconds, to the millisecond.
public struct QueryTime: Sendable, Equatable {
  /// Since the epoch.
  public let milliseconds: Int64

  /// The years that RFC 3339 can write.
  private static let bounds = -62_167_219_200_000.0...253_402_300_799_999.0

  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  public init(_ text: String) throws(QueryFault) {
    if let seconds = Double(goSyntax: text.utf8.span.bytes) {
      let milliseconds = (seconds * 1000).rounded()
      guard Self.bounds.contains(milliseconds) else { throw QueryFault("\(text) is beyond the years 0 to 9999") }
      self.milliseconds = Int64(milliseconds)
    } else if text.utf8.isDateAndTime, let time = Timestamp(iso8601: text) {
      milliseconds = time.seconds * 1000 + Self.fraction(text)
    } else {
      throw QueryFault(
        "\(text.debugDescription) is no time: expected RFC 3339, as 2026-11-21T04:25:53Z, or Unix seconds")
    }
  }

  /// The first three digits behind the point.
  private static func fraction(_ text: String) -> Int64 {
    guard let point = text.firstIndex(of: ".") else { return 0 }
    let digits = text[point...].dropFirst().utf8.prefix { $0.isDigit }.map { Int64($0 - 0x30) }
    return (digits + [0, 0, 0]).prefix(3).reduce(0) { $0 * 10 + $1 }
  }

  /// As the API takes it: Unix seconds.
  public var text: String {
    let (seconds, rest) = milliseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    let fraction = rest == 0 ? "" : "." + String(rest + 1000).dropFirst()
    return "\(milliseconds < 0 ? "-" : "")\(seconds)\(fraction)"
  }
}

/// When a range begins and ends, and the time between its points.
public struct QueryRange: Sendable, Equatable {
  public let start: QueryTime
  public let end: QueryTime
  /// Milliseconds.
  public let step: Int64

  /// As promtool: what is not given is the last five minutes until `now`, at about 250 points.
  ///
  /// - Parameter step: a duration (`30s`, `1h30m`) or seconds.
  public init(start: String?, end: String?, step: String?, now: QueryTime) throws(QueryFault) {
    let last = if let end { try QueryTime(end) } else { now }
    let first = if let start { try QueryTime(start) } else { QueryTime(milliseconds: last.milliseconds - 300_000) }
    guard first.milliseconds < last.milliseconds else { throw QueryFault("--start is not before --end") }
    (self.start, self.end) = (first, last)
    guard let step else {
      self.step = max((last.milliseconds - first.milliseconds) / 250_000, 1) * 1000
      return
    }
    guard let length = Self.length(step), length > 0 else {
      throw QueryFault("\(step.debugDescription) is no step: expected a duration, as 30s, or seconds, above 0")
    }
    self.step = length
  }

  private static func length(_ text: String) -> Int64? {
    if let duration = Duration(prometheus: text) {
      return duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }
    guard let seconds = Double(goSyntax: text.utf8.span.bytes), seconds > 0, seconds < 1e12 else { return nil }
    return Int64((seconds * 1000).rounded())
  }

  /// Of the API.
  public var parameters: [(name: String, value: String)] {
    [("start", start.text), ("end", end.text), ("step", QueryTime(milliseconds: step).text)]
  }
}

/// What of a question cannot be understood.
public struct QueryFault: Error, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

extension String.UTF8View {
  /// `2026-11-21T04:25:53` and more, by its separators.
  fileprivate var isDateAndTime: Bool {
    let bytes = Array(self)
    return bytes.count > 19
      && zip([4, 7, 10, 13, 16], "--T::".utf8).allSatisfy { place, separator in bytes[place] == separator }
  }
}
