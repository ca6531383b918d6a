import Bytes
import TestSupport
import Testing

@testable import AWS

@Suite struct XMLElementTests {
  private func parsed(_ text: String) throws -> XMLElement { try XMLElement(parsing: Array(text.utf8).span.bytes) }

  @Test func tree() throws {
    let root = try parsed(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <!-- a comment -->
      <r:Response xmlns:r="x" a='>'><set><item><key>a&lt;b&#65;&#x42;</key><value/></item><item>
      <key><![CDATA[<&]]></key></item></set></r:Response>
      """)
    #expect(root.name == "Response")
    #expect(root.items("set").map { $0.text("key") } == ["a<bAB", "<&"])
    #expect(root.items("set")[0]["value"]?.text == "")
    #expect(root.items("set")[0].text("value") == nil)
    #expect(root.items("none").isEmpty)
  }

  @Test(arguments: [
    "", " ", "a", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "<a b></a>", "<a b=c></a>", "<a>&nope;</a>", "<a>&amp</a>",
    "<a>&#xd800;</a>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a><![CDATA[</a>", "<a><!-- </a>", "<?xml",
    "<a b='",
  ])
  func damaged(text: String) {
    #expect(throws: XMLElement.Fault.self) { try parsed(text) }
  }

  @Test func depth() {
    let deep = String(repeating: "<a>", count: 100_000)
    #expect(throws: XMLElement.Fault.self) { try parsed(deep) }
    #expect(throws: Never.self) {
      try parsed(String(repeating: "<a>", count: 60) + String(repeating: "</a>", count: 60))
    }
  }

  @Test func mutations() {
    var random = SeededGenerator(1)
    let text = Array("<a x='1'><b>t&amp;</b><c/><![CDATA[x]]><!-- y --></a>".utf8)
    for _ in 0..<fuzzRounds { _ = try? XMLElement(parsing: mutated(text, with: &random).span.bytes) }
  }
}
