import TestSupport
import Testing

@testable import YAML

/// A tree as text, without places; every single value counts as a text.
private func outline(_ node: YAMLNode) -> String {
  switch node.content {
  case .null: "null"
  case .scalar(let text, _): text.debugDescription
  case .sequence(let elements): "[\(elements.map(outline).joined(separator: ","))]"
  case .mapping(let members):
    "{\(members.map { "\($0.key.debugDescription):\(outline($0.value))" }.joined(separator: ","))}"
  }
}

private func parse(_ text: String) throws -> YAMLNode { try YAMLParser.parse(Array(text.utf8)) }

private let texts = [
  "", " ", "a", "a b", "a:b", "a: b", "a #b", "- a", "true", "Yes", "n", "null", "~", "1", "1.5", "0x1F", "1e3",
  "10:20",
  "2001-01-01", ".inf", "-", "---", "...", "é", "\u{301}", "\u{85}x", "\u{2028}", "\u{feff}", "😀", "\n", "a\nb\n", "\t",
  "\"", "\\", "'", "%a", "@a", "`", "*a", "&a", "!a", "|", ">", "{}", "[]", "<<", "=", "a,b", "\u{7f}\u{9f}", "1m30s",
  "http://h:1/w?a=b", "${A}", "a:", "?", "? a", "_x", "/x", "$1",
]

@Test(arguments: texts)
func whatIsWrittenIsReadBack(_ text: String) throws {
  for node in [YAMLNode.text(text)] + (["null", "~"].contains(text) ? [] : [.plain(text)]) {
    let tree = YAMLNode.block([
      (text, .list([node, .list([node]), .block([("k", node), (text, .list([]))])])), ("l", node),
    ])
    // A key stands in a mapping of its own only once.
    guard text != "l", text != "k" else { continue }
    let written = tree.document
    #expect(outline(try parse(written)) == outline(tree), "\(written)")
    #expect(written.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0a })
  }
}

@Test func textsStayTexts() throws {
  for text in texts {
    let written = YAMLNode.list([.text(text)]).document
    guard case .sequence(let elements) = try parse(written).content,
      case .scalar(let read, let isPlain) = elements[0].content
    else {
      Issue.record("\(written)")
      continue
    }
    #expect(read == text)
    #expect(!isPlain || Double(yaml: text) == nil && !["true", "Yes", "n", "null", "~"].contains(text), "\(written)")
  }
}

@Test(arguments: [UInt64](1...20))
func randomTreesAreReadBack(_ seed: UInt64) throws {
  var random = SeededGenerator(seed)
  func tree(_ depth: Int) -> YAMLNode {
    switch Int.random(in: 0..<(depth < 6 ? 5 : 3), using: &random) {
    case 0: return YAMLNode(content: .null, position: .init(line: 0, column: 0))
    case 1, 2: return .text(texts.randomElement(using: &random) ?? "")
    case 3: return .list((0..<Int.random(in: 0...4, using: &random)).map { _ in tree(depth + 1) })
    default:
      return .block(
        (0..<Int.random(in: 0...4, using: &random)).map {
          ("\($0)\(texts.randomElement(using: &random) ?? "")", tree(depth + 1))
        })
    }
  }
  for _ in 0..<50 {
    let node = tree(0)
    let written = node.document
    #expect(outline(try parse(written)) == outline(node), "\(written)")
  }
}

// MARK: - Merge keys

@Test(arguments: [
  ("{<<: {a: 1}, b: 2}", #"{"a":"1","b":"2"}"#), ("{<<: {a: 1}, a: 2}", #"{"a":"2"}"#),
  // In the order of the text, as Prometheus' YAML library has it.
  ("{a: 2, <<: {a: 1}}", #"{"a":"1"}"#), ("{<<: [{a: 1}, {a: 2, b: 3}]}", #"{"a":"1","b":"3"}"#),
  ("{<<: {a: 1}, <<: {a: 2}}", #"{"a":"2"}"#), ("{<<: {<<: {a: 1}, b: 2}}", #"{"a":"1","b":"2"}"#),
  ("{'<<': {a: 1}}", #"{"<<":{"a":"1"}}"#), ("[&x {a: 1}, {<<: *x, b: 2}]", #"[{"a":"1"},{"a":"1","b":"2"}]"#),
  ("{<<: []}", "{}"), ("!!str 5", "\"5\""), ("a: !!str", #"{"a":""}"#),
])
func mergesMappings(_ yaml: String, _ merged: String) throws { #expect(outline(try parse(yaml)) == merged) }

@Test(arguments: ["{<<: 1}", "{<<: }", "{<<: [1]}", "{<<: [[{a: 1}]]}", "{<<: {a: 1}, a: 2, a: 3}"])
func refusesBadMerges(_ yaml: String) { #expect(throws: ConfigurationProblem.self) { try parse(yaml) } }

@Test(arguments: ["{}\n---\n", "--- {}\n...\n", "{}\n---\n# nothing\n---\n"])
func takesEmptyDocumentsBehindTheFirst(_ yaml: String) throws { #expect(outline(try parse(yaml)) == "{}") }

@Test func mergesAreBounded() {
  let keys = (0..<1000).map { "k\($0): 1" }.joined(separator: ", ")
  let list = Array(repeating: "*a", count: 2000).joined(separator: ", ")
  #expect(throws: ConfigurationProblem.self) { try parse("- &a {\(keys)}\n- {<<: [\(list)]}") }
}

// MARK: - Numbers

@Test(
  arguments: [
    ("0", 0), ("12", 12), ("-12", -12), ("+3", 3), ("1_000", 1000), ("0x1F", 31), ("-0x10", -16), ("0o17", 15),
    ("017", 15),
    ("089", 89), ("0b11", 3), ("1e6", 1_000_000), ("1.0", 1),
  ] as [(String, Int)])
func readsWholeNumbers(_ text: String, _ value: Int) { #expect(Int(yaml: text) == value) }

@Test(arguments: [
  "", "-", "+", "--1", "+-1", "1.5", "x", "0x", "_1", "1e30", "inf", ".inf", "nan", "1 ", "0xg", "9223372036854775808",
])
func refusesWholeNumbers(_ text: String) { #expect(Int(yaml: text) == nil) }

@Test func readsNumbers() {
  #expect(Double(yaml: "1.1") == 1.1 && Double(yaml: "-.inf") == -.infinity && Double(yaml: "1e300") == 1e300)
  #expect(Double(yaml: ".NaN")?.isNaN == true)
  for text in ["", "inf", "nan", "0x1p3", "1,5", "x", "1 "] { #expect(Double(yaml: text) == nil) }
}
