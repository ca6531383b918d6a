import Bytes
import Exposition
import TestSupport
import Testing

@testable import Relabeling

typealias Action = RelabelRule.Action

/// A rule; what is nil has its default.
func rule(
  _ action: Action = .replace, from sources: [String] = [], regex: String? = nil, to target: String? = nil,
  _ replacement: String? = nil, separator: String? = nil, modulus: UInt64 = 0
) throws -> RelabelRule {
  var definition = RelabelRule.Definition()
  definition.action = action
  definition.sourceLabels = sources
  definition.modulus = modulus
  definition.regex = regex ?? definition.regex
  definition.targetLabel = target ?? definition.targetLabel
  definition.replacement = replacement ?? definition.replacement
  definition.separator = separator ?? definition.separator
  return try RelabelRule(definition)
}

/// The labels after the rules, as PromQL shows them; nil when they were dropped.
func relabeled(_ labels: KeyValuePairs<String, String>, _ rules: RelabelRule...) -> String? {
  var set = LabelSet(labels.map { (name: $0.key, value: $0.value) })
  guard RelabelRules(rules).apply(to: &set) else { return nil }
  set.sort()
  return set.description
}

@Test func noRulesChangeNothing() {
  #expect(RelabelRules().isEmpty)
  #expect(relabeled(["a": "1", "b": ""]) == #"{a="1"}"#)
}

