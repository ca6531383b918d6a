import Exposition
import Testing

@testable import Relabeling

private let labels = LabelSet([(name: "b", value: "1"), (name: "a", value: "x"), (name: "gone", value: "")])

@Test func tellsWhatEachRuleMakesOfLabels() throws {
  let rules = RelabelRules([
    try rule(from: ["a"], to: "A"), try rule(.labeldrop, regex: "nothing"), try rule(.drop, from: ["a"], regex: "x"),
    try rule(from: ["b"], to: "never"),
  ])
  let steps = rules.steps(labels)
  #expect(steps.map { $0.labels?.description } == [#"{A="x", a="x", b="1"}"#, #"{A="x", a="x", b="1"}"#, nil])
  #expect(steps.map(\.isChange) == [true, false, true])
  #expect(steps.map(\.rule.definition.action) == [.replace, .labeldrop, .drop])
  #expect(rules.firstDrop(labels) == 2)
}

@Test func stepsEndAsTheRulesDo() throws {
  let rules = RelabelRules([try rule(.keep, from: ["b"], regex: "1"), try rule(.labelmap, regex: "a", to: nil, "c")])
  #expect(
    rules.firstDrop(labels) == nil && RelabelRules().firstDrop(labels) == nil && RelabelRules().steps(labels).isEmpty)
  var applied = labels
  #expect(rules.apply(to: &applied))
  applied.sort()
  #expect(rules.steps(labels).last?.labels == applied)
}
