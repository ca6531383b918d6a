import Bytes
import Exposition

/// Remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/).
///
///     WriteRequest { timeseries = 1; metadata = 3 }
///     TimeSeries { labels = 1; samples = 2; exemplars = 3; histograms = 4 }   Sample { value = 1; timestamp = 2 }
///
/// Successive samples of one series stand in one `TimeSeries`.
package struct WriteRequest1Encoder: ~Copyable {
  package private(set) var message = ByteWriter()
  private var body = ByteWriter(capacity: 256)

  package init() {}

  package mutating func encode(
    _ outgoing: borrowing Outgoing, _ range: Range<Int>, notBefore cutoff: Int64, _ options: SendingOptions,
    _ table: borrowing LabelTable
  ) -> RequestContent {
    message.removeAll()
    var content = RequestContent()
    var cursor = outgoing.attachments.partitioningIndex { $0.sample >= range.lowerBound }
    var index = range.lowerBound
    while index < range.upperBound {
      let series = outgoing.samples[index].series
      body.removeAll()
      repeat {
        let sample = outgoing.samples[index]
        if sample.timestamp >= cutoff { append(sample, outgoing, index, &cursor, options, &content) }
        index += 1
      } while index < range.upperBound && outgoing.samples[index].series == series
      guard body.count > 0 else { continue }
      message.append(Protobuf.lengthDelimited(1))
      message.append(varint: UInt64(table.labelBytes(of: series.rawValue) + body.count))
      table.appendLabels(of: series.rawValue, to: &message)
      message.append(body)
    }
    return content
  }

  @inline(__always)
  private mutating func append(
    _ sample: Sample, _ outgoing: borrowing Outgoing, _ index: Int, _ cursor: inout Int, _ options: SendingOptions,
    _ content: inout RequestContent
  ) {
    var isSample = true
    for carried in outgoing.attachments(of: index, from: &cursor) {
      switch outgoing.attachments[carried].content {
      case .histogram(let fields):
        isSample = false
        guard options.sendsHistograms else { continue }
        body.appendHistogram(field: 4, fields, sample.timestamp)
        content.histograms += 1
      case .exemplar(let labels, let value, let timestamp):
        guard options.sendsExemplars else { continue }
        let exemplar = ExemplarMessage.encode(labels, value, timestamp)
        body.append(Protobuf.lengthDelimited(3))
        body.append(varint: UInt64(exemplar.count))
        body.append(exemplar)
        content.exemplars += 1
      case .start: continue
      }
    }
    guard isSample else { return }
    // Value and timestamp are always written, also where protobuf lets a zero be left out: -0 is not 0.
    body.append(Protobuf.lengthDelimited(2))
    body.append(UInt8(truncatingIfNeeded: 10 + Protobuf.varintLength(UInt64(bitPattern: sample.timestamp))))
    body.append(field: 1, sample.value)
    body.append(field: 2, UInt64(bitPattern: sample.timestamp))
    content.samples += 1
  }

  /// Makes the message that tells what families are.
  ///
  ///     MetricMetadata { type = 1; metric_family_name = 2; help = 4; unit = 5 }
  mutating func encode(_ metadata: ArraySlice<MetricMetadata>) {
    message.removeAll()
    for family in metadata {
      body.removeAll()
      body.append(field: 1, UInt64(family.type.remoteWriteNumber))
      for (field, text) in [(UInt8(2), family.family), (4, family.help), (5, family.unit)] where !text.isEmpty {
        body.append(field: field, text.utf8.span.bytes)
      }
      message.append(field: 3, body)
    }
  }
}

extension ByteWriter {
  /// A `prometheus.Histogram` of which all but the timestamp (field 15) is encoded.
  mutating func appendHistogram(field: UInt8, _ fields: [UInt8], _ timestamp: Int64) {
    let time = UInt64(bitPattern: timestamp)
    append(Protobuf.lengthDelimited(field))
    append(varint: UInt64(fields.count + 1 + Protobuf.varintLength(time)))
    append(fields)
    append(field: 15, time)
  }
}
