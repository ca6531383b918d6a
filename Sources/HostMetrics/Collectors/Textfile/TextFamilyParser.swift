// Reads the text format 0.0.4 into families, by the rules of prometheus/common's expfmt.TextParser, which is
// stricter than Prometheus' own parser: one HELP and one TYPE a family, before its samples; a newline at the end.
// https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md

import Bytes
import Exposition

/// One reading of a text.
struct TextFamilyParser {
  private var families: [TextFamily] = []
  private var places: [String: Int] = [:]
  /// Where a family's series with pointwise values stand, by their labels.
  private var pointwise: [String: Int] = [:]
  private var lineNumber = 0

  /// The families in the text that have samples, in the order of their names.
  static func parse(_ text: RawSpan) throws(TextFamilyError) -> [TextFamily] {
    var parser = TextFamilyParser()
    try parser.take(text) { error throws(TextFamilyError) in throw error }
    return parser.taken
  }

  /// What can be taken of a text: the families, and how many lines were left out, by the reason. Of a histogram or a
  /// summary all or nothing is taken.
  static func salvage(_ text: RawSpan) -> (families: [TextFamily], faults: [TextFault: Int]) {
    var parser = TextFamilyParser()
    var faults: [TextFault: Int] = [:]
    parser.take(text) { faults[$0.fault, default: 0] += 1 }
    return (parser.taken, faults)
  }

