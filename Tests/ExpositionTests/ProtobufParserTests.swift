import Bytes
import TestSupport
import Testing

@testable import Exposition

/// A message of protocol buffers, field by field.
private struct Message {
  var bytes: [UInt8] = []

  init(_ build: (inout ByteWriter) -> Void) {
    var writer = ByteWriter()
    build(&writer)
    bytes = writer.bytes.array
  }

  static func label(_ name: String, _ value: String) -> Message {
    Message {
      $0.append(field: 1, name.utf8.span.bytes)
      $0.append(field: 2, value.utf8.span.bytes)
    }
  }

  static func span(_ offset: Int64, _ length: UInt64) -> Message {
    Message {
      $0.append(field: 1, offset.zigzagged)
      $0.append(field: 2, length)
    }
  }

  /// A metric with its labels and the field that holds its value.
  static func metric(_ field: UInt8, _ content: Message, _ labels: [Message] = [], timestamp: UInt64? = nil) -> Message
  {
    Message { writer in
      for label in labels { writer.append(field: 1, label) }
      writer.append(field: field, content)
      if let timestamp { writer.append(field: 6, timestamp) }
    }
  }

  /// A family behind its length.
  static func family(
    _ name: String, _ type: UInt64, _ metrics: [Message], help: String = "", unit: String = ""
  ) -> [UInt8] {
    let family = Message { writer in
      writer.append(field: 1, name.utf8.span.bytes)
      if !help.isEmpty { writer.append(field: 2, help.utf8.span.bytes) }
      writer.append(field: 3, type)
      for metric in metrics { writer.append(field: 4, metric) }
      if !unit.isEmpty { writer.append(field: 5, unit.utf8.span.bytes) }
    }
    return Message { $0.append(varint: UInt64(family.bytes.count)) }.bytes + family.bytes
  }

  static func value(_ value: Double) -> Message { Message { $0.append(field: 1, value) } }

  static func exemplar(_ value: Double, seconds: UInt64?) -> Message {
    Message {
      $0.append(field: 1, label("t", "x"))
      $0.append(field: 2, value)
      if let seconds { $0.append(field: 3, Message { $0.append(field: 1, seconds) }) }
    }
  }
}

extension ByteWriter {
  fileprivate mutating func append(field: UInt8, _ message: Message) {
    append(varint: UInt64(field) << 3 | 2)
    append(varint: UInt64(message.bytes.count))
    append(message.bytes)
  }
}

private func entries(_ bytes: [UInt8]) throws(ExpositionError) -> [String] {
  var parser = ProtobufParser(bytes.span.bytes)
  var entries: [String] = []
  while let entry = try parser.next() {
    guard entry == .sample else {
      var metadata = MetricMetadata(family: parser.familyName)
      parser.describe(&metadata)
      entries.append("\(metadata.family): \(metadata.type) \(metadata.help)|\(metadata.unit)")
      continue
    }
    try parser.readSeries()
    try parser.readValue()
    var labels = LabelSet()
    parser.appendLabels(to: &labels)
    var text = "\(labels) \(parser.isHistogram ? "\(parser.histogram())" : "\(parser.value)")"
    if let timestamp = parser.timestamp { text += " \(timestamp)" }
    for index in 0..<parser.exemplarCount {
      let exemplar = try parser.exemplar(at: index)
      text += " # \(exemplar.labels) \(exemplar.value)" + (exemplar.timestamp.map { " \($0)" } ?? "")
    }
    entries.append(text)
  }
  return entries
}

private func fault(of bytes: [UInt8]) -> String? {
  do throws(ExpositionError) {
    _ = try entries(bytes)
    return nil
  } catch { return error.description }
}

@Test func simpleMetricsInProtobuf() throws {
  let counter = Message {
    $0.append(field: 1, 2.5)
    $0.append(field: 2, Message.exemplar(0.5, seconds: 7))
  }
  let bytes =
    Message.family(
      "c_s_total", 0, [.metric(3, counter, [.label("a", "b\"\n"), .label("c.d", "é")], timestamp: 1500)],
      help: "h", unit: "s")
    + Message.family("empty", 1, [])
    + Message.family("g.h", 1, [.metric(2, .value(-1)), .metric(2, .value(2), [.label("x", "")])])
    + Message.family("u", 3, [.metric(5, .value(Double.staleMarker)), .metric(9, .value(1))])
  #expect(
    try entries(bytes) == [
      "c_s_total: counter h|s", #"{__name__="c_s_total", a="b\"\n", c.d="é"} 2.5 1500 # {t="x"} 0.5 7000"#,
      "g.h: gauge |", #"{__name__="g.h"} -1.0"#, #"{__name__="g.h", x=""} 2.0"#, "u: untyped |",
      #"{__name__="u"} nan(0x1)"#, #"{__name__="u"} 0.0"#,
    ])
  var parser = ProtobufParser(Message.family("u", 3, [.metric(5, .value(Double.staleMarker))]).span.bytes)
  _ = try (parser.next(), parser.next())
  #expect(!parser.value.isStaleMarker)
}

