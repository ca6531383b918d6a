import Bytes
import Exposition
import Kernel

/// How a file of /proc/net/rpc is shown: lines of a key and numbers ("net 70 70 69 45"), of which each sample is one.
struct RPCTable: Sendable {
  struct Line: Sendable {
    let key: String
    /// The numbers that are shown, by their places, with the values of the family's labels.
    let samples: [(place: Int, family: MetricFamily, labels: [String])]
    /// How many numbers there must be.
    let width: Int
    /// Whether the first number says how many follow.
    let isCounted: Bool

    init(_ key: String, width: Int, _ samples: [(place: Int, family: MetricFamily, labels: [String])]) {
      self.key = key
      self.samples = samples
      self.width = width
      isCounted = false
    }

    /// A line that counts the calls of procedures: how many there are, then a number for each.
    ///
    /// - Parameters:
    ///   - procedures: their names, in the line's order; "-" for one that is not shown.
    ///   - required: how many there must be; older kernels have fewer than there are names.
    init(_ key: String, _ family: MetricFamily, proto: String, required: Int, _ procedures: String) {
      self.key = key
      samples = procedures.split(separator: " ").enumerated().compactMap { index, name in
        name == "-" ? nil : (place: index + 1, family: family, labels: [String(name), proto])
      }
      width = required + 1
      isCounted = true
    }
  }

  let lines: [Line]

  /// Writes all samples; those of lines that the kernel does not have are 0, as are procedures that it does not know.
  ///
  /// - Parameter path: for error messages.
  func write(_ bytes: RawSpan, of path: String, into writer: MetricWriter) throws {
    let values = try parse(bytes, of: path)
    for (line, numbers) in zip(lines, values) {
      for sample in line.samples {
        let value = sample.place < numbers.count ? numbers[sample.place] : 0
        writer.write(sample.family, sample.labels, Double(value))
      }
    }
  }

  /// The numbers of each of `lines`.
  private func parse(_ bytes: RawSpan, of path: String) throws -> [[UInt64]] {
    var values = [[UInt64]](repeating: [], count: lines.count)
    var scanner = ByteScanner(bytes)
    while let text = scanner.line() {
      var fields = ByteScanner(text)
      guard let key = fields.field() else { continue }
      let name = String(utf8: key)
      guard let place = lines.firstIndex(where: { $0.key == name }) else { continue }
      var numbers: [UInt64] = []
      // What is no number ends the line: "th 8 0 0.000 …".
      while let number = fields.unsigned() { numbers.append(number) }
      let line = lines[place]
      guard numbers.count >= line.width, !line.isCounted || numbers[0] == UInt64(numbers.count - 1) else {
        throw MalformedFile(path, "expected at least \(line.width) numbers", in: text)
      }
      values[place] = numbers
    }
    return values
  }
}
