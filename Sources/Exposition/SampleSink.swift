/// A number that a sink gave to a series. Meaningful to that sink only.
public struct SeriesID: Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// One value of one series at one time.
public struct Sample: Sendable {
  public var series: SeriesID
  /// Milliseconds since the epoch.
  public var timestamp: Int64
  public var value: Double

  public init(series: SeriesID, timestamp: Int64, value: Double) {
    self.series = series
    self.timestamp = timestamp
    self.value = value
  }
}

extension Double {
  /// The value that says "this series has ended": a NaN with this very bit pattern
  /// (https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers).
  public static let staleMarker = Double(bitPattern: 0x7ff0_0000_0000_0002)

  public var isStaleMarker: Bool { bitPattern == Double.staleMarker.bitPattern }
}

/// Where scraped samples go: the seam between scraping and what keeps or sends the samples.
///
/// A scraper registers each new series once and appends by number from then on. Calls come from many threads.
public protocol SampleSink: Sendable {
  /// Takes a series; its labels are ordered by name, without empty values, and hold `__name__`.
  ///
  /// Registering equal labels twice gives the same number; each registration wants one `release`. Nil when the sink
  /// refuses the series; it has counted that.
  func register(_ labels: LabelSet) -> SeriesID?

  /// The scraper appends to these series no more. Samples appended before are still delivered.
  func release(_ series: [SeriesID])

  /// Appends samples, those of one series in the order of their timestamps. Never blocks on a receiver: what finds no
  /// room is counted by the sink as dropped.
  func append(_ samples: [Sample])
}

/// Something that has metrics of its own to show on `/metrics`.
public protocol MetricSource: Sendable {
  /// Writes the present values.
  func write(to writer: MetricWriter)
}
