import Testing

@testable import Bytes

private func go(_ value: Double) -> String {
  var writer = ByteWriter()
  writer.append(goFloat: value)
  return writer.withBytes { String(utf8: $0) }
}

/// What strconv.FormatFloat(value, 'g', -1, 64) gives.
@Test(
  arguments: [
    (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (100, "100"), (999_999, "999999"), (1e6, "1e+06"),
    (1_234_567, "1.234567e+06"), (1.2345678901234568e17, "1.2345678901234568e+17"), (1e15, "1e+15"), (1e21, "1e+21"),
    (0.1, "0.1"), (0.25, "0.25"), (0.0001, "0.0001"), (0.00001, "1e-05"), (0.000012345, "1.2345e-05"),
    (14.036781000000001, "14.036781000000001"), (123456.789, "123456.789"),
    (1795245802.122394, "1.795245802122394e+09"),
    (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
    (2.2250738585072014e-308, "2.2250738585072014e-308"),
    (9_007_199_254_740_992, "9.007199254740992e+15"), (1.8446744073709552e19, "1.8446744073709552e+19"), (0.3, "0.3"),
    (0.1 + 0.2, "0.30000000000000004"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
  ] as [(Double, String)])
func doublesArePrintedAsGoPrintsThem(value: Double, text: String) { #expect(go(value) == text) }

@Test func everyDoubleReadsBackTheSame() {
  var state: UInt64 = 42
  for round in 0..<20_000 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    // Any bits, then numbers such as counters and seconds have.
    let value =
      round % 2 == 0 ? Double(bitPattern: state) : Double(state >> 40) / [1, 10, 100, 1000, 1e6, 1e9][round / 2 % 6]
    guard value.isFinite else { continue }
    let text = go(value)
    #expect(Double(text)?.bitPattern == value.bitPattern, "\(text)")
    #expect(Double(goSyntax: text.utf8.span.bytes)?.bitPattern == value.bitPattern, "\(text)")
    // Never more digits than the shortest.
    let digits = text.prefix { $0 != "e" }.filter(\.isNumber).drop { $0 == "0" }
    let shortest = value.description.prefix { $0 != "e" }.filter(\.isNumber).drop { $0 == "0" }
    func trimmed(_ digits: Substring) -> Int { digits.reversed().drop { $0 == "0" }.count }
    #expect(trimmed(digits[...]) == trimmed(shortest[...]), "\(text)")
  }
}
