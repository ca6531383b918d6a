import Bytes
import TestSupport
import Testing

@testable import HostMetrics

/// What a collector shows of files that stand in one folder, without its own `mtime`.
private func shown(_ files: [(String, String)], _ arguments: [String] = []) throws -> String {
  let root = TemporaryDirectory()
  for (name, text) in files { root.write("text/\(name)", text) }
  let host = try Host.fixture(
    TextfileCollector.self, root.path, ["--collector.textfile.directory=\(root.path)/te*"] + arguments)
  return try render(TextfileCollector(host)).split(separator: "\n", omittingEmptySubsequences: false)
    .filter { !$0.contains("node_textfile_mtime_seconds") }.joined(separator: "\n")
    .replacing(root.path, with: "")
}

private func end(_ error: Int) -> String {
  """
  # HELP node_textfile_scrape_error 1 if there was an error opening or reading a file, 0 otherwise
  # TYPE node_textfile_scrape_error gauge
  node_textfile_scrape_error \(error)

  """
}

@Suite struct TextfileTests {
  @Test func showsFilesOfAllKinds() throws {
    let text = try shown([
      ("a.prom", "# TYPE c counter\nc{b=\"1\",a=\"x\\\"y\"} 1\nc{b=\"2\"} 2.50\n"), ("b.prom", "c 3\n"),
      ("ignored.txt", "???"),
      (
        "h.prom",
        "# HELP b_h A histogram.\n# TYPE b_h histogram\nb_h_bucket{le=\"10\"} 2\nb_h_bucket{le=\"1\"} 1\nb_h_sum 3\nb_h_count 4\n"
      ),
    ])
    #expect(
      text == """
        # HELP b_h A histogram.
        # TYPE b_h histogram
        b_h_bucket{le="1"} 1
        b_h_bucket{le="10"} 2
        b_h_bucket{le="+Inf"} 4
        b_h_sum 3
        b_h_count 4
        # HELP c Metric read from /text/a.prom
        # TYPE c counter
        c{a="",b="2"} 2.5
        c{a="x\\"y",b="1"} 1

        """ + end(1))
  }

  @Test func theFirstHelpWins() throws {
    let text = try shown([("a.prom", "# HELP a one\na{f=\"a\"} 1\n"), ("b.prom", "# HELP a two\na{f=\"b\"} 2\n")])
    #expect(text == "# HELP a one\n# TYPE a untyped\na{f=\"a\"} 1\n" + end(1))
    #expect(
      try shown([("a.prom", "a{f=\"a\"} 1\n"), ("b.prom", "# HELP a\na{f=\"b\"} 2\n")])
        == "# HELP a Metric read from /text/a.prom, /text/b.prom\n# TYPE a untyped\na{f=\"a\"} 1\na{f=\"b\"} 2\n"
        + end(0))
  }

  @Test(arguments: [
    "x 1", "x 1\r\n", "x 1 1441205977284\n", "x\n", "x{a=\"b} 1\n", "x{a=\"b\"\n", "x{a=\"\\t\"} 1\n", "1x 1\n",
    "x{a=\"1\",a=\"2\"} 1\n", "x{__name__=\"1\"} 1\n", "# TYPE x nothing\nx 1\n",
    "# TYPE x gauge\n# TYPE x gauge\nx 1\n",
    "x 1\n# TYPE x gauge\n", "# HELP x a\n# HELP x a\nx 1\n", "x 0x10p1\n", "x one\n",
    "# TYPE x histogram\nx_bucket{le=\"y\"} 1\n", "{} 1\n", "x{a=\"b\"c=\"d\"} 1\n",
  ])
  func refusesAFile(_ text: String) throws { #expect(try shown([("a.prom", text)]) == end(1)) }

  @Test(arguments: ["", "\n \n", "# a comment\n", "# HELP x without samples\n"])
  func takesAFileWithoutSamples(_ text: String) throws { #expect(try shown([("a.prom", text)]) == end(0)) }

  @Test(arguments: [
    ("a 1\nb 2 1441205977284\nc 3\n", ["a 1", "c 3"], ["timestamp 1"]),
    ("a 1\nb one\nb two\n# TYPE c nothing\nc 3\n", ["a 1", "c 3"], ["metadata 1", "value 2"]),
    ("a{b=\"c} 1\na 2\n{} 3\n", ["a 2"], ["syntax 2"]),
    ("a 1\nb 23", ["a 1"], ["truncated 1"]),
    // Half a histogram is none.
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"x\"} 1\nh_sum 1\nh_count 1\na 1\n", ["a 1"], ["value 1"]),
    ("# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\na 1\ns_count 12", ["a 1"], ["truncated 1"]),
    ("x_count x\nx_count 2\n", ["x_count 2"], ["value 1"]),
    ("a 1\n", ["a 1"], []),
  ])
  func servesWhatItCanRead(_ text: String, _ samples: [String], _ faults: [String]) throws {
    let all = try shown([("a.prom", text)], ["--collector.textfile.partial"])
    let lines = all.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    let errors = faults.map { fault in
      let parts = fault.split(separator: " ")
      return #"pilotfish_textfile_errors{file="/text/a.prom",reason="\#(parts[0])"} \#(parts[1])"#
    }
    #expect(lines == (samples + ["node_textfile_scrape_error \(faults.isEmpty ? 0 : 1)"] + errors).sorted())
  }

  @Test func namesFilesThatContradictOthers() throws {
    let text = try shown(
      [("a.prom", "# HELP a one\na 1\n"), ("b.prom", "# HELP a two\na{b=\"c\"} 2\n")], ["--collector.textfile.partial"])
    #expect(
      lines(text, "pilotfish_textfile_errors") == [
        #"pilotfish_textfile_errors{file="/text/b.prom",reason="conflict"} 1"#
      ])
  }

  /// n series that all have other label names would be shown with n² labels.
  @Test func leavesOutWhatWouldFillTheMemory() throws {
    let few = (0..<100).map { "few{a\($0)=\"x\"} 1\n" }.joined()
    let many = (0..<2500).map { "many{a\($0)=\"x\"} 1\n" }.joined()
    let text = try shown([("a.prom", few + many)])
    #expect(lines(text, "few").count == 100)
    #expect(lines(text, "many").isEmpty)
    #expect(text.hasSuffix(end(1)))
  }

  @Test func leavesOutWhatIsOld() throws {
    let root = TemporaryDirectory()
    for folder in ["fast", "slow"] {
      root.write("\(folder)/new.prom", "\(folder)_new 1\n")
      root.write("\(folder)/old.prom", "\(folder)_old 1\n")
      root.age("\(folder)/old.prom", seconds: 7200)
    }
    let directories = ["fast", "slow"].map { "--collector.textfile.directory=\(root.path)/\($0)" }
    func samples(_ ages: [String]) throws -> [String] {
      let arguments = directories + ages.map { "--collector.textfile.max-age=\($0)" }
      let text = try render(TextfileCollector(.fixture(TextfileCollector.self, root.path, arguments)))
      #expect(lines(text, "node_textfile_mtime_seconds").count == 4)
      #expect(lines(text, "node_textfile_scrape_error 1").isEmpty == lines(text, "pilotfish_textfile_errors").isEmpty)
      return lines(text, "fast") + lines(text, "slow")
    }
    #expect(try samples([]) == ["fast_new 1", "fast_old 1", "slow_new 1", "slow_old 1"])
    #expect(try samples(["1h"]) == ["fast_new 1", "slow_new 1"])
    #expect(try samples(["\(root.path)/fast=1h"]) == ["fast_new 1", "slow_new 1", "slow_old 1"])
    #expect(try samples(["1h", "\(root.path)/slow=3h"]) == ["fast_new 1", "slow_new 1", "slow_old 1"])
    #expect(throws: CollectorConfigurationError.self) { try samples(["soon"]) }
  }

  @Test func neverWaitsForWhatIsNoFile() throws {
    let root = TemporaryDirectory()
    root.makeFIFO("text/fifo.prom")
    root.makeDirectory("text/directory.prom")
    root.write("text/good.prom", "good 1\n")
    let collector = try TextfileCollector(
      .fixture(TextfileCollector.self, root.path, ["--collector.textfile.directory=\(root.path)/text"]))
    let text = try render(collector)
    #expect(text.contains("good 1\n"))
    #expect(text.contains("node_textfile_scrape_error 1\n"))
    #expect(lines(text, "node_textfile_mtime_seconds").count == 1)
  }

  @Test func showsChanges() throws {
    let root = TemporaryDirectory()
    let collector = try TextfileCollector(
      .fixture(TextfileCollector.self, root.path, ["--collector.textfile.directory=\(root.path)/text"]))
    #expect(try render(collector) == end(1))
    root.write("text/a.prom", "a 1\n")
    #expect(try render(collector).contains("a 1\n"))
    #expect(try render(collector).contains("a 1\n"))
    root.write("text/a.prom", "a 22\n")
    #expect(try render(collector).contains("a 22\n"))
    root.write("text/a.prom", "a 22")
    #expect(try render(collector) == end(1))
    root.delete("text/a.prom")
    #expect(try render(collector) == end(0))
  }

  @Test(arguments: [
    ("/a//b/./c.prom", "/a/b/c.prom"), ("a/../b.prom", "b.prom"), ("../a.prom", "../a.prom"), ("/../a", "/a"),
  ])
  func cleansPaths(_ path: String, _ clean: String) { #expect(TextfileCollector.clean(path) == clean) }

  @Test func survivesAnything() throws {
    let text = Array(
      "# HELP s A \\\\ text\n# TYPE s summary\ns{a=\"b\",quantile=\"0.5\"} 1\ns_sum{a=\"b\"} 2e3\ns_count 3\ny{z=\"\\n\"} NaN\n"
        .utf8)
    var random = SeededGenerator(2)
    for _ in 0..<5000 {
      let bytes = mutated(text, with: &random)
      let whole = try? TextFamilyParser.parse(bytes.span.bytes)
      let salvaged = TextFamilyParser.salvage(bytes.span.bytes)
      #expect((whole != nil) == salvaged.faults.isEmpty)
    }
  }
}
