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

@Test func groupsAreGivenByNumberAndName() throws {
  let pattern = try Pattern("(?P<host>[a-z]+)(:)?(?P<port>\\d+)?")
  #expect(pattern.groupCount == 3)
  #expect(pattern.group(named: "port") == 3 && pattern.group(named: "host") == 1 && pattern.group(named: "x") == nil)
  let match = try #require(pattern.match(in: "--web:80".utf8.span.bytes, groups: 4))
  #expect(match[0] == 2..<8 && match[1] == 2..<5 && match[3] == 6..<8)
  let short = try #require(pattern.match(in: "web".utf8.span.bytes, groups: 99))
  #expect(short[0] == 0..<3 && short[2] == nil && short[3] == nil && short[4] == nil && short[99] == nil)
  #expect(pattern.match(in: "".utf8.span.bytes, groups: 1) == nil)
  #expect(try Pattern("()").match(in: "".utf8.span.bytes, groups: 2)?[1] == 0..<0)
}
