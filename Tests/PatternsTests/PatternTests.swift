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
