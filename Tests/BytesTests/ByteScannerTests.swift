import TestSupport
import Testing

@testable import Bytes

/// As Go's strings.ToValidUTF8(text, "\u{fffd}").
@Test(
  arguments: [
    ([], ""), ([0x61], "a"), ([0xff], "\u{fffd}"), ([0xff, 0xfe, 0x61, 0xe2, 0x82], "\u{fffd}a\u{fffd}"),
    ([0xef, 0xbf, 0xbd, 0xff], "\u{fffd}\u{fffd}"), ([0xc3, 0xa9, 0xc3], "é\u{fffd}"),
    ([0xed, 0xa0, 0x80, 0x62], "\u{fffd}b"), ([0xf0, 0x9f, 0x90, 0x9f], "🐟"),
  ] as [([UInt8], String)])
func runsOfIllFormedBytesBecomeOneReplacement(bytes: [UInt8], text: String) {
  #expect(String(mendedUTF8: bytes.span.bytes) == text)
}

private func lines(_ text: String) -> [String] {
  let bytes = Array(text.utf8)
  var scanner = ByteScanner(bytes.span.bytes)
  var lines: [String] = []
  while let line = scanner.line() { lines.append(String(utf8: line)) }
  return lines
}

@Test(
  arguments: [
    ("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]), ("\n\nb\n", ["", "", "b"]),
    ("a\r\nb", ["a\r", "b"]),
  ] as [(String, [String])])
func linesOfAText(text: String, expected: [String]) { #expect(lines(text) == expected) }

private enum Read {
  case line, field
  case fieldUpTo(UInt8)
  case unsigned, double
  case skip(UInt8)
  case next, rest, isAtEnd
}

private func text(_ bytes: RawSpan?) -> String {
  guard let bytes else { return "nil" }
  return String(utf8: bytes)
}

/// What successive reads of a text give.
private func reads(_ bytes: [UInt8], _ reads: [Read]) -> [String] {
  var scanner = ByteScanner(bytes.span.bytes)
  var results: [String] = []
  for read in reads {
    switch read {
    case .line: results.append(text(scanner.line()))
    case .field: results.append(text(scanner.field()))
    case .fieldUpTo(let separator): results.append(text(scanner.field(upTo: separator)))
    case .unsigned: results.append(scanner.unsigned().map { "\($0)" } ?? "nil")
    case .double: results.append(scanner.double().map { "\($0)" } ?? "nil")
    case .skip(let byte): results.append("\(scanner.skip(byte))")
    case .next: results.append(scanner.next.map { "\($0)" } ?? "nil")
    case .rest: results.append(text(scanner.rest))
    case .isAtEnd: results.append("\(scanner.isAtEnd)")
    }
  }
  return results
}

@Test(
  arguments: [
    (
      "  cpu0\t12 x  -3 1e3 ", [.field, .unsigned, .unsigned, .unsigned, .double],
      ["cpu0", "12", "nil", "nil", "1000.0"]
    ),
    ("a \nb", [.field, .field, .skip(.newline), .skip(.newline), .next], ["a", "nil", "true", "false", "98"]),
    ("a:b", [.fieldUpTo(0x2c), .fieldUpTo(0x3a), .fieldUpTo(0x3a), .rest], ["nil", "a", "nil", "b"]),
    (":", [.fieldUpTo(0x3a), .rest, .isAtEnd], ["", "", "true"]),
    ("last", [.line, .isAtEnd, .next, .rest, .field], ["last", "true", "nil", "", "nil"]),
    ("last", [.line, .line, .fieldUpTo(0x3a), .unsigned, .double], ["last", "nil", "nil", "nil", "nil"]),
    ("", [.field, .line, .skip(.space), .rest], ["nil", "nil", "false", ""]),
  ] as [(String, [Read], [String])])
private func readsOfALine(line: String, steps: [Read], expected: [String]) {
  #expect(reads(Array(line.utf8), steps) == expected)
}

@Test func anyWalkEndsWithoutATrap() {
  var generator = SeededGenerator(4)
  let pieces = Array("a1 \t\n:-.e".utf8)
  let all: [Read] = [.line, .field, .fieldUpTo(0x3a), .unsigned, .double, .skip(.space), .next, .rest, .isAtEnd]
  for _ in 0..<20_000 {
    let bytes = (0..<Int.random(in: 0..<12, using: &generator)).map { _ in pieces.randomElement(using: &generator)! }
    let steps = (0..<10).flatMap { _ in [all.randomElement(using: &generator)!, .rest] }
    let results = reads(bytes, steps)
    let rests = results.indices.filter { $0 % 2 == 1 }.map { results[$0] }
    // A walk only goes on.
    let onwards = zip([String(utf8: bytes.span.bytes)] + rests, rests).allSatisfy { $0.hasSuffix($1) }
    #expect(onwards)
  }
}
