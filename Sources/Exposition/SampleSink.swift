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

/// What a target says of the family that a series belongs to, in its HELP, TYPE and UNIT lines.
public struct MetricMetadata: Hashable, Sendable {
  /// The family's name, as the target exposes it.
  public var family: String
  public var type: MetricType
  public var help: String
  public var unit: String

  public init(family: String, type: MetricType = .untyped, help: String = "", unit: String = "") {
    self.family = family
    self.type = type
    self.help = help
    self.unit = unit
  }
}

/// What a sample carries beside its number. Few samples have any.
public struct Attachment: Sendable {
  public enum Content: Sendable {
    /// A trace or the like that the sample stands for; timestamp in milliseconds since the epoch.
    case exemplar(labels: LabelSet, value: Double, timestamp: Int64)
    /// The sample is a native histogram, and its `value` means nothing: the fields of a `prometheus.Histogram` message,
    /// encoded, without the timestamp (https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol). Its sum is
    /// the staleness marker when the series has ended.
    case histogram([UInt8])
    /// The series counts since this time, milliseconds since the epoch, from this sample on until another one says
    /// otherwise.
    case start(Int64)
  }

  /// The index of the sample in the samples that are appended together.
  public var sample: Int
  public var content: Content

  public init(sample: Int, _ content: Content) {
    self.sample = sample
    self.content = content
  }
}

/// Where scraped samples go: the seam between scraping and what keeps or sends the samples.
///
/// A scraper registers each new series once and appends by number from then on. Calls come from many threads.
public protocol SampleSink: Sendable {
  /// Takes a series; its labels are ordered by name, without empty values, and hold `__name__`.
  ///
  /// Registering equal labels twice gives the same number; each registration wants one `release`. What the last one
  /// said of the family holds. Nil when the sink refuses the series; it has counted that.
  func register(_ labels: LabelSet, _ metadata: MetricMetadata?) -> SeriesID?

  /// The number of a series that is registered with equal labels; nil when none is, and then none is registered.
  func find(_ labels: LabelSet) -> SeriesID?

  /// The scraper appends to these series no more. Samples appended before are still delivered.
  func release(_ series: [SeriesID])

  /// Appends samples, those of one series in the order of their timestamps, and what some of them carry, by ascending
  /// index of the sample. Never blocks on a receiver or a disk: what finds no room is counted by the sink as dropped.
  func append(_ samples: [Sample], _ attachments: [Attachment])
}

extension SampleSink {
  /// Takes a series of which nothing but its labels is known.
  public func register(_ labels: LabelSet) -> SeriesID? { register(labels, nil) }

  /// Appends samples that carry nothing.
  public func append(_ samples: [Sample]) { append(samples, []) }
}

/// Something that has metrics of its own to show on `/metrics`.
public protocol MetricSource: Sendable {
  /// Writes the present values.
  func write(to writer: MetricWriter)
}
