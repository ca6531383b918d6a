import Bytes
import Testing

@testable import Exposition

private func problems(_ text: String) throws -> [String] {
  let bytes = Array(text.utf8)
  return try MetricLint(bytes.span.bytes).problems.map(\.description)
}

/// A family with help and type, and one sample.
private func family(_ name: String, _ type: String, _ sample: String = "") -> String {
  "# HELP \(name) h\n# TYPE \(name) \(type)\n\(sample.isEmpty ? name : sample) 1\n"
}

@Test(arguments: [
  ("a 1", ["a no help text"]), ("# HELP a \na 1", ["a no help text"]), ("# HELP a x\na 1", []), ("", []),
  (family("a", "counter"), ["a counter metrics should have \"_total\" suffix"]), (family("a_total", "counter"), []),
  (family("a_total", "gauge"), ["a_total non-counter metrics should not have \"_total\" suffix"]),
  (family("a_total", "untyped"), []),
  (
    family("a_timestamp_seconds", "summary"),
    ["a_timestamp_seconds non-gauge metrics should not have \"_timestamp_seconds\" suffix"]
  ),
  (family("a_bucket", "gauge"), ["a_bucket non-histogram metrics should not have \"_bucket\" suffix"]),
  (family("a_count", "gauge"), ["a_count non-histogram and non-summary metrics should not have \"_count\" suffix"]),
  (family("a_sum", "gauge"), ["a_sum non-histogram and non-summary metrics should not have \"_sum\" suffix"]),
  (family("a", "gauge", "a{le=\"1\"}"), ["a non-histogram metrics should not have \"le\" label"]),
  (
    family("a", "histogram", "a_bucket{le=\"1\",quantile=\"1\"}"),
    ["a non-summary metrics should not have \"quantile\" label"]
  ),
  (family("a", "histogram", "a_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 1\na_sum 1\na_count"), []),
  (family("a", "summary", "a{quantile=\"1\"} 1\na_sum 1\na_count"), []),
  (family("a_gauge", "gauge"), ["a_gauge metric name should not include type 'gauge'"]),
  (family("a:b", "gauge"), ["a:b metric names should not contain ':'"]),
  (family("aB", "gauge"), ["aB metric names should be written in 'snake_case' not 'camelCase'"]),
  (family("a", "gauge", "a{bC=\"1\"}"), ["a label names should be written in 'snake_case' not 'camelCase'"]),
  (family("a_ms", "gauge"), ["a_ms metric names should not contain abbreviated units"]),
  (family("a_kilobytes", "gauge"), ["a_kilobytes use base unit \"bytes\" instead of \"kilobytes\""]),
  (family("thermometers", "gauge"), []), (family("a_seconds", "gauge"), []),
  (family("a", "gauge", "a 1\na"), ["a metric not unique"]), (family("a", "gauge", "a 1 1\na 1 2\na{b=\"c\"}"), []),
])
func lints(_ text: String, _ expected: [String]) throws { #expect(try problems(text) == expected) }

@Test func lintsNothingThatIsNoExposition() {
  #expect(throws: ExpositionError.self) { try problems("a{ 1") }
}

@Test func countsSeries() throws {
  let bytes = Array((family("a", "gauge") + family("h", "histogram", "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count")).utf8)
  let counts = try MetricLint(bytes.span.bytes).cardinalities
  #expect(counts.map(\.name) == ["h", "a"] && counts.map(\.count) == [3, 1])
}

@Test(
  arguments: [
    ("a", true, true), ("_1", true, true), ("1a", false, true), ("a.b", false, true), ("é", false, true),
    ("", false, false), ("a:b", false, true),
  ] as [(String, Bool, Bool)])
func schemesAllowNames(_ name: String, _ legacy: Bool, _ utf8: Bool) {
  let bytes = Array(name.utf8)
  #expect(NameScheme.legacy.isLabelName(bytes.span.bytes) == legacy)
  #expect(NameScheme.utf8.isLabelName(bytes.span.bytes) == utf8)
}
