import Bytes
import TestSupport
import Testing

@testable import Exposition

private func render(_ writers: [MetricWriter], _ exposition: TextExposition = TextExposition()) -> String {
  var output = ByteWriter()
  exposition.render(writers, into: &output)
  return String(utf8: output.bytes)
}

/// One gauge `m` with one label, written once for each value.
private func writer(_ values: [[UInt8]], _ family: MetricFamily, first: Int = 0) -> MetricWriter {
  let writer = MetricWriter()
  for (index, value) in values.enumerated() {
    writer.begin(family)
    writer.label(value.span.bytes)
    writer.end(Double(first + index))
  }
  return writer
}

private let labelled = MetricFamily.gauge("m", "Help.", ["a"])
private let head = "# HELP m Help.\n# TYPE m gauge\n"

@Test func familiesStandInTheOrderOfTheirNames() {
  let writer = MetricWriter()
  for name in ["b_total", "a_b", "a", "B", "a:c", "a_"] { writer.sample(.untyped(name, ""), 1.0) }
  let names = render([writer]).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.dropLast(2) }
  #expect(names == ["B", "a", "a:c", "a_", "a_b", "b_total"])
}

@Test(arguments: [
  ["", "a", "a-b", "a b"], ["10", "2", "1"], ["a\"", "a", "a\\", "a\n", "a!", "a#", "aZ", "a]"],
  ["\n", "\t", " ", "n", "\\n", "\\", "\"", "\\\"", "\\\\"], ["eth0", "eth0.1", "eth", "eth10", "eth2", "eth0-x"],
  ["ü", "u", "z", "→", "😀", "~"],
])
func seriesStandInTheOrderOfTheirValues(values: [String]) {
  let sorted = values.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  let lines = sorted.map { value in
    #"m{a="\#(escaped(value))"} \#(values.firstIndex(of: value)!)"# + "\n"
  }
  #expect(render([writer(values.map { Array($0.utf8) }, labelled)]) == head + lines.joined())
}

@Test func anEarlierLabelDecidesFirst() {
  let family = MetricFamily.counter("m", "Help.", ["a", "b"])
  let writer = MetricWriter()
  for (a, b) in [("x-", "1"), ("x", "2"), ("x", "1"), ("", "9")] {
    writer.begin(family)
    writer.label(a)
    writer.label(b)
    writer.end(1.0)
  }
  #expect(
    render([writer]) == """
      # HELP m Help.
      # TYPE m counter
      m{a="",b="9"} 1
      m{a="x",b="1"} 1
      m{a="x",b="2"} 1
      m{a="x-",b="1"} 1

      """)
}

@Test func theEarlierWriterWinsAndItsHeadToo() {
  let exposition = TextExposition()
  let other = MetricFamily.counter("m", "Other.", ["a"])
  let first = writer([Array("x".utf8)], labelled)
  let second = writer([Array("x".utf8), Array("w".utf8)], other, first: 7)
  #expect(render([first, second], exposition) == head + "m{a=\"w\"} 8\nm{a=\"x\"} 0\n")
  #expect(exposition.duplicates == ["m"])
  #expect(
    render([second, first], exposition) == "# HELP m Other.\n# TYPE m counter\nm{a=\"w\"} 8\nm{a=\"x\"} 7\n")
  #expect(render([second], exposition).hasSuffix("m{a=\"w\"} 8\nm{a=\"x\"} 7\n"))
  #expect(exposition.duplicates.isEmpty)
}

@Test func theFirstOfOneWritersDuplicatesStays() {
  let exposition = TextExposition()
  #expect(render([writer([[0x61], [0x61], [0x61]], labelled)], exposition) == head + "m{a=\"a\"} 0\n")
  #expect(exposition.duplicates == ["m", "m"])
  let plain = MetricWriter()
  let family = MetricFamily.untyped("p", "")
  for value in [1.0, 2.0] { plain.sample(family, value) }
  #expect(render([plain], exposition) == "# HELP p \n# TYPE p untyped\np 1\n")
}

