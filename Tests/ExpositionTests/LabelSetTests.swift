import Bytes
import Testing

@testable import Exposition

private func labels(_ pairs: [(String, String)]) -> LabelSet { LabelSet(pairs.map { (name: $0, value: $1) }) }

@Test func labelsAreOrderedByTheBytesOfTheirNames() {
  let set = labels([("b", "1"), ("a_b", "2"), ("a", "3"), ("Z", "4"), ("é", "5")])
  #expect((0..<set.count).map { String(utf8: set.name(at: $0)) } == ["Z", "a", "a_b", "b", "é"])
  #expect(set.description == #"{Z="4", a="3", a_b="2", b="1", é="5"}"#)
}

@Test func labelsAreSetRenamedAndRemoved() {
  var set = labels([("a", "1"), ("b", "2")])
  set.set("b".utf8.span.bytes, to: "a longer value".utf8.span.bytes)
  set.set("c".utf8.span.bytes, to: "".utf8.span.bytes)
  #expect(set.description == #"{a="1", b="a longer value", c=""}"#)
  set.removeEmpty()
  set.rename(at: 0, to: "z".utf8.span.bytes)
  set.sort()
  #expect(set == labels([("b", "a longer value"), ("z", "1")]))
  #expect(set.index(of: "z") == 1)
  #expect(set.index(of: "a") == nil)
  #expect(set.index(of: "b".utf8.span.bytes) == 0)
  set.remove(at: 0)
  #expect(set.count == 1)
  set.removeAll()
  #expect(set.isEmpty)
}

@Test func labelsAreComparedAsBytes() {
  let composed = labels([("a", "\u{e9}")])
  let decomposed = labels([("a", "e\u{301}")])
  #expect(composed != decomposed)
  #expect(labels([("a", "bc")]) != labels([("ab", "c")]))
  var other = labels([("x", "y"), ("a", "\u{e9}")])
  other.remove(at: 1)
  // Equal labels are equal however they came to stand in memory.
  #expect(other == composed)
  #expect(other.hashValue == composed.hashValue)
  #expect(Set([composed, decomposed, other]).count == 2)
}

@Test(arguments: [
  ("plain", "plain"), ("a\"b\\c", #"a\"b\\c"#), ("\"\u{301}", "\\\"\u{301}"), ("\\\u{301}", "\\\\\u{301}"),
  ("a\nb", #"a\nb"#),
])
func descriptionsAreEscaped(value: String, text: String) {
  #expect(Array(labels([("a", value)]).description.utf8) == Array("{a=\"\(text)\"}".utf8))
}