  private var taken: [TextFamily] {
    families.filter { !$0.series.isEmpty && !$0.isBroken }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  private mutating func take<E: Error>(
    _ text: RawSpan, onError report: (TextFamilyError) throws(E) -> Void
  ) throws(E) {
    var lines = ByteScanner(text)
    while let line = lines.line() {
      lineNumber += 1
      do throws(TextFamilyError) {
        guard text[lines.position - 1] == .newline else { throw error("unexpected end of input stream", .truncated) }
        try take(line)
      } catch {
        try report(error)
        breakFamily(of: line)
      }
    }
  }

  /// Marks the histogram or the summary that the line's sample is a part of.
  private mutating func breakFamily(of line: RawSpan) {
    var scanner = ByteScanner(line)
    scanner.skipBlanks()
    let start = scanner.position
    while let byte = scanner.next, byte != UInt8(ascii: "{"), byte != .space, byte != .tab { scanner.position += 1 }
    let name = String(utf8: line.extracting(start..<scanner.position))
    for ending in ["", "_sum", "_count", "_bucket"] where name.hasSuffix(ending) {
      if let place = places[String(name.dropLast(ending.count))], families[place].isPointwise {
        families[place].isBroken = true
      }
    }
  }

  private func error(_ reason: String, _ fault: TextFault = .syntax) -> TextFamilyError {
    TextFamilyError(fault: fault, line: lineNumber, reason: reason)
  }

  private mutating func take(_ line: RawSpan) throws(TextFamilyError) {
    var scanner = ByteScanner(line)
    scanner.skipBlanks()
    guard !scanner.isAtEnd else { return }
    if scanner.skip(UInt8(ascii: "#")) {
      try takeComment(&scanner)
    } else {
      try takeSample(&scanner)
    }
  }

  // MARK: HELP and TYPE

  private mutating func takeComment(_ scanner: inout ByteScanner) throws(TextFamilyError) {
    guard let keyword = scanner.field() else { return }
    let isHelp = keyword.equals("HELP")
    guard isHelp || keyword.equals("TYPE"), let field = scanner.field() else { return }
    guard Self.isName(field, allowsColon: true) else {
      throw error("invalid metric name in comment: \(String(utf8: field))")
    }
    scanner.skipBlanks()
    // Without anything behind the name it is a comment like any other.
    guard !scanner.isAtEnd else { return }
    let place = place(of: String(utf8: field))
    if isHelp {
      guard families[place].help == nil else {
        throw error("second HELP line for metric name \"\(families[place].name)\"", .metadata)
      }
      families[place].help = try Self.unescapedHelp(scanner.rest, lineNumber)
    } else {
      try takeType(scanner.rest, place)
    }
  }

  private mutating func takeType(_ text: RawSpan, _ place: Int) throws(TextFamilyError) {
    guard families[place].type == nil, families[place].series.isEmpty else {
      throw error(
        "second TYPE line for metric name \"\(families[place].name)\", or TYPE reported after samples", .metadata)
    }
    guard let type = MetricType(rawValue: String(utf8: text).lowercased()), type.isInTextFormat else {
      throw error("unknown metric type \"\(String(utf8: text))\"", .metadata)
    }
    families[place].type = type
  }

  private mutating func place(of name: String) -> Int {
    if let place = places[name] { return place }
    families.append(TextFamily(name: name))
    places[name] = families.count - 1
    return families.count - 1
  }

  private static func unescapedHelp(_ text: RawSpan, _ line: Int) throws(TextFamilyError) -> String {
    var bytes: [UInt8] = []
    var offset = 0
    while offset < text.byteCount {
      var byte = text[offset]
      if byte == UInt8(ascii: "\\") {
        offset += 1
        switch offset < text.byteCount ? text[offset] : 0 {
        case UInt8(ascii: "\\"): byte = UInt8(ascii: "\\")
        case UInt8(ascii: "n"): byte = .newline
        default: throw TextFamilyError(fault: .metadata, line: line, reason: "invalid escape sequence in help text")
        }
      }
      bytes.append(byte)
      offset += 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Samples

  private mutating func takeSample(_ scanner: inout ByteScanner) throws(TextFamilyError) {
    let start = scanner.position
    while let byte = scanner.next, byte != UInt8(ascii: "{"), byte != .space, byte != .tab { scanner.position += 1 }
    let field = scanner.bytes.extracting(start..<scanner.position)
    guard Self.isName(field, allowsColon: true) else { throw error("invalid metric name") }
    let name = String(utf8: field)
    scanner.skipBlanks()
    var labels: [TextFamily.Label] = []
    if scanner.skip(UInt8(ascii: "{")) { labels = try takeLabels(&scanner) }
    guard let text = scanner.field(), let value = number(text) else {
      throw error("expected float as value, got \"\(String(utf8: scanner.rest))\"", .value)
    }
    guard scanner.field() == nil else {
      throw error("contains unsupported client-side timestamps", .timestamp)
    }
    labels.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    for (label, next) in zip(labels, labels.dropFirst()) where label.name == next.name {
      throw error("duplicate label names for metric \"\(name)\"")
    }
    try add(name, labels, value)
  }

  private mutating func takeLabels(_ scanner: inout ByteScanner) throws(TextFamilyError) -> [TextFamily.Label] {
    var labels: [TextFamily.Label] = []
    while true {
      scanner.skipBlanks()
      if scanner.skip(UInt8(ascii: "}")) { return labels }
      let start = scanner.position
      while let byte = scanner.next, byte != UInt8(ascii: "="), byte != .space, byte != .tab { scanner.position += 1 }
      let name = scanner.bytes.extracting(start..<scanner.position)
      scanner.skipBlanks()
      guard Self.isName(name, allowsColon: false) else { throw error("invalid label name") }
      guard !name.equals("__name__") else { throw error("label name \"__name__\" is reserved") }
      guard scanner.skip(UInt8(ascii: "=")) else { throw error("expected '=' after label name") }
      scanner.skipBlanks()
      guard scanner.skip(UInt8(ascii: "\"")) else { throw error("expected '\"' at start of label value") }
      labels.append(TextFamily.Label(name: String(utf8: name), value: try takeLabelValue(&scanner)))
      scanner.skipBlanks()
      if !scanner.skip(UInt8(ascii: ",")) {
        guard scanner.next == UInt8(ascii: "}") else { throw error("unexpected end of label value") }
      }
    }
  }

  private func takeLabelValue(_ scanner: inout ByteScanner) throws(TextFamilyError) -> String {
    var bytes: [UInt8] = []
    while let byte = scanner.next {
      scanner.position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let value = String(validating: bytes, as: UTF8.self) else { throw error("invalid label value") }
        return value
      case UInt8(ascii: "\\"):
        switch scanner.next {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes.append(scanner.next ?? byte)
        case UInt8(ascii: "n"): bytes.append(.newline)
        default: throw error("invalid escape sequence in label value")
        }
        scanner.position += 1
      default: bytes.append(byte)
      }
    }
    throw error("label value contains unescaped new-line")
  }

  /// A number; hexadecimal ones are none here.
  private func number(_ text: RawSpan) -> Double? {
    guard text.firstIndex(of: UInt8(ascii: "x")) == nil, text.firstIndex(of: UInt8(ascii: "X")) == nil else {
      return nil
    }
    return Double(goSyntax: text)
  }

  // MARK: Where a sample belongs

  /// A part of a histogram or a summary, by the ending of its name.
  private enum Part { case point, sum, count }

  private mutating func add(_ name: String, _ labels: [TextFamily.Label], _ value: Double) throws(TextFamilyError) {
    if let place = places[name] {
      guard families[place].isPointwise else {
        families[place].series.append(TextFamily.Series(labels: labels, value: value))
        return
      }
      // Buckets are named x_bucket; a histogram's bare name says nothing.
      let isPoint = families[place].type == .summary
      return try add(isPoint ? .point : nil, to: place, labels, value)
    }
    let endings: [(ending: String, part: Part, types: [MetricType])] = [
      ("_sum", .sum, [.summary, .histogram]), ("_count", .count, [.summary, .histogram]),
      ("_bucket", .point, [.histogram]),
    ]
    for (ending, part, types) in endings where name.hasSuffix(ending) {
      if let place = places[String(name.dropLast(ending.count))], let type = families[place].type, types.contains(type)
      {
        return try add(part, to: place, labels, value)
      }
    }
    let place = place(of: name)
    families[place].series.append(TextFamily.Series(labels: labels, value: value))
  }

  private mutating func add(
    _ part: Part?, to place: Int, _ allLabels: [TextFamily.Label], _ value: Double
  ) throws(TextFamilyError) {
    let key = families[place].type == .summary ? "quantile" : "le"
    let labels = allLabels.filter { $0.name != key }
    let identity = "\(place)" + labels.map { "\u{0}\($0.name)\u{0}\($0.value)" }.joined()
    let index = pointwise[identity] ?? families[place].series.count
    if index == families[place].series.count {
      families[place].series.append(TextFamily.Series(labels: labels))
      pointwise[identity] = index
    }
    switch part {
    case .sum: families[place].series[index].sum = value
    case .count: families[place].series[index].count = Self.whole(value)
    case .point:
      guard let text = allLabels.first(where: { $0.name == key })?.value else { return }
      guard let point = number(text.utf8.span.bytes) else {
        throw error("expected float as value for \"\(key)\" label, got \"\(text)\"", .value)
      }
      // A NaN is no key, and no bound either.
      guard !point.isNaN else { return }
      families[place].series[index].points[point] = key == "le" ? Self.whole(value) : value
    case nil: break
    }
  }

  /// A count as Go makes it of a float: whole, not below 0.
  private static func whole(_ value: Double) -> Double { value > 0 && value < 0x1p64 ? value.rounded(.down) : 0 }

  /// Whether the bytes are a name: letters, digits, underscores, colons; no digit first.
  private static func isName(_ bytes: RawSpan, allowsColon: Bool) -> Bool {
    guard bytes.byteCount > 0, !bytes[0].isDigit else { return false }
    for offset in 0..<bytes.byteCount {
      let byte = bytes[offset]
      guard byte.isPartOfName || (allowsColon && byte == UInt8(ascii: ":")) else { return false }
    }
    return true
  }
}
