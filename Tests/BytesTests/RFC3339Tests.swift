import Bytes
import Glibc
import TestSupport
import Testing

@Test(
  arguments: [
    (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
    (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
    (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (1_795_235_153_939, "2026-11-21T04:25:53.939Z"),
    (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    (253_402_300_800_000, "253402300800000"), (.min, "-9223372036854775808"), (.max, "9223372036854775807"),
  ] as [(Int64, String)])
func writesMilliseconds(_ milliseconds: Int64, _ text: String) {
  #expect(String(rfc3339Milliseconds: milliseconds) == text)
}

@Test(
  arguments: [
    (0, "1970-01-01T00:00:00.000000000Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
    (1_795_235_153_000_000_042, "2026-11-21T04:25:53.000000042Z"), (.min, "1677-09-21T00:12:43.145224192Z"),
    (.max, "2262-04-11T23:47:16.854775807Z"),
  ] as [(Int64, String)])
func writesNanoseconds(_ nanoseconds: Int64, _ text: String) {
  #expect(String(rfc3339Nanoseconds: nanoseconds) == text)
}

@Test func timesAreThoseOfTheLibrary() {
  var random = SeededGenerator(7)
  for _ in 0..<2000 {
    var seconds = time_t(Int64.random(in: -62_167_219_200..<253_402_300_800, using: &random))
    var parts = tm()
    var buffer = [CChar](repeating: 0, count: 32)
    gmtime_r(&seconds, &parts)
    strftime(&buffer, buffer.count, "-%m-%dT%H:%M:%S.000Z", &parts)
    let rest = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let year = String(Int(parts.tm_year) + 1900 + 10_000).dropFirst()
    #expect(String(rfc3339Milliseconds: Int64(seconds) * 1000) == year + rest)
  }
}
