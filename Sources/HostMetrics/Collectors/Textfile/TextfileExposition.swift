// Puts the families of many text files together, as node_exporter and client_golang show them.

import Bytes
import Exposition

/// What the files say, made ready once and written at each scrape.
struct TextfileExposition {
  /// A counter's, gauge's or untyped metric's samples in one file, all with the same label names.
  private struct Plain {
    let family: MetricFamily
    var samples: [(values: [String], value: Double)]
  }

  /// A histogram or a summary in one or more files: its lines in the order in which they are shown.
  private struct Pointwise {
    let family: MetricFamily
    var lines: [(suffix: String, labels: [(name: String, value: String)], value: Double)]
  }

  private var plain: [Plain] = []
  private var pointwise: [Pointwise] = []
  /// Families that are left out because they contradict those of an earlier file or need too much padding.
  private(set) var problems: [(path: String, reason: String)] = []

  /// How many empty labels may be added to the series of all files. Without a bound a short file whose series all
  /// have other label names would fill the memory: n series get n² labels.
  private static let paddingLimit = 4 << 20

  /// - Parameter contents: an earlier file's help text and type win.
  init(_ contents: [Textfile.Content]) {
    var padding = 0
    var parts: [String: [TextFamily]] = [:]
    var sources: [String: [String]] = [:]
    var names: [String] = []
    for content in contents {
      for family in content.families {
        let earlier = parts[family.name, default: []]
        if let problem = Self.contradiction(of: family, to: earlier, in: content.path) {
          problems.append((content.path, problem))
          continue
        }
        let needed = Self.padding(of: family)
        guard needed <= Self.paddingLimit - padding else {
          problems.append((content.path, "label names of \(family.name) differ too much in \(content.path)"))
          continue
        }
        padding += needed
        if earlier.isEmpty { names.append(family.name) }
        parts[family.name, default: []].append(family)
        sources[family.name, default: []].append(content.path)
      }
    }
    for name in names {
      guard let families = parts[name], let paths = sources[name] else { continue }
      let help = families.compactMap(\.help).first ?? "Metric read from \(paths.joined(separator: ", "))"
      add(families, name, help)
    }
  }

  private static func contradiction(of family: TextFamily, to earlier: [TextFamily], in path: String) -> String? {
    if let help = family.help, let other = earlier.compactMap(\.help).first, help != other {
      return "inconsistent metric help text: \(family.name) in \(path) has \"\(help)\", an earlier file \"\(other)\""
    }
    if let first = earlier.first, first.type ?? .untyped != family.type ?? .untyped {
      return "inconsistent metric type: \(family.name) in \(path) is not what it is in an earlier file"
    }
    return nil
  }

  private mutating func add(_ families: [TextFamily], _ name: String, _ help: String) {
    let type = families.first?.type ?? .untyped
    if families.first?.isPointwise == true {
      // Each file's series have that file's label names; all are shown in the order of their values.
      let padded = families.flatMap { family in
        let labels = Self.labelNames(family)
        return family.series.map { (labels: Self.pairs($0, labels), series: $0) }
      }
      let ordered = padded.enumerated().sorted { left, right in
        let (a, b) = (left.element.labels.map(\.value), right.element.labels.map(\.value))
        return a == b ? left.offset < right.offset : a.lexicographicallyPrecedes(b, by: Self.precedes)
      }
      var lines = Pointwise(family: MetricFamily(name, type, help), lines: [])
      var last: [String]?
      for (_, entry) in ordered {
        let identity = entry.labels.flatMap { [$0.name, $0.value] }
        // Of two with the same labels the first counts.
        if identity != last { lines.lines += Self.lines(entry.series, entry.labels, type) }
        last = identity
      }
      pointwise.append(lines)
    } else {
      for family in families {
        let labels = Self.labelNames(family)
        let samples = family.series.map { series in (Self.pairs(series, labels).map(\.value), series.value) }
        plain.append(
          Plain(
            family: MetricFamily(name, type, help, labels: labels),
            samples: samples.sorted { $0.0.lexicographicallyPrecedes($1.0, by: Self.precedes) }))
      }
    }
  }

  /// All label names of a family in one file, in byte order: series without one have it empty.
  private static func labelNames(_ family: TextFamily) -> [String] {
    Set(family.series.flatMap { $0.labels.map(\.name) }).sorted(by: precedes)
  }

  /// How many labels the series of a family lack to have the same names.
  private static func padding(of family: TextFamily) -> Int {
    labelNames(family).count * family.series.count - family.series.reduce(0) { $0 + $1.labels.count }
  }

  /// Both the series' labels and the names are in byte order.
  private static func pairs(_ series: TextFamily.Series, _ names: [String]) -> [(name: String, value: String)] {
    var labels = series.labels[...]
    return names.map { name in (name, labels.first?.name == name ? labels.removeFirst().value : "") }
  }

  private static func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
  }

  /// A histogram's or a summary's lines in the order of client_golang's text encoder.
  private static func lines(
    _ series: TextFamily.Series, _ labels: [(name: String, value: String)], _ type: MetricType
  ) -> [(suffix: String, labels: [(name: String, value: String)], value: Double)] {
    var points = series.points
    let isHistogram = type == .histogram
    if isHistogram, points[.infinity] == nil { points[.infinity] = series.count }
    var lines = points.sorted { $0.key < $1.key }.map { bound, value in
      (
        suffix: isHistogram ? "_bucket" : "",
        labels: labels + [(isHistogram ? "le" : "quantile", goText(of: bound))], value: value
      )
    }
    lines.append(("_sum", labels, series.sum))
    lines.append(("_count", labels, series.count))
    return lines
  }

  private static func goText(of value: Double) -> String {
    var text = ByteWriter(capacity: 64)
    text.append(goFloat: value)
    return String(utf8: text.bytes)
  }

  func write(to writer: MetricWriter) {
    for part in plain {
      for sample in part.samples {
        writer.begin(part.family)
        for value in sample.values { writer.label(value) }
        writer.end(sample.value)
      }
    }
    for part in pointwise {
      for line in part.lines {
        writer.orderedLine(part.family, suffix: line.suffix, labels: line.labels, line.value)
      }
    }
  }
}
