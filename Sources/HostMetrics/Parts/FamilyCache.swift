import Bytes
import Exposition

/// The families of a file whose lines start with a key that becomes a metric's name (/proc/meminfo, /proc/vmstat):
/// made once for each key, found again by the line's position without a look-up.
struct FamilyCache {
  private var entries: [(key: [UInt8], family: MetricFamily?)] = []
  private let make: (String) -> MetricFamily?

  /// - Parameter make: gives the family of a key; nil when the key is not to be shown.
  init(make: @escaping (String) -> MetricFamily?) { self.make = make }

  /// The family of the key that stands in line `position`, counted from 0.
  mutating func family(of key: RawSpan, at position: Int) -> MetricFamily? {
    if position < entries.count {
      let entry = entries[position]
      if entry.key.span.bytes.equals(key) { return entry.family }
    } else if position > entries.count {
      return make(String(utf8: key))
    }
    let entry = (key: key.array, family: make(String(utf8: key)))
    if position < entries.count { entries[position] = entry } else { entries.append(entry) }
    return entry.family
  }

  /// Writes a sample for each line of a text such as "MemTotal:  3742148 kB" or "pgpgin 7344136" whose key has a
  /// family; what is in kB becomes bytes.
  ///
  /// - Parameters:
  ///   - path: of the text, for errors.
  ///   - skipped: how many fields stand before the key.
  ///   - labels: the values of the families' labels.
  mutating func write(
    _ text: RawSpan, of path: String, skipping skipped: Int = 0, labels: [String] = [], into writer: MetricWriter
  ) throws(MalformedFile) {
    var lines = ByteScanner(text)
    var position = -1
    while let line = lines.line() {
      position += 1
      var fields = ByteScanner(line)
      for _ in 0..<skipped { _ = fields.field() }
      guard let field = fields.field() else { continue }
      let key = field.ends(with: ":") ? field.extracting(0..<field.byteCount - 1) : field
      guard let family = family(of: key, at: position) else { continue }
      guard let value = fields.unsigned() else { throw MalformedFile(path, "expected a number", in: line) }
      let isKilobytes = fields.field()?.equals("kB") ?? false
      writer.write(family, labels, isKilobytes ? Double(value) * 1024 : Double(value))
    }
  }
}
