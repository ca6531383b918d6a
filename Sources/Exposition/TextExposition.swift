import Bytes

/// Puts what many collectors wrote into one exposition: families by name, the series of a family by label values, no
/// series twice.
///
/// Only ranges of bytes are moved. When the same families come in the same order as last time, which is the steady
/// state, nothing is compared but their identity.
public final class TextExposition {
  /// A line and the writer that holds it.
  private struct LineReference {
    var writer: Int32
    var line: Int32
  }

  private struct RunReference {
    var writer: Int
    var run: Int
  }

  private var writers: [MetricWriter] = []
  private var runs: ContiguousArray<RunReference> = []
  private var families: ContiguousArray<MetricFamily> = []
  private var order: ContiguousArray<Int> = []
  private var lines: ContiguousArray<LineReference> = []
  private var format = ExpositionFormat.text
  private var protobuf = ProtobufEncoder()

  /// Families of which a series was refused in the last rendering because it was there already.
  public private(set) var duplicates: [String] = []

  public init() {}

  /// Writes the exposition of `writers` to `output`.
  ///
  /// Of two equal series the first stays: the writer that stands earlier in `writers` wins, and its help text and
  /// type too. Collectors of the kernel's values stand before those of files.
  public func render(
    _ writers: [MetricWriter], as format: ExpositionFormat = .text, into output: inout ByteWriter
  ) {
    self.writers = writers
    self.format = format
    duplicates.removeAll(keepingCapacity: true)
    collectRuns()
    var position = 0
    while position < order.count {
      let family = families[order[position]]
      var end = position + 1
      while end < order.count, families[order[end]].hasSameName(as: family) { end += 1 }
      render(family, order[position..<end], into: &output)
      position = end
    }
    if format == .openMetrics { output.append("# EOF\n") }
    // The caller shares the array: to empty it with its capacity would make a new one.
    self.writers = []
  }

  /// Lists all runs and finds the order of their families by name.
  private func collectRuns() {
    runs.removeAll(keepingCapacity: true)
    var isAsLastTime = true
    for (writerIndex, writer) in writers.enumerated() {
      for (runIndex, run) in writer.runs.enumerated() {
        let position = runs.count
        if position >= families.count {
          families.append(run.family)
          isAsLastTime = false
        } else if families[position] !== run.family {
          families[position] = run.family
          isAsLastTime = false
        }
        runs.append(RunReference(writer: writerIndex, run: runIndex))
      }
    }
    if isAsLastTime, families.count == runs.count { return }
    families.removeLast(families.count - runs.count)
    order.removeAll(keepingCapacity: true)
    order.append(contentsOf: runs.indices)
    order.sort { left, right in
      let order = families[left].compareName(with: families[right])
      return order == 0 ? left < right : order < 0
    }
  }

  private func render(_ family: MetricFamily, _ members: ArraySlice<Int>, into output: inout ByteWriter) {
    lines.removeAll(keepingCapacity: true)
    var isOrdered = true
    for member in members {
      let reference = runs[member]
      let run = writers[reference.writer].runs[reference.run]
      isOrdered = isOrdered && run.isOrdered
      for line in run.lines {
        lines.append(LineReference(writer: Int32(reference.writer), line: Int32(line)))
      }
    }
    guard !lines.isEmpty else { return }
    if !isOrdered { sortLines(of: family) }
    switch format {
    case .text:
      output.append(family.head)
      appendLines(to: &output)
    case .openMetrics:
      family.appendOpenMetricsHead(to: &output, isTaken: { self.hasFamily(named: $0) })
      appendLines(to: &output)
    case .protobuf:
      protobuf.begin(family)
      for reference in lines {
        let writer = writers[Int(reference.writer)]
        let line = writer.lines[Int(reference.line)]
        writer.text.withBytes { text in
          protobuf.add(text.extracting(Int(line.start)..<Int(line.end)), nameLength: family.nameBytes.count)
        }
      }
      protobuf.end(into: &output)
    }
  }

