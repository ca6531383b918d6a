import Bytes
import TestSupport
import Testing

@testable import Exposition

/// All that a text says, by a full read of every line: samples as `{labels} value timestamp # exemplar`, metadata as
/// `family: what is known`.
private func entries(_ text: [UInt8]) throws(ExpositionError) -> [String] {
  var parser = OpenMetricsParser(text.span.bytes)
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
    var text = "\(labels) \(parser.value)"
    if let timestamp = parser.timestamp { text += " \(timestamp)" }
    for index in 0..<parser.exemplarCount {
      let exemplar = parser.exemplar(at: index)
      text += " # \(exemplar.labels) \(exemplar.value)" + (exemplar.timestamp.map { " \($0)" } ?? "")
    }
    entries.append(text)
  }
  return entries
}

private func fault(of text: [UInt8]) -> String? {
  do throws(ExpositionError) {
    _ = try entries(text)
    return nil
  } catch { return error.description }
}

@Test(
  arguments: [
    ("", []), ("up 1\n", [#"{__name__="up"} 1.0"#]), ("up 1 1.5\n", [#"{__name__="up"} 1.0 1500"#]),
    ("up 1 1700000000.123\n", [#"{__name__="up"} 1.0 1700000000123"#]),
    ("up 1 -1e3\nup 1 1e300\n", [#"{__name__="up"} 1.0 -1000000"#, #"{__name__="up"} 1.0 \#(Int64.min)"#]),
    ("m{} NaN\nm{a=\"b\",} +Inf\n", [#"{__name__="m"} nan(0x1)"#, #"{__name__="m", a="b"} inf"#]),
    (#"m{a="\\\"\n\t"} 1"# + "\n", [#"{__name__="m", a="\\\"\n\\t"} 1.0"#]),
    (#"{"a.b",c="d"} 1"# + "\n", [#"{__name__="a.b", c="d"} 1.0"#]),
    (#"{c="d","a.b"} 1"# + "\n", [#"{c="d", __name__="a.b"} 1.0"#]),
    ("# TYPE m info\n# HELP m a \\\"b\\n\n", ["m: info |", "m: untyped a \"b\n|"]),
    ("# UNIT m_s s\n# UNIT m \n# TYPE \"a b\" unknown\n", ["m_s: untyped |s", "m: untyped |", "a b: untyped |"]),
    ("# TYPE h gaugehistogram\n# TYPE s stateset\n", ["h: gaugeHistogram |", "s: stateset |"]),
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", ["h: histogram |", #"{__name__="h_bucket", le="1.0"} 1.0"#]),
    (#"m 1 # {b="2",a="1"} 0.5"# + "\n", [#"{__name__="m"} 1.0 # {a="1", b="2"} 0.5"#]),
    ("m 1 2 # {} 3 4.5\n", [#"{__name__="m"} 1.0 2000 # {} 3.0 4500"#]),
  ] as [(String, [String])])
func openMetricsAccepted(text: String, expected: [String]) throws {
  #expect(try entries(Array("\(text)# EOF\n".utf8)) == expected)
  // The newline behind the end may be missing.
  #expect(try entries(Array("\(text)# EOF".utf8)) == expected)
}

@Test(
  arguments: [
    ("", "data does not end with # EOF"), ("m 1\n", "data does not end with # EOF"),
    ("m 1", "data does not end with # EOF"), ("m 1 2", "expected next entry after timestamp, got \"\\n\" (\"EOF\")"),
    ("m 1 # {} 1", "data does not end with # EOF"), ("# EOF\n\n", "unexpected data after # EOF"),
    ("# EOFm", "unexpected data after # EOF"), ("\n# EOF", #"expected a valid start token, got "\n" ("INVALID")"#),
    ("# comment\n# EOF", "expected a valid start token, got \"# c\""), ("#TYPE m gauge\n", "expected a valid start"),
    ("m  1\n", #"expected value after metric, got " ""#), ("m\t1\n", "expected value after metric"),
    ("m\n", "expected value after metric"), ("m 1 \n", "expected a valid start token"),
    ("m 1 2 3\n", #"expected next entry after timestamp, got " 3\n" ("TIMESTAMP")"#),
    ("m 1 # {} 1 2 3\n", "expected next entry after exemplar timestamp"),
    ("m 1 # {}\n", "expected value after exemplar labels"), ("m 1 # {} 1 \n", "expected timestamp or comment"),
    ("m 1 # {\"a\"} 1\n", "expected label name"), ("m 1 # {a} 1\n", "expected equal"),
    ("m 1 # {} 1 Inf\n", "invalid exemplar timestamp +Inf"), ("m 1 #{} 1\n", "invalid syntax"),
    ("m 1 x\n", #"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "m 1 x""#),
    ("m 1_0\n", "unsupported character in float"), ("m 1 NaN\n", "invalid timestamp NaN"),
    ("{} 1\n", "metric name not set"), ("{A} 0\n", "expected equal"), ("m{\"n\"} 1\n", "metric name already set"),
    ("m{a=\"b\" c=\"d\"} 1\n", "expected comma or brace close"), ("m{a=\"b\", c=\"d\"} 1\n", "expected label name"),
    ("m{a =\"b\"} 1\n", "expected equal"), ("m {} 1\n", "invalid syntax"), ("m{a=\"b\n\"} 1\n", "expected label value"),
    ("m{a=\"b", "expected label value"), ("m{", "expected label name"), ("1m 1\n", "expected a valid start token"),
    ("# HELP m", "expected text in HELP"), ("# TYPE m\n", "expected text in TYPE"),
    ("# TYPE m untyped\n", #"invalid metric type "untyped""#), ("# UNIT m_s x\n", "not a suffix of metric \"m_s\""),
    ("# UNIT s s\n", "not a suffix"), ("# UNIT  s\n", "expected metric name after UNIT"),
  ] as [(String, String)])
func openMetricsRefused(text: String, part: String) {
  let message = fault(of: Array(text.utf8))
  #expect(message?.contains(part) == true, "\(message ?? "accepted")")
}

@Test func openMetricsOfIllFormedUTF8() {
  #expect(fault(of: Array("m{a=\"".utf8) + [0xff] + Array("\"} 1\n".utf8))?.contains("invalid UTF-8") == true)
  #expect(fault(of: Array("# HELP m ".utf8) + [0xff, 0x0a])?.contains("is not a valid utf8 string") == true)
}

@Test func exemplarsThatAreTooLong() {
  func exemplar(_ length: Int) -> Exemplar {
    let labels = LabelSet([(name: "a", value: String(repeating: "é", count: length))])
    return Exemplar(labels: labels, value: 1, timestamp: nil)
  }
  #expect(exemplar(127).isShortEnough && !exemplar(128).isShortEnough)
}

/// No input may end the process, and skipping a series must give what reading it gives.
@Test func hostileOpenMetrics() {
  var random = SeededGenerator(2)
  let seed = Array(
    """
    # HELP m "t\\n
    # TYPE m histogram
    # UNIT m_s s
    m_bucket{le="1","q.r"="\\n"} 1e5 12.5 # {a="b"} 1 2
    {"a.b"} NaN # {} 1
    # EOF

    """.utf8)
  let hasher = SeriesHasher(using: &random)
  for _ in 0..<fuzzRounds * 60 {
    let text = mutated(seed, with: &random)
    var (reader, skipper) = (OpenMetricsParser(text.span.bytes), OpenMetricsParser(text.span.bytes))
    do throws(ExpositionError) {
      while let entry = try reader.next() {
        guard try skipper.next() == entry else { break }
        if entry != .sample {
          _ = reader.metadataHash(hasher, after: .none)
          continue
        }
        try reader.readSeries()
        let isSkipped = skipper.skipSeries(
          length: reader.seriesLength, hash: reader.seriesHash(hasher), hasher)
        if !isSkipped { skipper = copy reader }
        try reader.readValue()
        try skipper.readValue()
        #expect(reader.position == skipper.position && reader.value.bitPattern == skipper.value.bitPattern)
        #expect(reader.timestamp == skipper.timestamp && reader.exemplarCount == skipper.exemplarCount)
        var labels = LabelSet()
        reader.appendLabels(to: &labels)
        if reader.exemplarCount > 0 { _ = reader.exemplar(at: 0) }
      }
      #expect(reader.position == text.count)
    } catch {
      #expect(!error.description.isEmpty)
    }
  }
}
