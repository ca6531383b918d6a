// io.prometheus.client.MetricFamily
// (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto).

import Bytes

/// Makes messages of rendered lines. The text format is what most scrapers want, so collectors render that; what is
/// asked for by few is made from it.
struct ProtobufEncoder: ~Copyable {
  private var family = ByteWriter()
  /// The labels of the present metric but for `le` and `quantile`, encoded.
  private var labels = ByteWriter(capacity: 256)
  private var lineLabels = ByteWriter(capacity: 256)
  private var value = ByteWriter(capacity: 64)
  private var scratch = ByteWriter(capacity: 256)
  private var type = MetricType.untyped
  private var hasMetric = false

  /// Opens a family.
  mutating func begin(_ metricFamily: MetricFamily) {
    type = metricFamily.type
    family.removeAll()
    family.append(field: 1, metricFamily.name.utf8.span.bytes)
    family.append(field: 2, metricFamily.help.utf8.span.bytes)
    family.append(field: 3, type.number)
    hasMetric = false
  }

  /// A line of the family: `name{label="value",…} number` and a newline.
  ///
  /// The lines of one histogram or summary follow each other.
  mutating func add(_ line: RawSpan, nameLength: Int) {
    var position = 0
    while position < line.byteCount, line[position] != UInt8(ascii: "{"), line[position] != .space { position += 1 }
    let suffix = line.extracting(min(nameLength, position)..<position)
    lineLabels.removeAll()
    var bound = 0.0
    if position < line.byteCount, line[position] == UInt8(ascii: "{") {
      position += 1
      while position < line.byteCount, line[position] != UInt8(ascii: "}") {
        if line[position] == UInt8(ascii: ",") { position += 1 }
        bound = addLabel(line, &position) ?? bound
      }
      position += 1
    }
    let number = Double(goSyntax: line.extracting(min(position, line.byteCount)..<line.byteCount).trimmed) ?? .nan
    switch type {
    case .counter, .gauge, .untyped, .info, .stateset:
      closeMetric()
      swap(&labels, &lineLabels)
      value.append(field: 1, number)
      hasMetric = true
    case .histogram, .gaugeHistogram, .summary:
      if !hasMetric || !labels.bytes.equals(lineLabels.bytes) {
        closeMetric()
        swap(&labels, &lineLabels)
        hasMetric = true
      }
      addPart(suffix, bound: bound, number)
    }
  }

  /// Closes the family and appends its message behind its length.
  mutating func end(into output: inout ByteWriter) {
    closeMetric()
    output.append(varint: UInt64(family.count))
    output.append(family)
  }

  /// The label at the position; gives the number of a `le` or `quantile`, which are no labels here.
  private mutating func addLabel(_ line: RawSpan, _ position: inout Int) -> Double? {
    let start = position
    while position < line.byteCount, line[position] != UInt8(ascii: "=") { position += 1 }
    let name = line.extracting(start..<position)
    position = min(position + 2, line.byteCount)
    value(of: line, &position)
    if type == .histogram && name.equals("le") || type == .summary && name.equals("quantile") {
      return Double(goSyntax: scratch.bytes) ?? .nan
    }
    let length =
      2 + Protobuf.varintLength(UInt64(name.byteCount)) + name.byteCount
      + Protobuf.varintLength(UInt64(scratch.count)) + scratch.count
    lineLabels.append(Protobuf.lengthDelimited(1))
    lineLabels.append(varint: UInt64(length))
    lineLabels.append(field: 1, name)
    lineLabels.append(field: 2, scratch)
    return nil
  }

  /// Reads a label's value without its escapes into `scratch`, and moves behind its quote.
  private mutating func value(of line: RawSpan, _ position: inout Int) {
    scratch.removeAll()
    while position < line.byteCount, line[position] != UInt8(ascii: "\"") {
      if line[position] == UInt8(ascii: "\\"), position + 1 < line.byteCount {
        position += 1
        scratch.append(line[position] == UInt8(ascii: "n") ? .newline : line[position])
      } else {
        scratch.append(line[position])
      }
      position += 1
    }
    position += 1
  }

  /// A bucket or quantile, the sum or the count. Histogram and Summary number their fields alike.
  private mutating func addPart(_ suffix: RawSpan, bound: Double, _ number: Double) {
    if suffix.equals("_count") {
      value.append(field: 1, UInt64(exactly: number) ?? 0)
    } else if suffix.equals("_sum") {
      value.append(field: 2, number)
    } else {
      scratch.removeAll()
      if type == .histogram {
        scratch.append(field: 1, UInt64(exactly: number) ?? 0)
        scratch.append(field: 2, bound)
      } else {
        scratch.append(field: 1, bound)
        scratch.append(field: 2, number)
      }
      value.append(field: 3, scratch)
    }
  }

  private mutating func closeMetric() {
    guard hasMetric else { return }
    scratch.removeAll()
    scratch.append(labels)
    scratch.append(field: type.valueField, value)
    family.append(field: 4, scratch)
    value.removeAll()
    hasMetric = false
  }
}

extension MetricType {
  /// In the enumeration MetricType.
  fileprivate var number: UInt64 {
    switch self {
    case .counter: 0
    case .gauge: 1
    case .summary: 2
    case .untyped, .info, .stateset: 3
    case .histogram: 4
    case .gaugeHistogram: 5
    }
  }

  /// The field of the message Metric that holds the value.
  fileprivate var valueField: UInt8 {
    switch self {
    case .gauge: 2
    case .counter: 3
    case .summary: 4
    case .untyped, .info, .stateset: 5
    case .histogram, .gaugeHistogram: 7
    }
  }
}
