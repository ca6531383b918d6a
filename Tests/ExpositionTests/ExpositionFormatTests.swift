import Bytes
import Testing

@testable import Exposition

/// The same series in each format.
private func render(_ format: ExpositionFormat, _ write: (MetricWriter) -> Void) -> [UInt8] {
  let writer = MetricWriter()
  write(writer)
  var output = ByteWriter()
  TextExposition().render([writer], as: format, into: &output)
  return output.bytes.array
}

@Test(arguments: [
  (nil, ExpositionFormat.text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
  ("", .text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
  ("application/json, image/*;q=0.9", .text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
  (
    "text/plain;version=1.0.0;escaping=allow-utf-8", .text,
    "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
  ),
  ("text/plain;version=9", .text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
  (
    "text/plain;version=0.0.4;q=0.3 , application/openmetrics-text; version=1.0.0; q=0.6", .openMetrics,
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
  ),
  (
    "application/openmetrics-text;q=0,text/plain", .text,
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
  ),
  (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain",
    .protobuf,
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; "
      + "escaping=underscores"
  ),
  (
    "application/vnd.google.protobuf;proto=other.Message;encoding=delimited", .text,
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
  ),
  ("Text/Plain; Version=\"0.0.4\"", .text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
  (";;;,,=;q=x,/;q=", .text, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
])
func theScraperChoosesTheFormat(accept: String?, format: ExpositionFormat, contentType: String) {
  let answer = ExpositionFormat.negotiate(accept: accept)
  #expect(answer.format == format)
  #expect(answer.contentType == contentType)
}

@Test func openMetricsNamesCountersWithoutTotal() {
  let text = render(.openMetrics) { writer in
    writer.sample(.counter("a_total", "Says \"a\\b\"\nand so on."), 1.0)
    writer.sample(.gauge("b", "B."), 2.0)
    writer.sample(.counter("b_total", "Its short name is taken."), 3.0)
    writer.sample(.counter("c", "No total."), 4.0)
    writer.sample(.untyped("d", ""), 5.0)
  }
  #expect(
    String(decoding: text, as: UTF8.self) == #"""
      # HELP a Says \"a\\b\"\nand so on.
      # TYPE a counter
      a_total 1
      # HELP b B.
      # TYPE b gauge
      b 2
      # HELP b_total Its short name is taken.
      # TYPE b_total unknown
      b_total 3
      # HELP c No total.
      # TYPE c unknown
      c 4
      # HELP d 
      # TYPE d unknown
      d 5
      # EOF

      """#)
}

@Test func nothingIsAnEmptyExposition() {
  #expect(String(decoding: render(.openMetrics) { _ in }, as: UTF8.self) == "# EOF\n")
  #expect(render(.protobuf) { _ in }.isEmpty)
}

/// A message's bytes behind its length, a varint.
private func delimited(_ message: [UInt8]) -> [UInt8] {
  message.count < 128
    ? [UInt8(message.count)] + message : [0x80 | UInt8(message.count & 0x7f), UInt8(message.count >> 7)] + message
}

private func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
  [number << 3 | 2, UInt8(content.count)] + content
}

private func field(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

private func field(_ number: UInt8, _ value: Double) -> [UInt8] {
  [number << 3 | 1] + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
}

private func label(_ name: String, _ value: String) -> [UInt8] { field(1, field(1, name) + field(2, value)) }

@Test func protobufHasAMessageForEachFamily() {
  let family = MetricFamily.gauge("m", "Help.", ["a", "b"])
  let bytes = render(.protobuf) { writer in
    writer.begin(family)
    writer.label("x\"\\\n")
    writer.label("")
    writer.end(1.5)
    writer.sample(.counter("n_total", "N."), .infinity)
    writer.sample(.untyped("u", ""), -1.0)
  }
  let gauge =
    field(1, "m") + field(2, "Help.") + [0x18, 1]
    + field(4, label("a", "x\"\\\n") + label("b", "") + field(2, field(1, 1.5)))
  let counter = field(1, "n_total") + field(2, "N.") + [0x18, 0] + field(4, field(3, field(1, .infinity)))
  let untyped = field(1, "u") + field(2, "") + [0x18, 3] + field(4, field(5, field(1, -1)))
  #expect(bytes == delimited(gauge) + delimited(counter) + delimited(untyped))
}

@Test func protobufGathersTheLinesOfAHistogram() {
  let family = MetricFamily("h", .histogram, "H.")
  let bytes = render(.protobuf) { writer in
    for series in ["x", "y"] {
      for (bound, count) in [("0.5", 1.0), ("+Inf", 3.0)] {
        writer.orderedLine(family, suffix: "_bucket", labels: [("s", series), ("le", bound)], count)
      }
      writer.orderedLine(family, suffix: "_sum", labels: [("s", series)], 2.5)
      writer.orderedLine(family, suffix: "_count", labels: [("s", series)], 3)
    }
  }
  func bucket(_ count: UInt8, _ bound: Double) -> [UInt8] { field(3, [0x08, count] + field(2, bound)) }
  let histogram = field(7, bucket(1, 0.5) + bucket(3, .infinity) + field(2, 2.5) + [0x08, 3])
  let message =
    field(1, "h") + field(2, "H.") + [0x18, 4] + field(4, label("s", "x") + histogram)
    + field(4, label("s", "y") + histogram)
  #expect(bytes == delimited(message))
}

@Test func protobufGathersTheLinesOfASummary() {
  let family = MetricFamily("s", .summary, "S.")
  let bytes = render(.protobuf) { writer in
    writer.orderedLine(family, suffix: "", labels: [("quantile", "0.5")], 7)
    writer.orderedLine(family, suffix: "_sum", labels: [], 9)
    writer.orderedLine(family, suffix: "_count", labels: [], 2)
  }
  let summary = field(4, field(3, field(1, 0.5) + field(2, 7)) + field(2, 9) + [0x08, 2])
  #expect(bytes == delimited(field(1, "s") + field(2, "S.") + [0x18, 2] + field(4, summary)))
}
