import Bytes
import TestSupport
import Testing

@testable import Exposition

/// All samples of a text as `{labels} value timestamp`, by a full read of every line.
private func samples(_ text: [UInt8]) throws(ExpositionError) -> [String] {
  var parser = TextParser(text.span.bytes)
  var samples: [String] = []
  while let entry = try parser.next() {
    guard entry == .sample else { continue }
    try parser.readSeries()
    try parser.readValue()
    var labels = LabelSet()
    parser.labels(of: parser.series, into: &labels)
    let timestamp = parser.timestamp.map { " \($0)" } ?? ""
    samples.append("\(labels) \(parser.value)\(timestamp)")
  }
  return samples
}

private func fault(of text: [UInt8]) -> String? {
  do throws(ExpositionError) {
    _ = try samples(text)
    return nil
  } catch { return error.description }
}

@Test(
  arguments: [
    ("", []),
    ("up 1", [#"{__name__="up"} 1.0"#]),
    ("\n\n up 1 \n\n\tdown\t2\t17\n", [#"{__name__="up"} 1.0"#, #"{__name__="down"} 2.0 17"#]),
    ("m{} 1\nm {a=\"b\" , } 2", [#"{__name__="m"} 1.0"#, #"{__name__="m", a="b"} 2.0"#]),
    (#"m{a="1" b="2"}3"#, [#"{__name__="m", a="1", b="2"} 3.0"#]),
    ("m{a=\"x\ny}# {\"} 1", [#"{__name__="m", a="x\ny}# {"} 1.0"#]),
    (#"m{a="\\\"\t"} 1"#, [#"{__name__="m", a="\\\"\\t"} 1.0"#]),
    (#"{"a.b",c="d"} 1"#, [#"{__name__="a.b", c="d"} 1.0"#]),
    (#"{c="d","a.b"} 1"#, [#"{c="d", __name__="a.b"} 1.0"#]),
    (#"m{"x.y"="z"} 1"#, [#"{__name__="m", x.y="z"} 1.0"#]),
    ("# HELP\n#\n# TYPE\n#TYPE m nonsense\n# HELPm\nm 1", [#"{__name__="m"} 1.0"#]),
    ("# HELP m\n# HELP m \n# HELP \"m n\" x\n# TYPE m gauge\nm 1", [#"{__name__="m"} 1.0"#]),
    ("m 1\n\0garbage", [#"{__name__="m"} 1.0"#]),
    ("# c\0omment\nm 1\n#c\0omment\nn 1", [#"{__name__="m"} 1.0"#]),
    ("m{a=\"x\0y\"} 1", ["{__name__=\"m\", a=\"x\0y\"} 1.0"]),
  ] as [(String, [String])])
func accepted(text: String, expected: [String]) throws { #expect(try samples(Array(text.utf8)) == expected) }

@Test(
  arguments: [
    ("m 0x1p-3", "unsupported character in float"), ("m 1_0", "unsupported character in float"),
    ("m 1e400", #"parsing "1e400": value out of range while parsing: "m 1e400""#),
    ("m 1,5", #"strconv.ParseFloat: parsing "1,5": invalid syntax"#), ("m 1\r\n", #"parsing "1\r": invalid syntax"#),
    ("m", "expected value after metric, got \"\\n\""), ("m{} {", "expected value after metric"),
    ("m 1 1.5", "expected next entry after timestamp"), ("m 1 2 3", "expected next entry after timestamp"),
    ("m 1 -2", "expected timestamp or new record"), ("m 1{", "expected timestamp or new record"),
    ("m 1 99999999999999999999", "value out of range"), ("m.n 1", #"parsing ".n": invalid syntax"#),
    ("1m 1", "expected a valid start token, got \"1"), ("é 1", "expected a valid start token"),
    ("{A}0", "expected equal"), ("m{A,b=\"c\"} 0", "expected equal"), (#"m{"n"} 1"#, "metric name already set"),
    (#"{a="b"} 1"#, "metric name not set while parsing"), ("{} 1", "metric name not set"),
    ("m{,} 1", "expected label name"), (#"m{a="b",,} 1"#, "expected label name"), ("m{", "expected label name"),
    ("m{a='b'} 1", "expected label value, got \"'"), (#"m{a="b"#, "expected label value"),
    ("m{a=\"\\\n\"} 1", "expected label value"), ("m{a\0=\"b\"} 1", #"expected equal, got "\x00"#),
    ("m{\"a\0\"=\"b\"} 1", "expected label name"), ("m 1\0", "expected timestamp or new record"),
    ("# HELP #", "expected metric name after HELP, got \"#\""), ("# TYPE m Counter", #"invalid metric type "Counter""#),
    ("# TYPE m counter ", #"invalid metric type "counter ""#), ("# TYPE m", #"invalid metric type """#),
  ] as [(String, String)])
func refused(text: String, part: String) {
  let message = fault(of: Array("ok 1\n\(text)".utf8))
  #expect(message?.contains(part) == true, "\(message ?? "accepted")")
}

@Test func illFormedUTF8() {
  #expect(fault(of: Array("m{a=\"".utf8) + [0xff] + Array("\"} 1".utf8))?.contains("invalid UTF-8 label value") == true)
  #expect(fault(of: Array("# HELP m ".utf8) + [0xff])?.contains("is not a valid utf8 string") == true)
  #expect(fault(of: Array("# ".utf8) + [0xff]) == nil)
}

@Test func bucketsAndQuantilesAreNormalised() throws {
  let text = """
    h_bucket{le="1"} 1
    # TYPE h histogram
    h_bucket{le="1",quantile="1"} 1
    h_bucket{le="1e6"} 1
    h_bucket{le="2.50"} 1
    h_bucket{le="+Inf"} 1
    h_bucket{le="-0"} 1
    h_bucket{le="x"} 1
    # TYPE s summary
    s{quantile="1",le="1"} 1
    """
  let values = try samples(Array(text.utf8)).map { $0.drop { $0 != "," }.dropLast(5) }
  #expect(
    values == [
      #", le="1""#, #", le="1.0", quantile="1""#, #", le="1e+06""#, #", le="2.5""#, #", le="+Inf""#, #", le="0.0""#,
      #", le="x""#, #", quantile="1.0", le="1""#,
    ])
}

@Test func metadataIsGiven() throws {
  let text = Array("# HELP m some \\n text\n# TYPE m counter\n".utf8)
  var parser = TextParser(text.span.bytes)
  #expect(try parser.next() == .help)
  #expect(String(utf8: parser.bytes.extracting(parser.name)) == "m")
  #expect(String(utf8: parser.bytes.extracting(parser.text)) == #"some \n text"#)
  #expect(try parser.next() == .type)
  #expect(parser.type == .counter)
  #expect(try parser.next() == nil)
}

@Test(arguments: [
  ("m 1", 1, true), ("m\t1", 1, true), ("mn 1", 1, false), ("m {} 1", 1, false), ("m{} 1", 1, false),
  ("m{} 1", 3, true), ("m{}1", 3, true), ("m", 1, false), ("m 1", 9, false), ("m 1", 0, false), ("m-1", 1, false),
])
func knownSeriesAreSkipped(text: String, length: Int, isSkipped: Bool) throws {
  let text = Array(text.utf8)
  var parser = TextParser(text.span.bytes)
  #expect(try parser.next() == .sample)
  #expect(parser.skipSeries(length: length) == isSkipped)
  guard isSkipped else { return }
  try parser.readValue()
  #expect(parser.series == 0..<length)
  #expect(parser.value == 1)
}

/// No input may end the process, and skipping a series must give what reading it gives.
@Test func hostileTexts() {
  var generator = SeededGenerator(1)
  let seed = Array(
    "# HELP m \"t\\\"\n# TYPE m histogram\nm_bucket{le=\"1\",\"q.r\"=\"\\n\"} 1e5 123\n{\"a.b\"} NaN\nn -0x1p4\n".utf8)
  let pieces: [UInt8] = Array("\n\0 \t#{}\",=\\HELPTYPEame01.-+_:'".utf8) + [0xff, 0xc3, 0xa9]
  for _ in 0..<20_000 {
    var text = seed
    for _ in 0..<Int.random(in: 1..<8, using: &generator) {
      let place = Int.random(in: 0..<text.count, using: &generator)
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: text[place] = pieces.randomElement(using: &generator)!
      case 1: text.insert(pieces.randomElement(using: &generator)!, at: place)
      default: text.remove(at: place)
      }
    }
    var (reader, skipper) = (TextParser(text.span.bytes), TextParser(text.span.bytes))
    do throws(ExpositionError) {
      while let entry = try reader.next() {
        guard try skipper.next() == entry else { break }
        guard entry == .sample else { continue }
        try reader.readSeries()
        let isSkipped = skipper.skipSeries(length: reader.series.count)
        if !isSkipped { skipper = copy reader }
        try reader.readValue()
        try skipper.readValue()
        #expect(reader.position == skipper.position)
        #expect(reader.value.bitPattern == skipper.value.bitPattern && reader.timestamp == skipper.timestamp)
        var labels = LabelSet()
        reader.labels(of: reader.series, into: &labels)
      }
    } catch {
      #expect(!error.description.isEmpty)
    }
  }
}