@Test(
  arguments: [
    (Array("tab\tstays".utf8), "tab\tstays"), (Array("a\\b\"c\nd".utf8), #"a\\b\"c\nd"#),
    ([0x61, 0xff, 0x62], "a\u{FFFD}b"), ([0xc3], "\u{FFFD}"), ([0xed, 0xa0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
    ([0xff, 0x22], "\u{FFFD}\\\""), (Array("e\u{301}".utf8), "e\u{301}"), ([0], "\0"),
  ] as [([UInt8], String)])
func labelValuesAreEscapedAndValid(bytes: [UInt8], text: String) {
  #expect(Array(render([writer([bytes], labelled)]).utf8) == Array((head + "m{a=\"\(text)\"} 0\n").utf8))
}

@Test func helpTextsAreEscaped() {
  let writer = MetricWriter()
  writer.sample(.gauge("m", "a\\b\nc \"d\""), 1.0)
  #expect(render([writer]) == "# HELP m a\\\\b\\nc \"d\"\n# TYPE m gauge\nm 1\n")
}

@Test func wholeNumbersAsLabelsAndValues() {
  let writer = MetricWriter()
  for value in [Int.min, -1, 0, .max] {
    writer.begin(labelled)
    writer.label(value)
    writer.end(UInt64(1 << 53))
  }
  #expect(
    render([writer]) == head
      + ["-1", "-9223372036854775808", "0", "9223372036854775807"].map {
        "m{a=\"\($0)\"} 9.007199254740992e+15\n"
      }.joined())
}

/// Series of one family with different labels: as client_golang has them.
@Test func fewerLabelsComeFirst() {
  let writer = MetricWriter()
  for labels in [["a", "z"], ["z"], [], ["b"]] {
    writer.begin(.gauge("m", "Help.", labels))
    for label in labels { writer.label(label) }
    writer.end(1.0)
  }
  #expect(
    render([writer]) == head + """
      m 1
      m{b="b"} 1
      m{z="z"} 1
      m{a="a",z="z"} 1

      """)
}

@Test func orderedLinesStayAsWritten() {
  let family = MetricFamily("h", .histogram, "Help.")
  let writer = MetricWriter()
  for bound in ["2.5", "10", "+Inf"] {
    writer.orderedLine(family, suffix: "_bucket", labels: [("z", "\""), ("le", bound)], 1)
  }
  writer.orderedLine(family, suffix: "_sum", labels: [("z", "\"")], 0.5)
  writer.orderedLine(family, suffix: "_count", labels: [], 1)
  writer.sample(.gauge("g", ""), 1.0)
  #expect(
    render([writer]) == """
      # HELP g \n# TYPE g gauge
      g 1
      # HELP h Help.
      # TYPE h histogram
      h_bucket{z="\\"",le="2.5"} 1
      h_bucket{z="\\"",le="10"} 1
      h_bucket{z="\\"",le="+Inf"} 1
      h_sum{z="\\""} 0.5
      h_count 1

      """)
}

@Test func truncateForgetsWhatCameLater() {
  let families = ["a", "b", "c"].map { MetricFamily.gauge($0, "", ["l"]) }
  for kept in 0...9 {
    let writer = MetricWriter()
    let expected = MetricWriter()
    for index in 0..<9 {
      for target in index < kept ? [writer, expected] : [writer] {
        target.begin(families[index / 2 % 3])
        target.label(index)
        target.end(Double(index))
      }
    }
    // A collector that failed between begin and end.
    writer.begin(families[1])
    writer.label("unfinished")
    writer.truncate(to: kept)
    #expect(writer.count == kept)
    #expect(render([writer]) == render([expected]))
    for target in [writer, expected] {
      target.begin(families[2])
      target.label("later")
      target.end(1.0)
    }
    #expect(render([writer]) == render([expected]))
  }
}

@Test func aFamilyWithoutSamplesIsNotShown() {
  let writer = MetricWriter()
  writer.begin(labelled)
  #expect(render([writer]) == "")
  #expect(render([]) == "")
  writer.removeAll()
  #expect(writer.count == 0)
}