@Test(
  arguments: [
    (nil, nil, #"{a="web-7", t="web-7"}"#),
    ("web-(.*)", nil, #"{a="web-7", t="7"}"#),
    ("eb", nil, #"{a="web-7", t="old"}"#),
    ("web-7|x", "hit", #"{a="web-7", t="hit"}"#),
    ("WEB-7", "hit", #"{a="web-7", t="old"}"#),
    ("(?i)WEB-7", "hit", #"{a="web-7", t="hit"}"#),
    (nil, "", #"{a="web-7"}"#),
    (nil, "$2", #"{a="web-7"}"#),
    (nil, "$1_x", #"{a="web-7"}"#),
    (nil, "${1}_x", #"{a="web-7", t="web-7_x"}"#),
    (nil, "$0", #"{a="web-7", t="web-7"}"#),
    (nil, "$$1 costs $", #"{a="web-7", t="$1 costs $"}"#),
    ("(?P<kind>[a-z]+)-(?P<n>\\d+)", "$n$kind${n}", #"{a="web-7", t="7web7"}"#),
    ("(web)(x)?-.*", "$1$2!", #"{a="web-7", t="web!"}"#),
    ("", "hit", #"{a="web-7", t="old"}"#),
  ] as [(String?, String?, String)])
func replaces(_ regex: String?, _ replacement: String?, _ result: String) throws {
  #expect(relabeled(["a": "web-7", "t": "old"], try rule(from: ["a"], regex: regex, to: "t", replacement)) == result)
}

@Test func joinsSourceLabels() throws {
  #expect(
    relabeled(["a": "1", "b": "2"], try rule(from: ["b", "none", "a"], to: "c")) == #"{a="1", b="2", c="2;;1"}"#)
  #expect(
    relabeled(["a": "1", "b": "2"], try rule(from: ["a", "b"], to: "c", separator: "")) == #"{a="1", b="2", c="12"}"#)
  #expect(relabeled(["a": "1"], try rule(to: "env", "prod")) == #"{a="1", env="prod"}"#)
  #expect(relabeled(["a": "1", "b": "2"], try rule(from: ["none"], to: "b")) == #"{a="1"}"#)
}

@Test func dotMatchesNewlinesAndCodePoints() throws {
  #expect(relabeled(["a": "東\n京"], try rule(from: ["a"], regex: "(.).(.)", to: "a", "$2$1")) == #"{a="京東"}"#)
}

@Test(arguments: [
  ("${1}", #"{a="k=v", k="v"}"#), ("x_$1", #"{a="k=v", x_k="v"}"#), ("$3", #"{a="k=v"}"#),
  ("not.legacy", #"{a="k=v", not.legacy="v"}"#),
])
func expandsTheTarget(_ target: String, _ result: String) throws {
  #expect(relabeled(["a": "k=v"], try rule(from: ["a"], regex: "(.+)=(.+)", to: target, "$2")) == result)
}

@Test(
  arguments: [
    (Action.keep, "web.*", true), (.keep, "db.*", false), (.drop, "web.*", false), (.drop, "web", true),
    (.keep, nil, true), (.drop, nil, false),
  ] as [(Action, String?, Bool)])
func keepsAndDrops(_ action: Action, _ regex: String?, _ stays: Bool) throws {
  #expect((relabeled(["a": "web-7"], try rule(action, from: ["a"], regex: regex)) != nil) == stays)
}

@Test func aLabelThatIsNotThereIsEmpty() throws {
  #expect(relabeled(["a": "1"], try rule(.drop, from: ["b"], regex: "")) == nil)
  #expect(relabeled(["a": "1"], try rule(.keep, from: ["b"], regex: ".+")) == nil)
  #expect(relabeled(["a": "1", "b": ""], try rule(.keepequal, from: ["b"], to: "c")) != nil)
  #expect(relabeled(["a": "1"], try rule(.dropequal, from: ["b"], to: "c")) == nil)
}

@Test(arguments: [
  (Action.keepequal, "1", true), (.keepequal, "2", false), (.dropequal, "1", false), (.dropequal, "2", true),
])
func comparesLabels(_ action: Action, _ other: String, _ stays: Bool) throws {
  #expect((relabeled(["a": "1", "b": other], try rule(action, from: ["a"], to: "b")) != nil) == stays)
}

@Test func aDropEndsTheList() throws {
  var set = LabelSet([(name: "a", value: "1")])
  #expect(try !RelabelRules([rule(.drop, from: ["a"]), rule(to: "b", "2")]).apply(to: &set))
  #expect(set.index(of: "b") == nil)
}

@Test func shards() throws {
  // printf baz | md5sum ends with e44cf984c85f6e88, which is 976 modulo 1000.
  #expect(relabeled(["a": "baz"], try rule(.hashmod, from: ["a"], to: "h", modulus: 1000)) == #"{a="baz", h="976"}"#)
  #expect(relabeled(["a": "x"], try rule(.hashmod, from: ["a"], to: "h", modulus: 1)) == #"{a="x", h="0"}"#)
  #expect(relabeled(["a": "x"], try rule(.hashmod, from: ["a"], to: "h")) == #"{a="x"}"#)
}

@Test func worksOnNames() throws {
  #expect(
    relabeled(["__meta_x": "1", "__meta_y": "2", "y": "old"], try rule(.labelmap, regex: "__meta_(.+)"))
      == #"{__meta_x="1", __meta_y="2", x="1", y="2"}"#)
  // The labels are read as they were before the rule: nothing is mapped twice.
  #expect(
    relabeled(["a": "1", "aa": "2"], try rule(.labelmap, regex: "(a+)", "a$1")) == #"{a="1", aa="1", aaa="2"}"#)
  #expect(relabeled(["a": "1"], try rule(.labelmap, regex: "a", "$1")) == #"{a="1"}"#)
  #expect(relabeled(["a1": "1", "a2": "2", "b": "3"], try rule(.labeldrop, regex: "a.")) == #"{b="3"}"#)
  #expect(relabeled(["a1": "1", "a2": "2", "b": "3"], try rule(.labelkeep, regex: "a.")) == #"{a1="1", a2="2"}"#)
}

@Test(arguments: [
  ("aZ09", "az09", "AZ09"), ("straße", "straße", "STRAßE"), ("ÉÇ", "éç", "ÉÇ"), ("ǆ", "ǆ", "Ǆ"), ("ᾳ", "ᾳ", "ᾼ"),
  ("İI", "ii", "İI"), ("ΣΑΣ", "σασ", "ΣΑΣ"), ("ŉﬁ", "ŉﬁ", "ŉﬁ"), ("ÿ", "ÿ", "Ÿ"), ("東", "東", "東"),
])
func mapsCase(_ text: String, _ lower: String, _ upper: String) throws {
  #expect(relabeled(["a": text], try rule(.lowercase, from: ["a"], to: "a")) == "{a=\"\(lower)\"}")
  #expect(relabeled(["a": text], try rule(.uppercase, from: ["a"], to: "a")) == "{a=\"\(upper)\"}")
}

@Test func namesABadPattern() {
  #expect {
    try rule(regex: "a(")
  } throws: {
    "\($0)".contains("missing closing )")
  }
}

@Test func comparesDefinitionsAsBytes() throws {
  #expect(try rule(to: "a") == rule(to: "a"))
  #expect(try rule(to: "\u{e9}") != rule(to: "e\u{301}"))
  #expect(try rule(to: "a", modulus: 1) != rule(to: "a"))
}

/// Whatever the labels and rules: no crash, no empty names or values, no name twice.
@Test func keepsItsPromisesOnRandomBytes() throws {
  var random = SeededGenerator(7)
  let alphabet: [[UInt8]] =
    ["a", "b", "__", "$1", "${1}", "$", "é", "ß", ";", "\n", ""].map { Array($0.utf8) } + [[0xff], [0xc3]]
  func bytes() -> [UInt8] {
    (0..<Int.random(in: 0...4, using: &random)).flatMap { _ in alphabet.randomElement(using: &random) ?? [] }
  }
  func text() -> String { String(decoding: bytes(), as: UTF8.self) }
  let patterns = ["(.*)", "", "a|b", "(a*)(b*)", "(?P<x>.)(.*)", "[^a]+", "x)|(y"]
  for _ in 0..<fuzzRounds * 10 {
    var labels = LabelSet()
    for _ in 0..<Int.random(in: 0...5, using: &random) {
      let name = bytes() + [UInt8.random(in: 0x61...0x7a, using: &random)]
      labels.set(name.span.bytes, to: bytes().span.bytes)
    }
    let rules = try (0..<Int.random(in: 1...4, using: &random)).map { _ in
      try rule(
        Action.allCases.randomElement(using: &random)!, from: [text(), "a"],
        regex: patterns.randomElement(using: &random)!,
        to: text(), text(), separator: text(), modulus: UInt64.random(in: 0...3, using: &random))
    }
    guard RelabelRules(rules).apply(to: &labels) else { continue }
    var names: Set<[UInt8]> = []
    for index in 0..<labels.count {
      #expect(names.insert(labels.name(at: index).array).inserted)
      #expect(!labels.name(at: index).isEmpty && !labels.value(at: index).isEmpty)
    }
  }
}
