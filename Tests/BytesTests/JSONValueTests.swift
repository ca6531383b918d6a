import TestSupport
import Testing

@testable import Bytes

private func parse(_ text: String) -> JSONValue? { try? JSONValue(parsing: text.utf8.span.bytes) }

@Suite struct JSONValueTests {
  @Test(
    arguments: [
      ("null", .null), (" true\n", .bool(true)), ("false", .bool(false)), ("-0.5e+2", .number(-50)), ("0", .number(0)),
      (#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, .string("a\"\\/\u{8}\u{c}\n\r\té😀")),
      (#""\ud83d\u0041\udc00""#, .string("\u{fffd}A\u{fffd}")), ("[]", .array([])), ("{}", .object([])),
      ("[1,[2], {}]", .array([.number(1), .array([.number(2)]), .object([])])),
      (
        #"{"a":1 , "a":null}"#,
        .object([JSONValue.Member(name: "a", value: .number(1)), JSONValue.Member(name: "a", value: .null)])
      ),
    ] as [(String, JSONValue)])
  func reads(_ text: String, _ expected: JSONValue) { #expect(parse(text) == expected) }

  @Test(
    arguments: [
      "", " ", "nul", "nulll", "1 2", "01", "-", "1.", ".5", "1e", "+1", "NaN", "0x10", "1e999", "\"", #""\x""#,
      #""\u12""#, "\"\u{1}\"", "[1,]", "[,1]", "[1", "[1 2]", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{a:1}",
      #"{"a":1"#, "]", String(repeating: "[", count: 100_000), #""\"#, #""\ud83d\u"#,
    ])
  func refuses(_ text: String) { #expect(parse(text) == nil) }

  @Test func findsMembersInAnyCase() throws {
    let value = try #require(parse(#"{"IfaceName":"a","ifacename":"b"}"#))
    #expect(value["ifaceNAME"] == .string("b"))
    #expect(value["x"] == nil)
    #expect(JSONValue.null["x"] == nil)
  }

  @Test func survivesAnything() {
    var random = SeededGenerator(5)
    let alphabet = Array(#"{}[]",:\u0dn1e.-tfalse "#.utf8)
    for _ in 0..<5000 {
      let text = (0..<Int.random(in: 0..<40, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
      if let value = try? JSONValue(parsing: text.span.bytes) { _ = value["a"] }
    }
  }
}
