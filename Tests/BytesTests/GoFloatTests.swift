import TestSupport
import Testing

@testable import Bytes

private func goFloat(_ value: Double) -> String {
  var writer = ByteWriter()
  writer.append(goFloat: value)
  return String(utf8: writer.bytes)
}

/// What strconv.FormatFloat(value, 'g', -1, 64) gives.
@Test(
  arguments: [
    (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (10, "10"), (100_000, "100000"), (999_999, "999999"),
    (1e6, "1e+06"), (-1e6, "-1e+06"), (1_234_567, "1.234567e+06"), (999_999.5, "999999.5"), (1e9, "1e+09"),
    (123456.789, "123456.789"), (1234567.8, "1.2345678e+06"), (0.1, "0.1"), (0.5, "0.5"), (0.0001, "0.0001"),
    (0.00012345, "0.00012345"), (1e-05, "1e-05"), (1.5e-05, "1.5e-05"), (1e-09, "1e-09"), (1e-10, "1e-10"),
    (0.1 + 0.2, "0.30000000000000004"), (1.0 / 3, "0.3333333333333333"), (2.0 / 3, "0.6666666666666666"),
    (14.036781000000001, "14.036781000000001"), (1.2345678901234568e17, "1.2345678901234568e+17"),
    (1.7e9, "1.7e+09"), (1_763_713_439.123, "1.763713439123e+09"), (9_007_199_254_740_991, "9.007199254740991e+15"),
    (9_007_199_254_740_992, "9.007199254740992e+15"), (999_999_999_999_999, "9.99999999999999e+14"),
    (1e15, "1e+15"), (1e16, "1e+16"), (1e21, "1e+21"), (1e22, "1e+22"), (1e23, "1e+23"), (1e100, "1e+100"),
    (1.8446744073709552e19, "1.8446744073709552e+19"), (9.223372036854776e18, "9.223372036854776e+18"),
    (.leastNonzeroMagnitude, "5e-324"), (2.2250738585072014e-308, "2.2250738585072014e-308"), (1e-100, "1e-100"),
    (1.7976931348623157e308, "1.7976931348623157e+308"), (-1.7976931348623157e308, "-1.7976931348623157e+308"),
    (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (-.nan, "NaN"),
  ] as [(Double, String)])
func goFloats(value: Double, text: String) { #expect(goFloat(value) == text) }

/// The digits and the exponent of a decimal text: what must be the same in any layout.
private func significant(_ text: String) -> String {
  let parts = text.split(separator: "e", omittingEmptySubsequences: false)
  let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
  var exponent = parts.count > 1 ? Int(parts[1])! : 0
  var digits = String(mantissa[0])
  if mantissa.count > 1 {
    digits += mantissa[1]
    exponent -= mantissa[1].count
  }
  let sign = digits.hasPrefix("-") ? "-" : ""
  digits = String(digits.drop { $0 == "-" || $0 == "0" })
  while digits.hasSuffix("0") {
    digits.removeLast()
    exponent += 1
  }
  return sign + digits + "e\(exponent)"
}

@Test func goFloatsReadBackAndAreShortest() {
  var generator = SeededGenerator(3)
  func check(_ value: Double) {
    guard value.isFinite else { return }
    let text = goFloat(value)
    #expect(Double(goSyntax: text.utf8.span.bytes)?.bitPattern == value.bitPattern)
    if value != 0 { #expect(significant(text) == significant(value.description), "\(value)") }
  }
  for _ in 0..<20_000 {
    check(Double(bitPattern: generator.next()))
    let whole = Int64(bitPattern: generator.next()) >> Int64.random(in: 0..<64, using: &generator)
    check(Double(whole))
    for power in [1e2, 1e3, 1e6, 1e9, 1e12] { check(Double(whole) / power) }
  }
  for exponent in -330...308 {
    let power = Double("1e\(exponent)")!
    check(power)
    check(power.nextUp)
    check(power.nextDown)
  }
  for exponent in -1074...1023 { check(Double(sign: .plus, exponent: exponent, significand: 1)) }
}
