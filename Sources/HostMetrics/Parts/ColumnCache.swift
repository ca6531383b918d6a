import Bytes
import Exposition

/// The families of tables whose heading names their columns (/proc/net/netstat): worked out once for a heading, found
/// again by its position among the headings, with one comparison for all columns.
struct ColumnCache {
  private var entries: [(heading: [UInt8], families: [MetricFamily?])] = []
  private let make: (String) -> [MetricFamily?]

  /// - Parameter make: gives the families of a heading's columns; nil for one that is not to be shown.
  init(make: @escaping (String) -> [MetricFamily?]) { self.make = make }

  /// The families of the heading that is number `position`, counted from 0, of those that are asked for.
  mutating func families(of heading: RawSpan, at position: Int) -> [MetricFamily?] {
    if position < entries.count {
      let entry = entries[position]
      if entry.heading.span.bytes.equals(heading) { return entry.families }
    }
    let entry = (heading: heading.array, families: make(String(utf8: heading)))
    if position < entries.count {
      entries[position] = entry
    } else if position == entries.count {
      entries.append(entry)
    }
    return entry.families
  }
}
