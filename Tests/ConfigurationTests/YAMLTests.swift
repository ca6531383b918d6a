import TestSupport
import Testing
import YAML

@testable import Configuration

@Test(arguments: [
  BadText("scrape_configs: [\n", "2:1", "", "YAML: "),
  BadText("global:\n\tscrape_interval: 1s", "2:1", "", "cannot start any token"),
  BadText("global: {}\nglobal: {}", "2:1", "global", "the key is there already"),
  BadText("scrape_configs:\n- job_name: j\n  job_name: j", "3:3", "job_name", "the key is there already"),
  BadText("global: {}\n---\nglobal: {}", "3:1", "", "more than one document"),
  BadText("? [a]\n: b", "1:3", "", "a key must be a single value"),
  BadText("global: *nowhere", "1:9", "", "unknown anchor nowhere"),
  BadText("global: &a {external_labels: *a}", "1:30", "", "unknown anchor a"),
  BadText("a: \u{0}b", "1:4", "", "control characters are not allowed"),
  BadText("global: {}\nü: \u{1}", "2:4", "", "control characters are not allowed"),
  BadText("global: 'text", "1:14", "", "unexpected end of stream"),
  BadText("global: @", "1:9", "", "cannot start any token"),
])
func refusesWhatIsNoYAML(_ bad: BadText) { expectOneFault(bad) }

@Test func refusesBytesThatAreNoText() {
  let faults = problems(Array("global: {}\na: ".utf8) + [0xff, 0xfe])
  #expect(faults.map { "\($0.line):\($0.column)" } == ["2:4"])
}

@Test(arguments: ["[", "{a: ", "- ", "a:\n"])
func refusesDeepNesting(_ level: String) {
  let yaml =
    level == "a:\n"
    ? (0..<5000).map { String(repeating: " ", count: $0) + level }.joined() : String(repeating: level, count: 5000)
  let faults = problems(yaml)
  #expect(faults.map(\.reason) == ["nested deeper than 64 levels"])
}

@Test func refusesAliasesThatAddUpToDeepNesting() {
  let half = { (inner: String) in String(repeating: "[", count: 40) + inner + String(repeating: "]", count: 40) }
  let faults = problems("a: &a \(half("x"))\nb: &b \(half("*a"))\n")
  #expect(faults.map { "\($0.line): \($0.reason)" } == ["2: nested deeper than 64 levels"])
}

@Test func refusesAliasesThatGrow() {
  var yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
  for level in 1..<10 {
    yaml += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ","))]\n"
  }
  let faults = problems(yaml)
  #expect(faults.map(\.reason) == ["the file holds more than 1000000 values"])
}

@Test func readsAliases() throws {
  let jobs = try configuration(
    """
    scrape_configs:
    - job_name: j
      static_configs: &targets [{targets: ['a:1']}]
    - job_name: k
      static_configs: *targets
    """
  ).scrapeConfigs
  #expect(jobs.map { $0.staticConfigs.flatMap(\.targets) } == [["a:1"], ["a:1"]])
}

@Test func readsHugeTexts() throws {
  let long = String(repeating: "x", count: 1 << 20)
  #expect(try configuration("global: {external_labels: {a: \(long)}}").global.externalLabels.first?.value == long)
  #expect(
    problems([UInt8](repeating: UInt8(ascii: "#"), count: 16 << 20 + 1)).map(\.reason).first?.contains("MiB") == true)
}

@Test(arguments: ["", "\n", "# nothing", "---\n", "null", "~", "\u{feff}", "{}", "---\n...\n"])
func takesAnEmptyFile(_ yaml: String) throws {
  #expect(try configuration(yaml).scrapeConfigs.isEmpty)
}

@Test(arguments: [UInt64](1...8))
func mutatedFilesNeverCrash(_ seed: UInt64) {
  let good = Array(
    """
    global: {scrape_interval: 1m30s, external_labels: {a: "$X", b: é}}
    scrape_configs:
    - job_name: j
      params: {'match[]': ['{a="b"}', c]}
      static_configs: &s
      - targets: ['[::1]:9100', a:1]
        labels: {x: y}
    - {job_name: k, static_configs: *s, honor_labels: true}
    remote_write:
    - url: "http://u:p@h/w"
      queue_config:
        capacity: 5
        min_backoff: 5ms

    """.utf8)
  #expect(problems(good).isEmpty)
  var random = SeededGenerator(seed)
  let pieces: [[UInt8]] = [
    "\n", "- ", ": ", "{", "}", "[", "]", "*s", "&s ", "\"", "'", "\t", "\0", "|", "~", "!!int ",
  ]
  .map { Array($0.utf8) }
  for _ in 0..<500 {
    var text = good
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let place = Int.random(in: 0..<text.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: text[place] = UInt8.random(in: 0...255, using: &random)
      case 1: text.remove(at: place)
      case 2: text.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
      case 3: text.removeSubrange(place..<min(text.count, place + 20))
      default: text.removeSubrange((place + 1)...)
      }
      if text.isEmpty { text = [UInt8(ascii: "a")] }
    }
    for fault in problems(text) {
      #expect(fault.line >= 1 && fault.column >= 1 && !fault.reason.isEmpty)
      #expect(!fault.description.contains("\n"))
    }
  }
}
