// What goes against the conventions for metrics (https://prometheus.io/docs/practices/naming/), by the rules of
// promlint in client_golang and in its words.

import Bytes

/// Looks at all families of a text exposition.
public struct MetricLint {
  public struct Problem: Hashable, Comparable, CustomStringConvertible, Sendable {
    public let metric: String
    public let text: String

    public var description: String { "\(metric) \(text)" }

    public static func < (left: Problem, right: Problem) -> Bool {
      (left.metric, left.text) < (right.metric, right.text)
    }
  }

  private var families: [LintedFamily] = []
  private var places: [String: Int] = [:]

  /// - Throws: when the text is no exposition.
  public init(_ text: RawSpan) throws(ExpositionError) {
    var parser = TextParser(text)
    while let entry = try parser.next() {
      switch entry {
      case .help:
        let place = family(parser.familyName)
        families[place].hasHelp = families[place].hasHelp || !parser.text.isEmpty
      case .type: families[family(parser.familyName)].type = parser.type
      case .unit: break
      case .sample:
        try parser.readSeries()
        try parser.readValue()
        var labels = LabelSet()
        parser.appendLabels(to: &labels)
        add(labels, parser.timestamp)
      }
    }
  }

  private mutating func family(_ name: String) -> Int {
    if let place = places[name] { return place }
    places[name] = families.count
    families.append(LintedFamily(name))
    return families.count - 1
  }

  private mutating func add(_ labels: LabelSet, _ timestamp: Int64?) {
    var labels = labels
    guard let index = labels.index(of: "__name__") else { return }
    let name = String(utf8: labels.value(at: index))
    labels.remove(at: index)
    labels.sort()
    let place = owner(of: name) ?? family(name)
    families[place].add(labels, timestamp)
  }

  /// The histogram or the summary of which a sample is a part.
  private func owner(of name: String) -> Int? {
    guard places[name] == nil else { return nil }
    for (suffix, types) in [
      ("_bucket", [MetricType.histogram]), ("_count", [.histogram, .summary]), ("_sum", [.histogram, .summary]),
    ] where name.hasSuffix(suffix) {
      if let place = places[String(name.dropLast(suffix.count))], types.contains(families[place].type) { return place }
    }
    return nil
  }

  /// Ordered by metric, then by text.
  public var problems: [Problem] {
    families.filter { $0.count > 0 }.flatMap { family in
      family.problems.map { Problem(metric: family.name, text: $0) }
    }.sorted()
  }

  /// How many series each family has, the largest first.
  public var cardinalities: [(name: String, count: Int)] {
    families.filter { $0.count > 0 }.map { ($0.name, $0.count) }.sorted { $0.count > $1.count }
  }
}

/// What is looked at of a family.
private struct LintedFamily {
  let name: String
  var hasHelp = false
  var type = MetricType.untyped
  private(set) var count = 0
  private var hasDuplicate = false
  /// The samples; of a histogram or a summary, all parts together are one.
  private var series: Set<LintedSeries> = []
  /// Each name once for each of those that has it, as promlint counts.
  private var labelNames: [String] = []

  private struct LintedSeries: Hashable {
    let labels: LabelSet
    let timestamp: Int64?
  }

  init(_ name: String) { self.name = name }

  mutating func add(_ labels: LabelSet, _ timestamp: Int64?) {
    count += 1
    var labels = labels
    let isPart = type == .histogram || type == .summary
    if isPart, let index = labels.index(of: type == .histogram ? "le" : "quantile") { labels.remove(at: index) }
    let isNew = series.insert(LintedSeries(labels: labels, timestamp: isPart ? nil : timestamp)).inserted
    if isPart, !isNew { return }
    hasDuplicate = hasDuplicate || !isNew
    for index in 0..<labels.count { labelNames.append(String(utf8: labels.name(at: index))) }
  }

  // MARK: Rules

