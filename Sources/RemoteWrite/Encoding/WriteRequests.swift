import Bytes
import Compression
import Exposition

/// Requests of remote write 1.0 for samples that nobody keeps: what is pushed by hand.
public struct WriteRequests: Sendable {
  public struct Sample: Sendable, Equatable {
    /// With `__name__`.
    public var labels: LabelSet
    /// Milliseconds since the epoch.
    public var timestamp: Int64
    public var value: Double

    public init(labels: LabelSet, timestamp: Int64, value: Double) {
      self.labels = labels
      self.timestamp = timestamp
      self.value = value
    }
  }

  /// A series that no receiver would take.
  public struct Refusal: Error, CustomStringConvertible {
    public let labels: LabelSet
    public var description: String {
      "\(labels) is no series: a name is missing, there twice or too long, or it is not UTF-8"
    }
  }

  /// What one request may hold before it is compressed; AMP takes 1 MB after that.
  private static let limits = (samples: 2000, bytes: 768 << 10)

  /// A request's body each: a block of Snappy. In this order they keep each series' samples in order of time.
  public private(set) var bodies: [[UInt8]] = []

  public init(_ samples: [Sample]) throws(Refusal) {
    var table = LabelTable()
    var encoder = WriteRequest1Encoder()
    var outgoing: [Exposition.Sample] = []
    var bytes = 0
    let ordered = samples.indices.sorted { (samples[$0].timestamp, $0) < (samples[$1].timestamp, $1) }
    for index in ordered {
      let sample = samples[index]
      var labels = sample.labels
      labels.removeEmpty()
      labels.sort()
      guard let number = table.register(labels) else { throw Refusal(labels: labels) }
      let size = table.labelBytes(of: number) + 32
      if outgoing.count == Self.limits.samples || bytes + size > Self.limits.bytes, !outgoing.isEmpty {
        bodies.append(Self.body(outgoing, &encoder, table))
        (outgoing, bytes) = ([], 0)
      }
      bytes += size
      outgoing.append(
        Exposition.Sample(series: SeriesID(rawValue: number), timestamp: sample.timestamp, value: sample.value))
    }
    if !outgoing.isEmpty { bodies.append(Self.body(outgoing, &encoder, table)) }
  }

  private static func body(
    _ samples: [Exposition.Sample], _ encoder: inout WriteRequest1Encoder, _ table: borrowing LabelTable
  ) -> [UInt8] {
    var outgoing = Outgoing(samples: samples)
    outgoing.groupBySeries()
    _ = encoder.encode(outgoing, outgoing.samples.indices, notBefore: .min, SendingOptions(), table)
    var block = ByteWriter()
    Snappy.compress(encoder.message.bytes, into: &block)
    return block.withUnsafeBytes { Array($0) }
  }
}