@Test func classicHistogramsAndSummariesInProtobuf() throws {
  func bucket(_ bound: Double, _ count: UInt64) -> Message {
    Message {
      $0.append(field: 1, count)
      $0.append(field: 2, bound)
      if count == 2 { $0.append(field: 3, Message.exemplar(1, seconds: nil)) }
    }
  }
  func histogram(_ buckets: [Message]) -> Message {
    Message { writer in
      writer.append(field: 1, 3 as UInt64)
      writer.append(field: 2, 4.5)
      for bucket in buckets { writer.append(field: 3, bucket) }
    }
  }
  let summary = Message {
    $0.append(field: 1, 3 as UInt64)
    $0.append(field: 2, 4.5)
    $0.append(field: 3, Message { $0.append(field: 1, 1.0) })
  }
  #expect(
    try entries(
      Message.family(
        "h", 4,
        [
          .metric(7, histogram([bucket(1, 2)]), [.label("a", "b")]), .metric(7, histogram([bucket(.infinity, 3)])),
        ])) == [
        "h: histogram |", #"{__name__="h_count", a="b"} 3.0"#, #"{__name__="h_sum", a="b"} 4.5"#,
        #"{__name__="h_bucket", a="b", le="1.0"} 2.0 # {t="x"} 1.0"#, #"{__name__="h_bucket", a="b", le="+Inf"} 3.0"#,
        #"{__name__="h_count"} 3.0"#, #"{__name__="h_sum"} 4.5"#, #"{__name__="h_bucket", le="+Inf"} 3.0"#,
      ])
  #expect(
    try entries(Message.family("s", 2, [.metric(4, summary)])) == [
      "s: summary |", #"{__name__="s_count"} 3.0"#, #"{__name__="s_sum"} 4.5"#, #"{__name__="s", quantile="1.0"} 0.0"#,
    ])
}