// MARK: Against a naive model

private func escaped(_ value: String) -> String {
  String(
    value.unicodeScalars.flatMap { scalar -> [Character] in
      switch scalar {
      case "\\": ["\\", "\\"]
      case "\"": ["\\", "\""]
      case "\n": ["\\", "n"]
      default: [Character(scalar)]
      }
    })
}

/// The exposition as one would write it down: everything in dictionaries and sorted.
private struct Model {
  struct Sample {
    let values: [String]
    let number: Int
  }
  var families: [(family: MetricFamily, samples: [Sample])] = []
  var duplicates = 0

  mutating func add(_ family: MetricFamily, _ sample: Sample) {
    let known = families.firstIndex { $0.family.name == family.name }
    if known == nil { families.append((family, [])) }
    let index = known ?? families.count - 1
    if families[index].samples.contains(where: { $0.values == sample.values }) {
      duplicates += 1
    } else {
      families[index].samples.append(sample)
    }
  }

  var text: String {
    families.sorted { $0.family.name.utf8.lexicographicallyPrecedes($1.family.name.utf8) }.map { family, samples in
      let sorted = samples.sorted { left, right in
        for (l, r) in zip(left.values, right.values) where l != r {
          return l.utf8.lexicographicallyPrecedes(r.utf8)
        }
        return false
      }
      return "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type.rawValue)\n"
        + sorted.map { sample in
          let labels = zip(family.labels, sample.values).map { #"\#($0)="\#(escaped($1))""# }
          return family.name + (labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}") + " \(sample.number)\n"
        }.joined()
    }.joined()
  }
}

@Test(arguments: 0..<8)
func manyScrapesAgreeWithTheModel(seed: UInt64) {
  var generator = SeededGenerator(seed)
  // Two families of each name: the same metric, shown by two collectors.
  let families = ["m", "m_a", "n", "n_total", "o"].enumerated().flatMap { index, name in
    ["first", "second"].map { MetricFamily.gauge(name, $0, Array(["a", "b", "c"].prefix(index % 4))) }
  }
  let pieces = ["", "a", "b", "-", "\"", "\\", "\n", "n", "10", "2", "ü"]
  func value() -> String {
    (0..<Int.random(in: 0..<4, using: &generator)).map { _ in pieces.randomElement(using: &generator)! }.joined()
  }
  let exposition = TextExposition()
  let writers = (0..<3).map { _ in MetricWriter() }
  var output = ByteWriter()
  for _ in 0..<150 {
    var model = Model()
    var written: [(MetricFamily, Model.Sample)] = []
    for writer in writers {
      writer.removeAll()
      for _ in 0..<Int.random(in: 0..<5, using: &generator) {
        let family = families.randomElement(using: &generator)!
        for _ in 0..<Int.random(in: 1..<6, using: &generator) {
          let sample = Model.Sample(values: family.labels.map { _ in value() }, number: written.count)
          written.append((family, sample))
          writer.begin(family)
          for value in sample.values { writer.label(value) }
          writer.end(Double(sample.number))
        }
      }
    }
    for (family, sample) in written { model.add(family, sample) }
    // Twice: the second time is the steady state.
    for _ in 0..<2 {
      output.removeAll()
      exposition.render(writers, into: &output)
      #expect(String(utf8: output.bytes) == model.text)
      #expect(exposition.duplicates.count == model.duplicates)
    }
  }
}

/// Some names are made of what a file says.
@Test(arguments: [
  ("node_sockstat_a b_inuse", "node_sockstat_a_b_inuse"), ("x{y=\"z\"}", "x_y__z__"), ("a\nb 1\n", "a_b_1_"),
  ("é\u{fffd}1", "__1"), ("1a:B9", "_a:B9"),
])
func namesHoldOnlyWhatTheFormatAllows(name: String, shown: String) {
  let writer = MetricWriter()
  writer.sample(.gauge(name, ""), 1.0)
  #expect(render([writer]) == "# HELP \(shown) \n# TYPE \(shown) gauge\n\(shown) 1\n")
}
