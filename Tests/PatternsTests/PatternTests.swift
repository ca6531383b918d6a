import Testing

@testable import Patterns

@Test func patternsOccurAnywhereUnlessAnchored() throws {
  #expect(try Pattern("d[ab]").occurs(in: "sda1"))
  #expect(try !Pattern("^d[ab]$").occurs(in: "sda1"))
  #expect(try Pattern("").occurs(in: ""))
  #expect(try !Pattern("a.b").occurs(in: "a\nb"))
  #expect(try Pattern("a.b", dotMatchesNewline: true).occurs(in: "a\nb"))
  // Linear in time where a backtracking engine never ends.
  #expect(try !Pattern("^(a+)+$").occurs(in: String(repeating: "a", count: 5000) + "b"))
}

@Test(arguments: [
  ("(", "missing closing )"), ("[a", "missing closing ]"), ("*", "missing argument to repetition operator: *"),
  (#"\1"#, "invalid escape sequence"),
])
func badPatternsSayWhyInGoWords(pattern: String, reason: String) {
  #expect {
    try Pattern(pattern)
  } throws: {
    "\($0)".contains(reason) && "\($0)".contains("`\(pattern)`")
  }
}

private func match(_ pattern: Pattern, _ text: String, groups: Int) -> PatternMatch? {
  pattern.match(in: text.utf8.span.bytes, groups: groups)
}

@Test func groupsAreGivenByNumberAndName() throws {
  let pattern = try Pattern("(?P<host>[a-z]+)(:)?(?P<port>\\d+)?")
  #expect(pattern.groupCount == 3)
  #expect(pattern.group(named: "port") == 3 && pattern.group(named: "host") == 1 && pattern.group(named: "x") == nil)
  let long = try #require(match(pattern, "--web:80", groups: 4))
  #expect(long[0] == 2..<8 && long[1] == 2..<5 && long[3] == 6..<8)
  let short = try #require(match(pattern, "web", groups: 99))
  #expect(short[0] == 0..<3 && short[2] == nil && short[3] == nil && short[4] == nil && short[99] == nil)
  #expect(match(pattern, "", groups: 1) == nil)
  #expect(match(try Pattern("()"), "", groups: 2)?[1] == 0..<0)
}
