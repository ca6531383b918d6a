import Bytes

/// The kinds of metric: those of the text format 0.0.4, and three more that OpenMetrics has. What is `untyped` to the
/// one is `unknown` to the other.
public enum MetricType: String, Sendable {
  case counter, gauge, untyped, histogram, summary
  case gaugeHistogram = "gaugehistogram"
  case info, stateset

  /// Whether the text format 0.0.4 has it, too.
  public var isInTextFormat: Bool { self != .gaugeHistogram && self != .info && self != .stateset }
}

/// A metric's name, help text, type and label names, declared once; with the bytes that every sample of it shares
/// already rendered.
///
/// Text format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
public final class MetricFamily: Sendable {
  /// With an underscore for each character that the text format does not allow in a name: some names are made of what
  /// a file says. Clients of client_golang that do not ask for other names see the same.
  public let name: String
  public let help: String
  public let type: MetricType
  /// In byte order, which is the order in which a sample's values are given and written.
  public let labels: [String]

  /// `name` as bytes: families are ordered by it.
  let nameBytes: [UInt8]
  /// The HELP and TYPE lines.
  let head: [UInt8]
  /// What stands before each label value and before the number: `name{a="`, `",b="`, `"} `; or just `name `.
  let pieces: [[UInt8]]

  /// - Parameter labels: label names in byte order.
  public init(_ name: String, _ type: MetricType, _ help: String, labels: [String] = []) {
    assert(zip(labels, labels.dropFirst()).allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) }, name)
    let name = String(
      String.UnicodeScalarView(
        name.unicodeScalars.enumerated().map { $1.isPartOfName(first: $0 == 0) ? $1 : "_" }))
    self.name = name
    self.help = help
    self.type = type
    self.labels = labels
    nameBytes = Array(name.utf8)
    let escaped = help.utf8.reduce(into: [UInt8]()) { text, byte in
      switch byte {
      case UInt8(ascii: "\\"): text += Array(#"\\"#.utf8)
      case .newline: text += Array(#"\n"#.utf8)
      default: text.append(byte)
      }
    }
    head = Array("# HELP \(name) ".utf8) + escaped + Array("\n# TYPE \(name) \(type.rawValue)\n".utf8)
    var pieces = labels.enumerated().map { index, label in
      Array((index == 0 ? "\(name){\(label)=\"" : "\",\(label)=\"").utf8)
    }
    pieces.append(Array((labels.isEmpty ? "\(name) " : "\"} ").utf8))
    self.pieces = pieces
  }

  public static func counter(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    MetricFamily(name, .counter, help, labels: labels)
  }

  public static func gauge(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    MetricFamily(name, .gauge, help, labels: labels)
  }

  public static func untyped(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    MetricFamily(name, .untyped, help, labels: labels)
  }

  /// The HELP and TYPE lines of OpenMetrics. There a counter's family is named without its samples' `_total`; a
  /// counter that cannot be named so, because it has no `_total` or the shorter name is another family's, is unknown.
  func appendOpenMetricsHead(to output: inout ByteWriter, isTaken: (RawSpan) -> Bool) {
    let name = nameBytes
    var length = name.count
    var typeName = type == .untyped ? "unknown" : type.rawValue
    if type == .counter {
      let isTotal = name.span.bytes.ends(with: "_total") && length > 6
      if isTotal, !isTaken(name.span.bytes.extracting(0..<length - 6)) {
        length -= 6
      } else {
        typeName = "unknown"
      }
    }
    output.append("# HELP ")
    output.append(name.span.bytes.extracting(0..<length))
    output.append(.space)
    for byte in help.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): output.append(#"\\"#)
      case UInt8(ascii: "\""): output.append(#"\""#)
      case .newline: output.append(#"\n"#)
      default: output.append(byte)
      }
    }
    output.append("\n# TYPE ")
    output.append(name.span.bytes.extracting(0..<length))
    output.append(.space)
    output.append(typeName)
    output.append(.newline)
  }
}

extension Unicode.Scalar {
  /// Whether the text format allows it in a metric's name.
  fileprivate func isPartOfName(first isFirst: Bool) -> Bool {
    switch self {
    case "a"..."z", "A"..."Z", "_", ":": true
    case "0"..."9": !isFirst
    default: false
    }
  }
}
