import Bytes
import Exposition

/// `prometheus.Exemplar { labels = 1; value = 2; timestamp = 3 }`: how an exemplar is kept, and how remote write 1.0
/// sends it.
enum ExemplarMessage {
  static func encode(_ labels: LabelSet, _ value: Double, _ timestamp: Int64) -> [UInt8] {
    var message = ByteWriter(capacity: 128)
    for index in 0..<labels.count {
      let name = labels.name(at: index)
      let text = labels.value(at: index)
      message.append(Protobuf.lengthDelimited(1))
      message.append(varint: UInt64(length(name) + length(text)))
      message.append(field: 1, name)
      message.append(field: 2, text)
    }
    message.append(field: 2, value)
    message.append(field: 3, UInt64(bitPattern: timestamp))
    return message.withBytes { $0.array }
  }

  /// Nil when the bytes are no such message.
  static func decode(_ message: RawSpan) -> Attachment.Content? {
    var scanner = ByteScanner(message)
    var labels = LabelSet()
    while scanner.skip(Protobuf.lengthDelimited(1)) {
      guard let length = scanner.varint(), let pair = scanner.take(length) else { return nil }
      var fields = ByteScanner(pair)
      guard fields.skip(Protobuf.lengthDelimited(1)), let nameLength = fields.varint(),
        let name = fields.take(nameLength), fields.skip(Protobuf.lengthDelimited(2)),
        let valueLength = fields.varint(), let value = fields.take(valueLength)
      else { return nil }
      labels.append(name, value)
    }
    guard scanner.skip(Protobuf.fixed64(2)), let value = scanner.take(8), scanner.skip(Protobuf.varint(3)),
      let timestamp = scanner.varint(), scanner.isAtEnd
    else { return nil }
    return .exemplar(
      labels: labels, value: Double(bitPattern: value.littleEndian64(at: 0)),
      timestamp: Int64(bitPattern: timestamp))
  }

  private static func length(_ text: RawSpan) -> Int {
    1 + Protobuf.varintLength(UInt64(text.byteCount)) + text.byteCount
  }
}

extension MetricType {
  /// `MetricMetadata.MetricType` of remote write, the same in both versions.
  var remoteWriteNumber: UInt8 {
    switch self {
    case .untyped: 0
    case .counter: 1
    case .gauge: 2
    case .histogram: 3
    case .gaugeHistogram: 4
    case .summary: 5
    case .info: 6
    case .stateset: 7
    }
  }

  init(remoteWriteNumber number: UInt8) {
    switch number {
    case 1: self = .counter
    case 2: self = .gauge
    case 3: self = .histogram
    case 4: self = .gaugeHistogram
    case 5: self = .summary
    case 6: self = .info
    case 7: self = .stateset
    default: self = .untyped
    }
  }
}
