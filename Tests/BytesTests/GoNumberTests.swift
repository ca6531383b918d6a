import TestSupport
import Testing

@testable import Bytes

private func parse(_ text: String) -> Double? { Double(goSyntax: text.utf8.span.bytes) }

private func fault(of text: String) -> NumberFault? {
  do throws(NumberFault) {
    _ = try Double(checkedGoSyntax: text.utf8.span.bytes)
    return nil
  } catch { return error }
}

/// Texts that catch parsers which do not round correctly, with the bits that they stand for.
@Test(
  arguments: [
    ("0", 0), ("-0", 0x8000_0000_0000_0000), ("+7", 0x401c_0000_0000_0000), (".5", 0x3fe0_0000_0000_0000),
    ("1.", 0x3ff0_0000_0000_0000), ("1.e1", 0x4024_0000_0000_0000), ("7e-05", 0x3f12_599e_d7c6_fbd2),
    ("2.2250738585072012e-308", 0x0010_0000_0000_0000), ("2.2250738585072011e-308", 0x000f_ffff_ffff_ffff),
    ("5e-324", 1), ("2.4703282292062327e-324", 0), ("2.4703282292062328e-324", 1),
    ("1.7976931348623157e308", 0x7fef_ffff_ffff_ffff), ("1.7976931348623158e308", 0x7fef_ffff_ffff_ffff),
    ("9007199254740993", 0x4340_0000_0000_0000), ("9007199254740993.00000000000000000001", 0x4340_0000_0000_0001),
    ("123456789012345678", 0x437b_69b4_ba63_0f35), ("1e23", 0x44b5_2d02_c7e1_4af6), ("1e22", 0x4480_f0cf_064d_d592),
    ("8.41", 0x4020_d1eb_851e_b852), ("0x1p-3", 0x3fc0_0000_0000_0000), ("0X1.8P1", 0x4008_0000_0000_0000),
    ("Inf", 0x7ff0_0000_0000_0000), ("-infinity", 0xfff0_0000_0000_0000), ("+INF", 0x7ff0_0000_0000_0000),
    ("nan", 0x7ff8_0000_0000_0001), ("NaN", 0x7ff8_0000_0000_0001), ("1e-400", 0), ("0e999999999999", 0),
  ] as [(String, UInt64)])
func number(text: String, bits: UInt64) { #expect(parse(text)?.bitPattern == bits) }

@Test(arguments: [
  "", "-", "+", ".", "e1", "1e", "1e+", "--1", "1,5", "nil", "0x10", "0x", "0xp1", "1p5", "1_000", "+nan", "-NaN",
  "infin", "nan(1)", " 1", "1 ", "1\r", "1e5.", "1.2.3", "0b1", "١",
])
func noNumber(text: String) { #expect(fault(of: text) == .syntax) }

@Test(arguments: ["1e400", "-1e309", "1.8e308", "0x1p2000", "1e99999999999999999999"])
func numberOutOfRange(text: String) {
  #expect(fault(of: text) == .range)
  #expect(parse(text) == nil)
}

@Test func longNumbersAreRead() {
  #expect(parse(String(repeating: "0", count: 2000) + "1") == 1)
  #expect(parse("0." + String(repeating: "0", count: 1000) + "1e1001") == 1)
}

@Test func shortestDigitsReadBack() {
  var generator = SeededGenerator(1)
  for _ in 0..<20_000 {
    let value = Double(bitPattern: generator.next())
    guard value.isFinite else { continue }
    #expect(parse(value.description)?.bitPattern == value.bitPattern)
    let short = Double(Int64(truncatingIfNeeded: generator.next() >> 40)) / 1000
    #expect(parse(short.description)?.bitPattern == short.bitPattern)
  }
}

@Test(
  arguments: [
    ([], true), (Array("plain text, longer than a word".utf8), true), (Array("häß→😀".utf8), true), ([0xff], false),
    ([0xc0, 0x80], false), ([0xed, 0xa0, 0x80], false), ([0xf4, 0x90, 0x80, 0x80], false), ([0xe2, 0x82], false),
    (Array("12345678".utf8) + [0x80], false), ([0xf0, 0x9f, 0x98], false), ([0xe0, 0x9f, 0xbf], false),
  ] as [([UInt8], Bool)])
func wellFormedUTF8(bytes: [UInt8], isValid: Bool) { #expect(bytes.span.bytes.isUTF8 == isValid) }

@Test func wellFormedUTF8AgreesWithTheStandardLibrary() {
  var generator = SeededGenerator(1)
  let pieces: [UInt8] = [
    0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5,
  ]
  for _ in 0..<50_000 {
    let bytes = (0..<Int.random(in: 0..<6, using: &generator)).map { _ in pieces.randomElement(using: &generator)! }
    #expect(bytes.span.bytes.isUTF8 == (String(validating: bytes, as: UTF8.self) != nil))
  }
}
