import Bytes
import Compression
import Exposition
import NIOCore

/// Remote write 1.0: samples as a `prometheus.WriteRequest`, compressed as a snappy block
/// (https://prometheus.io/docs/specs/prw/remote_write_spec/).
///
///     WriteRequest { timeseries = 1 }   TimeSeries { labels = 1; samples = 2 }   Sample { value = 1; timestamp = 2 }
///
/// A series stands once in a request, with its samples in order of time. Memory is reused from request to request.
package final class WriteRequestEncoder {
  private var keys: [UInt64] = []
  private var sorted: [Sample] = []
  private var message = ByteWriter()
  private var block = ByteWriter()

  package init() {}

  /// Orders samples by series, those of one series as they are: what `encode` wants.
  package func order(_ samples: inout [Sample]) {
    keys.removeAll(keepingCapacity: true)
    for (index, sample) in samples.enumerated() {
      keys.append(UInt64(sample.series.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: index)))
    }
    keys.sort()
    sorted.removeAll(keepingCapacity: true)
    for key in keys { sorted.append(samples[Int(UInt32(truncatingIfNeeded: key))]) }
    swap(&samples, &sorted)
  }

  /// The message of samples that are ordered, without those from before `cutoff` (milliseconds since the epoch);
  /// says how many it holds.
  package func encode(
    _ samples: ArraySlice<Sample>, notBefore cutoff: Int64 = .min, labels table: borrowing LabelTable
  ) -> Int {
    message.removeAll()
    var encoded = 0
    var start = samples.startIndex
    while start < samples.endIndex {
      let series = samples[start].series
      var end = start
      var length = 0
      while end < samples.endIndex, samples[end].series == series {
        if samples[end].timestamp >= cutoff { length += 2 + Self.length(of: samples[end]) }
        end += 1
      }
      if length > 0 {
        message.append(Protobuf.lengthDelimited(1))
        message.append(varint: UInt64(table.labelBytes(of: series.rawValue) + length))
        table.appendLabels(of: series.rawValue, to: &message)
        for sample in samples[start..<end] where sample.timestamp >= cutoff {
          append(sample)
          encoded += 1
        }
      }
      start = end
    }
    return encoded
  }

  /// Value and timestamp are always written, also where protobuf lets a zero be left out: -0 is not 0.
  private static func length(of sample: Sample) -> Int {
    10 + Protobuf.varintLength(UInt64(bitPattern: sample.timestamp))
  }

  private func append(_ sample: Sample) {
    message.append(Protobuf.lengthDelimited(2))
    message.append(UInt8(truncatingIfNeeded: Self.length(of: sample)))
    message.append(Protobuf.fixed64(1))
    message.append(littleEndian: sample.value.bitPattern)
    message.append(Protobuf.varint(2))
    message.append(varint: UInt64(bitPattern: sample.timestamp))
  }

  /// What `encode` made, before compression.
  package var messageBytes: [UInt8] { message.withBytes { $0.array } }

  /// What `encode` made, compressed.
  package func compressed() -> ByteBuffer {
    block.removeAll()
    message.withBytes { Snappy.compress($0, into: &block) }
    return block.withUnsafeBytes { ByteBuffer(bytes: $0) }
  }
}