@Test func nativeHistogramsInProtobuf() throws {
  let integer = Message {
    $0.append(field: 1, 3 as UInt64)
    $0.append(field: 2, 4.5)
    $0.append(field: 5, (-1 as Int64).zigzagged)
    $0.append(field: 6, 0.25)
    $0.append(field: 7, 1 as UInt64)
    // The second widens the gap before the third, and deltas come one by one.
    for span in [Message.span(-2, 1), .span(1, 0), .span(2, 1)] { $0.append(field: 12, span) }
    $0.append(field: 13, 2 as UInt64)
    $0.append(field: 13, 1 as UInt64)
    $0.append(field: 16, Message.exemplar(1, seconds: nil))
    $0.append(field: 16, Message.exemplar(2, seconds: 3))
  }
  let expected = Message {
    $0.append(field: 1, 3 as UInt64)
    $0.append(field: 3, 4.5)
    $0.append(field: 4, 1 as UInt64)
    $0.append(field: 5, 0.25)
    $0.append(field: 6, 1 as UInt64)
    $0.append(field: 11, Message.span(-2, 1))
    $0.append(field: 11, Message.span(3, 1))
    $0.append(
      field: 12,
      Message {
        $0.append(varint: 2)
        $0.append(varint: 1)
      })
  }
  #expect(
    try entries(Message.family("n", 4, [.metric(7, integer)]))
      == ["n: histogram |", #"{__name__="n"} \#(expected.bytes) # {t="x"} 2.0 3000"#])

  let float = Message {
    $0.append(field: 4, 1.5)
    $0.append(field: 9, Message.span(0, 1))
    $0.append(field: 11, Message { $0.append(littleEndian: 1.5.bitPattern) })
  }
  let expectedFloat = Message {
    $0.append(field: 2, 1.5)
    $0.append(field: 3, 0.0)
    $0.append(field: 7, 0.0)
    $0.append(field: 8, Message { $0.append(field: 2, 1 as UInt64) })
    $0.append(field: 10, Message { $0.append(littleEndian: 1.5.bitPattern) })
    $0.append(field: 14, 3 as UInt64)
  }
  #expect(
    try entries(Message.family("n", 5, [.metric(7, float)]))
      == ["n: gaugeHistogram |", #"{__name__="n"} \#(expectedFloat.bytes)"#])
}

@Test func protobufThatIsRefused() {
  let missing = Message { $0.append(field: 12, Message.span(0, 2)) }
  let cases: [([UInt8], String)] = [
    ([5], "unexpected EOF"), ([0xff], "unexpected EOF"), ([1, 0x0b], "illegal wireType 3"), ([1, 0], "illegal tag 0"),
    ([UInt8](repeating: 0xff, count: 11), "integer overflow"),
    (Message.family("", 0, [.metric(3, .value(1))]), "invalid metric name"),
    (Message.family("m", 6, [.metric(3, .value(1))]), "unknown metric type for metric \"m\": 6"),
    (Message.family("m", 0, [.metric(3, .value(1))], unit: "s"), #"unit "s" not a suffix of metric "m""#),
    (Message.family("m", 0, [Message { $0.append(field: 3, 1 as UInt64) }]), "wrong wireType = 0 for field 3"),
    (Message.family("m", 4, [.metric(7, missing)]), "positive side: spans need 2 buckets, have 0 buckets"),
    (
      Message.family("m", 0, [.metric(3, .value(1), [Message { $0.append(field: 2, [0xff].span.bytes) }])]),
      "invalid UTF-8 label value"
    ),
  ]
  for (bytes, part) in cases {
    let message = fault(of: bytes)
    #expect(message?.contains(part) == true, "\(message ?? "accepted") instead of \(part)")
  }
}

/// What the exporter writes as protobuf is what it writes as text.
@Test func protobufSaysWhatTheTextSays() throws {
  let writer = MetricWriter()
  writer.sample(.gauge("plain", "Some help."), 1.5)
  let family = MetricFamily.counter("labelled_total", "More.", ["a", "b"])
  for value in ["x", "\"\\\n", "é"] {
    writer.begin(family)
    writer.label(value)
    writer.label("")
    writer.end(7.0)
  }
  func samples<Parser: ExpositionParser & ~Copyable & ~Escapable>(_ parser: inout Parser) throws -> [String] {
    var samples: [String] = []
    while let entry = try parser.next() {
      guard entry == .sample else { continue }
      try parser.readSeries()
      try parser.readValue()
      var labels = LabelSet()
      parser.appendLabels(to: &labels)
      samples.append("\(labels) \(parser.value)")
    }
    return samples
  }
  var text = ByteWriter()
  var messages = ByteWriter()
  let exposition = TextExposition()
  exposition.render([writer], into: &text)
  exposition.render([writer], as: .protobuf, into: &messages)
  let (textBytes, messageBytes) = (text.bytes.array, messages.bytes.array)
  var textParser = TextParser(textBytes.span.bytes)
  var protobufParser = ProtobufParser(messageBytes.span.bytes)
  var writerParser = WriterParser([writer])
  let expected = try samples(&textParser)
  #expect(expected.count == 4)
  #expect(try samples(&protobufParser) == expected)
  #expect(try Set(samples(&writerParser)) == Set(expected))
}

/// No input may end the process.
@Test func hostileProtobuf() {
  var random = SeededGenerator(3)
  let native = Message {
    $0.append(field: 1, 3 as UInt64)
    $0.append(field: 12, Message.span(0, 1))
    $0.append(field: 13, Message { $0.append(varint: 2) })
    $0.append(field: 16, Message.exemplar(2, seconds: 3))
  }
  let bucket = Message {
    $0.append(field: 2, 1.0)
    $0.append(field: 3, Message.exemplar(1, seconds: 1))
  }
  let seed =
    Message.family("c", 0, [.metric(3, .value(1), [.label("a", "b")], timestamp: 5)], help: "h")
    + Message.family("n", 4, [.metric(7, native), .metric(7, Message { $0.append(field: 3, bucket) })])
    + Message.family("s", 2, [.metric(4, Message { $0.append(field: 3, Message.value(0.5)) })])
  for _ in 0..<fuzzRounds * 60 {
    do throws(ExpositionError) { _ = try entries(mutated(seed, with: &random)) } catch {
      #expect(!error.description.isEmpty)
    }
  }
}
