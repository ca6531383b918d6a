import Bytes
import Exposition
import NIOCore

/// Cuts an exposition that comes in parts into whole lines or messages, for `SeriesCache` to read. Lines are read where
/// they stand; only what goes over the end of a part is copied.
struct ExpositionParts {
  /// What nobody can read before more comes is no longer than this, in bytes.
  private static let longestEntry = 128 << 20
  private static let keptCapacity = 1 << 20

  let format: ExpositionFormat
  let terms: SeriesCache.Terms
  /// What was not read yet.
  private var rest: [UInt8] = []
  /// Reading `rest` is tried when it is so long: it was tried before, and twice as much is worth another time.
  private var nextTry = 0

  init(_ format: ExpositionFormat, _ terms: SeriesCache.Terms) {
    self.format = format
    self.terms = terms
  }

  mutating func take(
    _ part: RawSpan, _ cache: inout SeriesCache, _ counts: inout SeriesCache.Counts
  ) throws(ScrapeError) {
    var start = 0
    if !rest.isEmpty {
      start = try completeRest(part, &cache, &counts)
      if !rest.isEmpty { return }
    }
    let left = part.extracting(start..<part.byteCount)
    let read = try cache.read(part: left, isLast: false, as: format, terms, counts: &counts)
    left.extracting(read..<left.byteCount).withUnsafeBytes { rest.append(contentsOf: $0) }
    nextTry = 0
  }

  /// Nothing more comes.
  mutating func end(_ cache: inout SeriesCache, _ counts: inout SeriesCache.Counts) throws(ScrapeError) {
    let last = rest
    rest = []
    _ = try cache.read(part: last.span.bytes, isLast: true, as: format, terms, counts: &counts)
  }

  /// Reads the entry that began in an earlier part; gives how much of this one belonged to it. `rest` is empty then, or
  /// holds all of this part.
  private mutating func completeRest(
    _ part: RawSpan, _ cache: inout SeriesCache, _ counts: inout SeriesCache.Counts
  ) throws(ScrapeError) -> Int {
    let missing = nextTry == 0 ? missing(part) : nil
    part.extracting(0..<(missing ?? part.byteCount)).withUnsafeBytes { rest.append(contentsOf: $0) }
    guard rest.count <= Self.longestEntry else { throw ScrapeError("a line or message is too long") }
    guard missing != nil || nextTry > 0 && rest.count >= nextTry else { return part.byteCount }
    var entries: [UInt8] = []
    swap(&entries, &rest)
    let read = try cache.read(part: entries.span.bytes, isLast: false, as: format, terms, counts: &counts)
    if read == entries.count, entries.capacity <= Self.keptCapacity {
      entries.removeAll(keepingCapacity: true)
      swap(&entries, &rest)
    }
    if read == entries.count || entries.isEmpty { return missing ?? part.byteCount }
    // A text in quotes goes on.
    rest = Array(entries[read...])
    if let missing { part.extracting(missing..<part.byteCount).withUnsafeBytes { rest.append(contentsOf: $0) } }
    nextTry = 2 * rest.count
    return part.byteCount
  }

  /// How much of the part belongs to the line or message that `rest` begins; nil: all of it, and that is not enough.
  private func missing(_ part: RawSpan) -> Int? {
    guard format == .protobuf else { return part.firstIndex(of: .newline).map { $0 + 1 } }
    let longestLength = 10
    var head = Array(rest.prefix(longestLength))
    part.extracting(first: longestLength).withUnsafeBytes { head.append(contentsOf: $0) }
    guard let end = head.span.bytes.endOfMessage(at: 0) else { return nil }
    let missing = end - rest.count
    return missing <= part.byteCount ? max(missing, 0) : nil
  }
}
