import Bytes
import Testing

@testable import Exposition

/// What `/metrics` would show of the writers.
private func page(_ writers: MetricWriter..., exposition: TextExposition = TextExposition()) -> String {
  var output = ByteWriter()
  exposition.render(writers, into: &output)
  return output.withBytes { String(utf8: $0) }
}

private func writer(_ family: MetricFamily, _ samples: [([String], Double)]) -> MetricWriter {
  let writer = MetricWriter()
  for (labels, value) in samples {
    writer.begin(family)
    for label in labels { writer.label(label) }
    writer.end(value)
  }
  return writer
}

/// The lines of the page that are samples.
private func samples(_ page: String) -> [String] {
  page.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
}

@Test func familiesStandInOrderOfNameWithTheirHead() {
  let writer = MetricWriter()
  writer.sample(.gauge("b", #"Back\slash and"# + "\nnewline."), 1.0)
  writer.sample(.counter("a_total", "A."), 2.0)
  #expect(
    page(writer) == #"""
      # HELP a_total A.
      # TYPE a_total counter
      a_total 2
      # HELP b Back\\slash and\nnewline.
      # TYPE b gauge
      b 1

      """#)
}

@Test(arguments: [
  // As values, not as rendered text.
  (["10", "2", "1"], ["1", "10", "2"]),
  (["a-b", "a", "a b", "a!"], ["a", "a b", "a!", "a-b"]),
  (["b", #"a"b"#, #"a\b"#, "a\nb", "ab", "a"], ["a", "a\nb", #"a"b"#, #"a\b"#, "ab", "b"]),
  (["", "x"], ["", "x"]),
])
func seriesStandInOrderOfTheirLabelValues(written: [String], shown: [String]) {
  let family = MetricFamily.gauge("f", "F.", ["l"])
  let expected = samples(page(writer(family, shown.map { ([$0], 1) })))
  #expect(samples(page(writer(family, written.map { ([$0], 1) }))) == expected)
}

@Test func ofTwoEqualSeriesTheEarlierWritersStays() {
  let kernel = writer(.gauge("f", "Kernel's.", ["l"]), [(["a"], 1), (["b"], 2)])
  let file = writer(.untyped("f", "File's.", ["l"]), [(["a"], 9), (["c"], 3)])
  let exposition = TextExposition()
  let text = page(kernel, file, exposition: exposition)
  #expect(samples(text) == [#"f{l="a"} 1"#, #"f{l="b"} 2"#, #"f{l="c"} 3"#])
  #expect(text.hasPrefix("# HELP f Kernel's.\n# TYPE f gauge\n"))
  #expect(exposition.duplicates == ["f"])
}

@Test func labelValuesAreEscapedAndIllFormedTextIsReplaced() {
  let writer = MetricWriter()
  writer.begin(.gauge("f", "F.", ["l"]))
  let bytes: [UInt8] = [0x61, 0xff, 0x22, 0x5c, 0x0a, 0xc3, 0xa9]
  writer.label(bytes.span.bytes)
  writer.end(1.0)
  #expect(samples(page(writer)) == ["f{l=\"a\u{fffd}\\\"\\\\\\né\"} 1"])
}

@Test func truncateForgetsWhatAFailedCollectorWrote() {
  let family = MetricFamily.gauge("f", "F.", ["l"])
  let other = MetricFamily.gauge("g", "G.")
  let writer = writer(family, [(["a"], 1), (["b"], 2)])
  writer.sample(other, 3.0)
  writer.truncate(to: 1)
  #expect(samples(page(writer)) == [#"f{l="a"} 1"#])
  writer.sample(other, 4.0)
  #expect(samples(page(writer)) == [#"f{l="a"} 1"#, "g 4"])
}

@Test func linesOfAHistogramStayAsTheyWere() {
  let family = MetricFamily("h", .histogram, "H.")
  let writer = MetricWriter()
  for bound in ["1", "10", "+Inf"] {
    writer.orderedLine(family, suffix: "_bucket", labels: [("a", "x"), ("le", bound)], 1)
  }
  writer.orderedLine(family, suffix: "_sum", labels: [("a", "x")], 2)
  #expect(
    samples(page(writer)) == [
      #"h_bucket{a="x",le="1"} 1"#, #"h_bucket{a="x",le="10"} 1"#, #"h_bucket{a="x",le="+Inf"} 1"#, #"h_sum{a="x"} 2"#,
    ])
}

/// Writers and exposition are used again and again; families come and go.
@Test(arguments: 1...8 as ClosedRange<UInt64>)
func everyPageIsThatOfASimpleModel(seed: UInt64) {
  var random = SplitMix(state: seed)
  let families = (0..<12).map { MetricFamily.gauge("f\($0)", "F.", ["a", "b"]) }
  let exposition = TextExposition()
  let writers = [MetricWriter(), MetricWriter()]
  let values = ["", "a", "aa", "a-", "a b", "é", "1", "10", "2", #"""#, #"\"#, "\n"]
  for _ in 0..<60 {
    var model: [String: [[String]: Double]] = [:]
    for writer in writers {
      writer.removeAll()
      for _ in 0..<random.below(30) {
        let family = families[random.below(families.count)]
        let labels = [values[random.below(values.count)], values[random.below(values.count)]]
        let value = Double(random.below(1000))
        writer.begin(family)
        for label in labels { writer.label(label) }
        writer.end(value)
        if model[family.name]?[labels] == nil { model[family.name, default: [:]][labels] = value }
      }
    }
    var output = ByteWriter()
    exposition.render(writers, into: &output)
    let expected = model.keys.sorted().flatMap { name in
      model[name]!.sorted { left, right in
        left.key.map { Array($0.utf8) }.lexicographicallyPrecedes(right.key.map { Array($0.utf8) }) {
          $0.lexicographicallyPrecedes($1)
        }
      }.map { entry in
        let labels = zip(["a", "b"], entry.key).map { name, value in
          let escaped = value.map { $0 == "\"" ? #"\""# : $0 == "\\" ? #"\\"# : $0 == "\n" ? #"\n"# : String($0) }
          return "\(name)=\"\(escaped.joined())\""
        }
        return "\(name){\(labels.joined(separator: ","))} \(Int(entry.value))"
      }
    }
    #expect(samples(output.withBytes { String(utf8: $0) }) == expected)
  }
}

private struct SplitMix {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }
}
