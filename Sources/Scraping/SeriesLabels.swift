import Bytes
import Exposition

/// The labels under which an exposed series is stored: its own and those of its target, as Prometheus merges them
/// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config, `honor_labels`).
extension LabelSet {
  /// Adds the labels of the target, orders all, and checks that the result can be stored.
  ///
  /// Without `honorLabels` the target's labels win, and an exposed label in conflict becomes `exported_<name>`; with
  /// it the exposed labels win, empty ones too: an exposed `job=""` leaves the series without a job.
  mutating func add(target: LabelSet, honorLabels: Bool) throws(ScrapeError) {
    var conflicts: [(name: [UInt8], value: [UInt8])] = []
    var added = LabelSet()
    for index in 0..<target.count {
      let exposed = self.index(of: target.name(at: index))
      if honorLabels, exposed != nil { continue }
      if let exposed, value(at: exposed).byteCount > 0 {
        conflicts.append((target.name(at: index).array, value(at: exposed).array))
      }
      added.append(target.name(at: index), target.value(at: index))
    }
    removeEmptyNames()
    for index in 0..<added.count {
      removeAll(named: added.name(at: index))
      append(added.name(at: index), added.value(at: index))
    }
    // Shorter names first: their new names may be in the way of longer ones.
    for length in Set(conflicts.map(\.name.count)).sorted() {
      for conflict in conflicts where conflict.name.count == length {
        var name = conflict.name
        repeat { name = Array("exported_".utf8) + name } while index(of: name.span.bytes) != nil
        append(name.span.bytes, conflict.value.span.bytes)
      }
    }
    try arrange()
  }

  /// Orders the labels, and checks that they can be stored.
  mutating func arrange() throws(ScrapeError) {
    sort()
    try check()
  }

  private func check() throws(ScrapeError) {
    guard index(of: "__name__") != nil else { throw ScrapeError("missing metric name (__name__ label)") }
    for index in 0..<count {
      guard name(at: index).byteCount > 0, name(at: index).isUTF8, value(at: index).isUTF8 else {
        throw invalidNames
      }
      if index > 0, name(at: index).equals(name(at: index - 1)) {
        throw ScrapeError("label name \"\(String(utf8: name(at: index)))\" is not unique: invalid sample")
      }
    }
  }

  var invalidNames: ScrapeError { ScrapeError("invalid metric name or label names: \(self)") }

  /// Removes labels without a value, and others of the same name.
  private mutating func removeEmptyNames() {
    while let empty = (0..<count).first(where: { value(at: $0).byteCount == 0 }) {
      let name = name(at: empty).array
      removeAll(named: name.span.bytes)
    }
  }

  private mutating func removeAll(named name: RawSpan) {
    while let index = index(of: name) { remove(at: index) }
  }
}