  /// Whether there is a family of that name; families stand in `order` by name.
  private func hasFamily(named name: RawSpan) -> Bool {
    var (low, high) = (0, order.count)
    while low < high {
      let middle = (low + high) / 2
      if families[order[middle]].compareName(with: name) < 0 { low = middle + 1 } else { high = middle }
    }
    return low < order.count && families[order[low]].compareName(with: name) == 0
  }

  /// Orders the lines of one family by label values and drops those that are there already.
  private func sortLines(of family: MetricFamily) {
    guard (1..<lines.count).contains(where: { compare(lines[$0 - 1], lines[$0]) >= 0 }) else { return }
    lines.sort { left, right in
      let order = compare(left, right)
      return order == 0 ? (left.writer, left.line) < (right.writer, right.line) : order < 0
    }
    var kept = 1
    for index in 1..<lines.count {
      if compare(lines[kept - 1], lines[index]) == 0 {
        duplicates.append(family.name)
      } else {
        lines[kept] = lines[index]
        kept += 1
      }
    }
    lines.removeLast(lines.count - kept)
  }

  /// Copies the lines, neighbours in one piece.
  private func appendLines(to output: inout ByteWriter) {
    var start = 0
    while start < lines.count {
      let writer = writers[Int(lines[start].writer)]
      let first = writer.lines[Int(lines[start].line)]
      var last = first
      var next = start + 1
      while next < lines.count, lines[next].writer == lines[start].writer,
        writer.lines[Int(lines[next].line)].start == last.end
      {
        last = writer.lines[Int(lines[next].line)]
        next += 1
      }
      writer.withText(first.start..<last.end) { output.append($0) }
      start = next
    }
  }

  private func compare(_ left: LineReference, _ right: LineReference) -> Int {
    let (leftWriter, rightWriter) = (writers[Int(left.writer)], writers[Int(right.writer)])
    let (leftLine, rightLine) = (leftWriter.lines[Int(left.line)], rightWriter.lines[Int(right.line)])
    // client_golang puts the series with fewer labels first.
    if leftLine.labelCount != rightLine.labelCount { return Int(leftLine.labelCount - rightLine.labelCount) }
    return leftWriter.withText(leftLine.labels..<leftLine.value) { left in
      rightWriter.withText(rightLine.labels..<rightLine.value) { right in compareLabels(left, right) }
    }
  }
}

extension MetricFamily {
  fileprivate func compareName(with other: MetricFamily) -> Int {
    let (name, otherName) = (nameBytes, other.nameBytes)
    return name.span.bytes.compare(otherName.span.bytes)
  }

  fileprivate func compareName(with name: RawSpan) -> Int {
    let ownName = nameBytes
    return ownName.span.bytes.compare(name)
  }

  fileprivate func hasSameName(as other: MetricFamily) -> Bool { self === other || nameBytes == other.nameBytes }
}

/// The order of two rendered label lists with the same label names: that of their values, one after the other, as
/// client_golang orders the series of a family. Negative: left comes first; 0: equal.
///
/// Values are escaped and end in a quote; the quote orders before every byte of a longer value, and an escape as
/// the byte that it stands for.
private func compareLabels(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
  let shared = min(left.count, right.count)
  var offset = 0
  while offset < shared, left[offset] == right[offset] { offset += 1 }
  guard offset < shared else { return left.count - right.count }
  func order(of label: UnsafeRawBufferPointer) -> Int {
    var byte = label[offset]
    var backslashes = 0
    while backslashes < offset, label[offset - 1 - backslashes] == UInt8(ascii: "\\") { backslashes += 1 }
    if backslashes % 2 == 0 {
      if byte == UInt8(ascii: "\"") { return -1 }
      guard byte == UInt8(ascii: "\\"), offset + 1 < label.count else { return Int(byte) }
      byte = label[offset + 1]
    }
    return byte == UInt8(ascii: "n") ? Int(UInt8.newline) : Int(byte)
  }
  return order(of: left) - order(of: right)
}
