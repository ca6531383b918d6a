import Bytes
import TestSupport
import Testing

@testable import Workspaces

/// Times, ranges and answers of queries.
@Suite struct QueryTests {
  @Test(arguments: [
    ("0", "0"), ("1763715855.1234", "1763715855.123"), ("-1.5", "-1.5"), ("-0.001", "-0.001"), ("1e9", "1000000000"),
    ("2026-11-21T04:25:53Z", "1795235153"), ("2026-11-21T04:25:53.5+02:00", "1795227953.500"),
    ("2026-11-21T04:25:53.0009Z", "1795235153"), ("9999-12-31T23:59:59Z", "253402300799"),
  ])
  func times(text: String, sent: String) throws {
    let time = try QueryTime(text)
    #expect(try QueryTime(time.text) == time)
    #expect(try QueryTime(sent) == time)
    #expect(Double(time.text) == Double(sent))
  }

  @Test(arguments: [
    "", "now", "2026-11-21", "2026-11-21T04:25:53", "2026-11-21 04:25:53Z", "20261121T042553Z", "nan", "+Inf", "1e300",
    "2026-13-01T00:00:00Z", "2026-11-21T04:25:53+2", "1d", " 1", "0x",
  ])
  func noTimes(text: String) { #expect(throws: QueryFault.self) { try QueryTime(text) } }

  private static let now = QueryTime(milliseconds: 1_000_000_000)

  @Test(
    arguments: [
      (nil, nil, nil, "999700", "1000000", "1"), ("0", nil, nil, "0", "1000000", "4000"),
      ("0", "1000", "1h30m", "0", "1000", "5400"), ("0", "1000", "0.5", "0", "1000", "0.500"),
      (nil, "1000", "15", "700", "1000", "15"), ("0", "1", "250ms", "0", "1", "0.250"),
    ] as [(String?, String?, String?, String, String, String)])
  func ranges(
    start: String?, end: String?, step: String?, first: String, last: String, sent: String
  ) throws {
    let range = try QueryRange(start: start, end: end, step: step, now: Self.now)
    #expect(range.parameters.map(\.name) == ["start", "end", "step"])
    #expect(range.parameters.map(\.value) == [first, last, sent])
  }

  @Test(
    arguments: [
      ("5", "5", nil), ("6", "5", nil), ("0", "1", "0"), ("0", "1", "-1"), ("0", "1", "1x"), ("0", "1", ""),
      ("0", "1", "nan"), ("0", "1", "0.0001"), ("x", nil, nil), (nil, "x", nil),
    ] as [(String?, String?, String?)])
  func noRanges(start: String?, end: String?, step: String?) {
    #expect(throws: QueryFault.self) { try QueryRange(start: start, end: end, step: step, now: Self.now) }
  }

  // MARK: Answers

  private static func data(_ kind: String, _ result: String) -> String {
    #"{"status":"success","data":{"resultType":"\#(kind)","result":\#(result)}}"#
  }

  static let answers = [
    (
      data(
        "vector",
        #"""
        [{"metric":{"__name__":"up","job":"a b"},"value":[1795235153.939,"1"]},
        {"metric":{},"value":[1795235153,"NaN"]},
        {"metric":{"__name__":"h.x","a.b":"q\"\n"},"histogram":[1795235153,{"count":"12","sum":"3.5","buckets":[]}]}]
        """#),
      #"""
      METRIC                 VALUE                       TIME
      up{job="a b"}          1                           2026-11-21T04:25:53.939Z
      {}                     NaN                         2026-11-21T04:25:53.000Z
      {"h.x","a.b"="q\"\n"}  histogram count=12 sum=3.5  2026-11-21T04:25:53.000Z

      """#
    ),
    (
      data("matrix", #"[{"metric":{"__name__":"up"},"values":[[0,"1"],[0.5,"2"]],"histograms":[]}]"#),
      """
      METRIC  VALUE  TIME
      up      1      1970-01-01T00:00:00.000Z
      up      2      1970-01-01T00:00:00.500Z

      """
    ),
    (data("scalar", #"[1,"2"]"#), "VALUE  TIME\n2      1970-01-01T00:00:01.000Z\n"),
    (data("string", #"[1,"a\u001b[2J"]"#), "VALUE  TIME\na?[2J  1970-01-01T00:00:01.000Z\n"),
    (data("vector", "[]"), "METRIC  VALUE  TIME\n"),
    (data("matrix", "null"), "METRIC  VALUE  TIME\n"),
    (#"{"data":{"result":[1,"2"],"resultType":"scalar"}}"#, "VALUE  TIME\n2      1970-01-01T00:00:01.000Z\n"),
  ]

  @Test(arguments: answers) func tables(json: String, table: String) throws {
    #expect(try QueryAnswer(Array(json.utf8)).values().text == table)
  }

  @Test func lists() throws {
    let series =
      #"{"status":"success","data":[{"__name__":"up","job":"a"},{"job":"b"},{}],"warnings":["w"],"infos":["i"]}"#
    let answer = try QueryAnswer(Array(series.utf8))
    #expect(try answer.list().text == "up{job=\"a\"}\n{job=\"b\"}\n{}\n")
    #expect(answer.remarks == ["w", "i"])
    #expect(try QueryAnswer(Array(#"{"data":["a","b c"]}"#.utf8)).list().text == "a\nb c\n")
  }

  @Test func damagedAnswersAreRefused() {
    for (json, _) in Self.answers {
      let bytes = Array(json.utf8)
      for end in 0..<bytes.count {
        #expect(throws: (any Error).self) { try QueryAnswer(Array(bytes[..<end])).values() }
      }
    }
    for text in ["", "null", "[]", "<html>", #"{"data":1}"#, #"{"data":{}}"#, #"{"data":{"result":1}}"#] {
      #expect(throws: (any Error).self) { try QueryAnswer(Array(text.utf8)).values() }
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func garbageDoesNotCrash(seed: UInt64) {
    var random = SeededGenerator(seed)
    for (json, _) in Self.answers {
      for _ in 0..<300 {
        var bytes = Array(json.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        let answer = try? QueryAnswer(bytes)
        _ = try? answer?.values()
        _ = try? answer?.list()
      }
    }
  }

  @Test(
    arguments: [
      ([("__name__", "up")], "up"), ([("a", "1")], #"{a="1"}"#), ([], "{}"),
      ([("__name__", "a:b"), ("c", "")], #"a:b{c=""}"#),
      ([("__name__", "é")], #"{"é"}"#), ([("__name__", "up"), ("a-b", "\\")], #"up{"a-b"="\\"}"#),
    ] as [([(String, String)], String)])
  func series(labels: [(String, String)], text: String) {
    #expect(seriesText(labels.map { (name: $0.0, value: $0.1) }) == text)
  }
}