  var problems: [String] {
    var problems: [String] = []
    if !hasHelp { problems.append("no help text") }
    if let (unit, base) = MetricUnits.unit(in: name), unit != base {
      problems.append("use base unit \"\(base)\" instead of \"\(unit)\"")
    }
    problems += problemsOfSuffix + problemsOfLabels + problemsOfWords
    if name.contains(":") { problems.append("metric names should not contain ':'") }
    if name.isCamelCase { problems.append("metric names should be written in 'snake_case' not 'camelCase'") }
    if hasDuplicate { problems.append("metric not unique") }
    return problems
  }

  /// Suffixes that belong to types. What has no type may have any.
  private var problemsOfSuffix: [String] {
    guard type != .untyped else { return [] }
    var problems: [String] = []
    if type == .counter, !name.hasSuffix("_total") {
      problems.append("counter metrics should have \"_total\" suffix")
    }
    let reserved: [(suffix: String, types: [MetricType], owner: String)] = [
      ("_total", [.counter], "non-counter"), ("_timestamp_seconds", [.gauge], "non-gauge"),
      ("_bucket", [.histogram], "non-histogram"), ("_count", [.histogram, .summary], "non-histogram and non-summary"),
      ("_sum", [.histogram, .summary], "non-histogram and non-summary"),
    ]
    for (suffix, types, owner) in reserved where name.hasSuffix(suffix) && !types.contains(type) {
      problems.append("\(owner) metrics should not have \"\(suffix)\" suffix")
    }
    return problems
  }

  private var problemsOfLabels: [String] {
    labelNames.flatMap { label in
      var problems: [String] = []
      if type != .untyped, type != .histogram, label == "le" {
        problems.append("non-histogram metrics should not have \"le\" label")
      }
      if type != .untyped, type != .summary, label == "quantile" {
        problems.append("non-summary metrics should not have \"quantile\" label")
      }
      if label.isCamelCase {
        problems.append("label names should be written in 'snake_case' not 'camelCase'")
      }
      return problems
    }
  }

  /// Words between underscores, the first of a name not counted.
  private var problemsOfWords: [String] {
    let words = "_" + name.lowercased() + "_"
    func holds(_ word: String) -> Bool { words.dropFirst(1).contains("_\(word)_") }
    return ["counter", "gauge", "summary", "histogram", "gauge_histogram"].filter(holds).map {
      "metric name should not include type '\($0)'"
    }
      + MetricUnits.abbreviations.filter(holds).map { _ in "metric names should not contain abbreviated units" }
  }
}

/// Units that names end in.
private enum MetricUnits {
  /// Each with the base unit to be used instead.
  private static let bases = [
    "amperes": "amperes", "bytes": "bytes", "celsius": "celsius", "grams": "grams", "joules": "joules",
    "kelvin": "kelvin", "meters": "meters", "metres": "metres", "seconds": "seconds", "volts": "volts",
    "minutes": "seconds", "hours": "seconds", "days": "seconds", "weeks": "seconds",
    "kelvins": "kelvin", "fahrenheit": "celsius", "rankine": "celsius",
    "inches": "meters", "yards": "meters", "miles": "meters",
    "bits": "bytes", "calories": "joules", "pounds": "grams", "ounces": "grams",
  ]
  private static let prefixes = [
    "", "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga",
    "gibi", "tera", "tebi", "peta", "pebi",
  ]
  static let abbreviations = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"]

  /// The first unit in a name, and its base unit.
  static func unit(in name: String) -> (unit: String, base: String)? {
    for word in name.split(separator: "_", omittingEmptySubsequences: false) {
      for prefix in prefixes where word.hasPrefix(prefix) {
        if let base = bases[String(word.dropFirst(prefix.count))] { return (String(word), base) }
      }
    }
    return nil
  }
}

extension String {
  /// A small letter with a capital behind it.
  fileprivate var isCamelCase: Bool {
    zip(utf8, utf8.dropFirst()).contains { $0 &- 0x61 < 26 && $1 &- 0x41 < 26 }
  }
}
