import Bytes
import Exposition

/// When a target is scraped: at offset + k × interval on the wall clock, for all k.
///
/// The offset comes from the target itself, so it survives restarts and spreads targets over the interval; and from
/// a seed, so that two replicas scrape at different moments. Times are nanoseconds since the epoch.
struct ScrapeGrid: Equatable, Sendable {
  let interval: Int64
  let offset: Int64

  init(interval: Duration, labels: LabelSet, url: String, seed: UInt64) {
    // Bounds that keep the sums below from overflowing: a millisecond, 73 years.
    self.interval = min(max(interval.nanoseconds, 1_000_000), .max / 4)
    var hash = FNV1a()
    for index in 0..<labels.count {
      hash.combine(labels.name(at: index))
      hash.combine(0xff)
      hash.combine(labels.value(at: index))
      hash.combine(0xff)
    }
    hash.combine(url.utf8.span.bytes)
    offset = Int64((hash.value ^ seed) % UInt64(self.interval))
  }

  /// The first moment after `now`; not `last` again when the clock still stands just before it.
  func next(after now: Int64, last: Int64?) -> Int64 {
    let sinceOffset = now - offset
    let floor = sinceOffset >= 0 ? sinceOffset / interval : (sinceOffset + 1) / interval - 1
    let next = (floor + 1) * interval + offset
    return next == last ? next + interval : next
  }

  /// The timestamp in milliseconds of a scrape that was due at `due` and began at `now`: that of the grid if it is
  /// within 1 % of the interval and 2 ms, so that regular scrapes have regular timestamps.
  func timestamp(due: Int64, now: Int64) -> Int64 {
    let tolerance = min(interval / 100, 2_000_000)
    return ((now - due).magnitude <= UInt64(tolerance) ? due : now) / 1_000_000
  }
}

extension Duration {
  /// Nanoseconds; a duration beyond 292 years counts as that.
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, tooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    if tooLong || carried { return seconds < 0 ? .min : .max }
    return sum
  }

  var seconds: Double { Double(nanoseconds) / 1e9 }

  /// Decimal seconds without needless zeros: "10", "1.5".
  var secondsText: String {
    let whole = nanoseconds / 1_000_000_000
    var fraction = String((nanoseconds % 1_000_000_000).magnitude + 1_000_000_000).dropFirst()
    while fraction.last == "0" { fraction.removeLast() }
    return fraction.isEmpty ? "\(whole)" : "\(whole).\(fraction)"
  }
}
