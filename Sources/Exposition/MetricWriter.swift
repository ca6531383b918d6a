import Bytes

/// Takes samples from one collector and keeps them as rendered lines of the text format 0.0.4.
///
/// A sample is opened by `begin`, gets one value for each label of its family, in the family's order, and is closed
/// by `end`. Lines are rendered at once into a buffer that is reused by the next scrape; nothing is allocated per
/// sample. `TextExposition` puts the lines of many writers into order.
///
///     writer.begin(Self.seconds)
///     writer.label(cpu)          // bytes, as the kernel gave them
///     writer.label("user")
///     writer.end(12.5)
///
/// A writer belongs to one thread at a time.
public final class MetricWriter {
  /// Where a rendered line stands in `text`, in bytes.
  struct Line {
    var start: Int32
    /// Where the labels start: behind the name.
    var labels: Int32
    /// Where the number starts, and so where the labels end.
    var value: Int32
    var end: Int32
    var labelCount: Int32 = 0
  }

  /// Successive lines of one family.
  struct Run {
    var family: MetricFamily
    var lines: Range<Int>
    /// Whether the lines already stand in the order in which they must be shown (histograms do).
    var isOrdered: Bool
  }

  // Unchecked: no method calls out of the writer while it changes one of these, and one thread uses it at a time; the
  // checks cost a tenth of what a sample costs.
  @exclusivity(unchecked) var text = ByteWriter()
  @exclusivity(unchecked) private(set) var lines: ContiguousArray<Line> = []
  @exclusivity(unchecked) private(set) var runs: ContiguousArray<Run> = []

  @exclusivity(unchecked) private var openLine = Line(start: 0, labels: 0, value: 0, end: 0)
  @exclusivity(unchecked) private var openLabels = 0

  public init() {}

  /// The number of samples.
  public var count: Int { lines.count }

  /// Forgets all samples, keeps the memory.
  public func removeAll() {
    text.removeAll()
    lines.removeAll(keepingCapacity: true)
    runs.removeAll(keepingCapacity: true)
  }

  /// Forgets what was written after the first `count` samples: what a collector that failed half-way wrote.
  public func truncate(to count: Int) {
    guard count < lines.count else { return }
    text.truncate(to: count == 0 ? 0 : Int(lines[count - 1].end))
    lines.removeLast(lines.count - count)
    while let last = runs.last, last.lines.upperBound > count {
      if last.lines.lowerBound >= count {
        runs.removeLast()
      } else {
        runs[runs.count - 1].lines = last.lines.lowerBound..<count
      }
    }
  }

  /// The rendered bytes of a range of `text`.
  func withText<R>(_ range: Range<Int32>, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    text.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[Int(range.lowerBound)..<Int(range.upperBound)])) }
  }

  // MARK: Samples

  /// Opens a sample of the family.
  @inline(__always)
  public func begin(_ family: MetricFamily) {
    openRun(of: family, isOrdered: false)
    let start = text.count
    text.append(family.pieces[0])
    openLine = Line(
      start: Int32(truncatingIfNeeded: start),
      labels: Int32(truncatingIfNeeded: start + family.nameBytes.count), value: 0, end: 0)
    openLabels = 1
  }

  /// The value of the next label.
  @inline(__always)
  public func label(_ value: RawSpan) {
    text.append(labelValue: value)
    closeLabel()
  }

  /// The value of the next label.
  @inline(__always)
  public func label(_ value: StaticString) {
    // Constants in the source need no escape.
    text.append(value)
    closeLabel()
  }

  /// The value of the next label.
  public func label(_ value: String) {
    text.append(labelValue: value.utf8.span.bytes)
    closeLabel()
  }

  /// The value of the next label.
  public func label(_ value: [UInt8]) { label(value.span.bytes) }

  /// The value of the next label: a whole number.
  public func label(_ value: Int) {
    text.append(decimal: Int64(value))
    closeLabel()
  }

  /// The sample's value, which closes it.
  @inline(__always)
  public func end(_ value: Double) {
    assert(openLabels == runs.last?.family.pieces.count, "a label value is missing or too many")
    openLine.value = Int32(truncatingIfNeeded: text.count)
    openLine.labelCount = Int32(truncatingIfNeeded: openLabels - 1)
    text.append(goFloat: value)
    closeLine()
  }

  /// The sample's value, which closes it. Beyond 2^53 it is rounded, as every sample is a double.
  @inline(__always)
  public func end(_ value: UInt64) { end(Double(value)) }

  /// A sample of a family without labels.
  public func sample(_ family: MetricFamily, _ value: Double) {
    begin(family)
    end(value)
  }

  /// A sample of a family without labels.
  public func sample(_ family: MetricFamily, _ value: UInt64) { sample(family, Double(value)) }

  /// A line of a histogram or a summary: its labels by name, in the order that they are to be shown in, and the
  /// name's ending (`_bucket`, `_sum`, `_count`, or none). Lines of one family are shown as they were written.
  public func orderedLine(
    _ family: MetricFamily, suffix: String, labels: [(name: String, value: String)], _ value: Double
  ) {
    openRun(of: family, isOrdered: true)
    let start = text.count
    text.append(family.nameBytes)
    text.append(suffix)
    let labelStart = text.count
    for (index, label) in labels.enumerated() {
      text.append(index == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
      text.append(label.name)
      text.append("=\"")
      text.append(labelValue: label.value.utf8.span.bytes)
      text.append(UInt8(ascii: "\""))
    }
    text.append(labels.isEmpty ? " " : "} ")
    openLine = Line(
      start: Int32(truncatingIfNeeded: start), labels: Int32(truncatingIfNeeded: labelStart),
      value: Int32(truncatingIfNeeded: text.count), end: 0, labelCount: Int32(truncatingIfNeeded: labels.count))
    text.append(goFloat: value)
    closeLine()
  }

  // MARK: Parts of a line

  @inline(__always)
  private func openRun(of family: MetricFamily, isOrdered: Bool) {
    if let last = runs.indices.last, runs[last].family === family { return }
    runs.append(Run(family: family, lines: lines.count..<lines.count, isOrdered: isOrdered))
  }

  @inline(__always)
  private func closeLabel() {
    let family = runs[runs.count - 1].family
    precondition(openLabels < family.pieces.count, "more label values than the family has labels")
    text.append(family.pieces[openLabels])
    openLabels += 1
  }

  @inline(__always)
  private func closeLine() {
    text.append(.newline)
    openLine.end = Int32(truncatingIfNeeded: text.count)
    lines.append(openLine)
    runs[runs.count - 1].lines = runs[runs.count - 1].lines.lowerBound..<lines.count
  }
}

extension ByteWriter {
  /// A label value: `\`, `"` and newline escaped, ill-formed UTF-8 replaced by U+FFFD.
  public mutating func append(labelValue value: RawSpan) {
    guard value.needsCare else { return append(value) }
    // The rare case may allocate: String does the replacement.
    for byte in String(utf8: value).utf8 {
      switch byte {
      case UInt8(ascii: "\\"): append(#"\\"#)
      case UInt8(ascii: "\""): append(#"\""#)
      case .newline: append(#"\n"#)
      default: append(byte)
      }
    }
  }
}

extension RawSpan {
  /// Whether any byte must be escaped or is not ASCII.
  fileprivate var needsCare: Bool {
    for offset in 0..<byteCount {
      let byte = unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      if byte >= 0x80 || byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\"") || byte == .newline { return true }
    }
    return false
  }
}
