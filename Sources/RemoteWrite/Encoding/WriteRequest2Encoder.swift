import Bytes
import Exposition

/// Remote write 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/).
///
///     Request { symbols = 4; timeseries = 5 }
///     TimeSeries { labels_refs = 1; samples = 2; histograms = 3; exemplars = 4; metadata = 5 }
///     Sample { value = 1; timestamp = 2; start_timestamp = 3 }
///     Exemplar { labels_refs = 1; value = 2; timestamp = 3 }   Metadata { type = 1; help_ref = 3; unit_ref = 4 }
///
/// All texts stand in the symbols once. A label pair that the request has named before is known by its number in the
/// label table, and costs no look-up.
package struct WriteRequest2Encoder: ~Copyable {
  /// The symbols of a pair, in the request with that number.
  private struct KnownPair {
    var request: UInt32 = 0
    var name: UInt32 = 0
    var value: UInt32 = 0
  }

  package private(set) var message = ByteWriter()
  private var timeseries = ByteWriter()
  private var series = ByteWriter(capacity: 256)
  private var labels = ByteWriter(capacity: 256)
  private var inner = ByteWriter(capacity: 256)
  private var symbols = SymbolTable()
  private var pairs: [KnownPair] = []
  private var request: UInt32 = 0

  package init() {}

  package mutating func encode(
    _ outgoing: borrowing Outgoing, _ range: Range<Int>, notBefore cutoff: Int64, _ options: SendingOptions,
    _ table: borrowing LabelTable
  ) -> RequestContent {
    begin()
    var content = RequestContent()
    var cursor = outgoing.attachments.partitioningIndex { $0.sample >= range.lowerBound }
    var index = range.lowerBound
    while index < range.upperBound {
      let first = outgoing.samples[index]
      let isHistogram = outgoing.isHistogram(index, from: cursor)
      series.removeAll()
      repeat {
        let sample = outgoing.samples[index]
        if sample.timestamp >= cutoff { append(sample, outgoing, index, &cursor, options, table, &content) }
        index += 1
        // A series is either of samples or of histograms.
      } while index < range.upperBound && outgoing.samples[index].series == first.series
        && outgoing.isHistogram(index, from: cursor) == isHistogram
      guard series.count > 0 else { continue }
      appendMetadata(table.metadata(of: first.series.rawValue))
      collectLabels(of: first.series.rawValue, table)
      timeseries.append(Protobuf.lengthDelimited(5))
      let labelsLength = 1 + Protobuf.varintLength(UInt64(labels.count)) + labels.count
      timeseries.append(varint: UInt64(labelsLength + series.count))
      timeseries.append(field: 1, labels)
      timeseries.append(series)
    }
    symbols.append(to: &message)
    message.append(timeseries)
    return content
  }

  private mutating func begin() {
    message.removeAll()
    timeseries.removeAll()
    symbols.removeAll()
    request &+= 1
    // The numbers begin anew: what is noted under them is void.
    if request == 0 {
      pairs.removeAll()
      request = 1
    }
  }

  private mutating func append(
    _ sample: Sample, _ outgoing: borrowing Outgoing, _ index: Int, _ cursor: inout Int, _ options: SendingOptions,
    _ table: borrowing LabelTable, _ content: inout RequestContent
  ) {
    let start = table.start(of: sample.series.rawValue).flatMap { $0 < sample.timestamp ? $0 : nil }
    var isSample = true
    let carried = outgoing.attachments(of: index, from: &cursor)
    for place in carried {
      guard case .histogram(let fields) = outgoing.attachments[place].content else { continue }
      isSample = false
      guard options.sendsHistograms else { continue }
      inner.removeAll()
      inner.append(fields)
      inner.append(field: 15, UInt64(bitPattern: sample.timestamp))
      if let start {
        // Field 17: its tag has two bytes.
        inner.append(varint: 17 << 3)
        inner.append(varint: UInt64(bitPattern: start))
      }
      series.append(field: 3, inner)
      content.histograms += 1
    }
    if isSample {
      inner.removeAll()
      inner.append(field: 1, sample.value)
      inner.append(field: 2, UInt64(bitPattern: sample.timestamp))
      if let start { inner.append(field: 3, UInt64(bitPattern: start)) }
      series.append(field: 2, inner)
      content.samples += 1
    }
    guard options.sendsExemplars else { return }
    for place in carried {
      guard case .exemplar(let exemplar, let value, let timestamp) = outgoing.attachments[place].content else {
        continue
      }
      labels.removeAll()
      for label in 0..<exemplar.count {
        labels.append(varint: UInt64(symbols.number(of: exemplar.name(at: label))))
        labels.append(varint: UInt64(symbols.number(of: exemplar.value(at: label))))
      }
      inner.removeAll()
      if labels.count > 0 { inner.append(field: 1, labels) }
      inner.append(field: 2, value)
      inner.append(field: 3, UInt64(bitPattern: timestamp))
      series.append(field: 4, inner)
      content.exemplars += 1
    }
  }

  private mutating func appendMetadata(_ metadata: MetricMetadata?) {
    guard let metadata else { return }
    inner.removeAll()
    inner.append(field: 1, UInt64(metadata.type.remoteWriteNumber))
    let help = symbols.number(of: metadata.help.utf8.span.bytes)
    if help > 0 { inner.append(field: 3, UInt64(help)) }
    let unit = symbols.number(of: metadata.unit.utf8.span.bytes)
    if unit > 0 { inner.append(field: 4, UInt64(unit)) }
    series.append(field: 5, inner)
  }

  /// Puts the numbers of the series' names and values into `labels`.
  private mutating func collectLabels(of number: UInt32, _ table: borrowing LabelTable) {
    labels.removeAll()
    for pair in table.pairNumbers(of: number) {
      if pairs.count <= Int(pair) {
        pairs += repeatElement(KnownPair(), count: max(table.pairNumbersEnd, Int(pair) + 1) - pairs.count)
      }
      if pairs[Int(pair)].request != request {
        let (name, value) = table.withPair(pair) { (symbols.number(of: $0), symbols.number(of: $1)) }
        pairs[Int(pair)] = KnownPair(request: request, name: name, value: value)
      }
      labels.append(varint: UInt64(pairs[Int(pair)].name))
      labels.append(varint: UInt64(pairs[Int(pair)].value))
    }
  }
}

extension Outgoing {
  fileprivate func isHistogram(_ index: Int, from cursor: Int) -> Bool {
    var cursor = cursor
    for place in attachments(of: index, from: &cursor) {
      if case .histogram = attachments[place].content { return true }
    }
    return false
  }
}
