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
}
