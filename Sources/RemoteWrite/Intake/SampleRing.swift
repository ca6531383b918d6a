import Exposition

/// The newest samples, in memory: what remotes that keep up are sent from. 24 bytes a sample.
///
/// It grows while a remote has not taken what it holds, up to a limit; then the oldest samples go. With the log they
/// are read from there; without it they are lost.
struct SampleRing {
  private static let none = Sample(series: SeriesID(rawValue: 0), timestamp: 0, value: 0)
  private static let smallest = 1 << 12

  /// A power of two long.
  private var storage: [Sample] = Array(repeating: none, count: smallest)
  /// What samples carry, by ascending ordinal.
  private(set) var attachments: [(ordinal: Ordinal, content: Attachment.Content)] = []
  private var firstAttachment = 0
  /// The oldest sample that is held.
  private(set) var start: Ordinal
  /// The ordinal that the next sample gets.
  private(set) var end: Ordinal
  /// Samples that may be held; rounded down to a power of two.
  var limit: Int

  init(end: Ordinal, limit: Int) {
    start = end
    self.end = end
    self.limit = limit
  }

  var capacity: Int { storage.count }

  @inline(__always)
  subscript(_ ordinal: Ordinal) -> Sample { storage[Int(truncatingIfNeeded: ordinal) & (storage.count - 1)] }

  /// Nil when the sample is not held.
  func timestamp(of ordinal: Ordinal) -> Int64? {
    ordinal >= start && ordinal < end ? self[ordinal].timestamp : nil
  }

  /// Appends samples and what they carry; `wanted`: the oldest sample that a remote still wants from here.
  mutating func append(_ samples: ArraySlice<Sample>, _ carried: ArraySlice<Attachment>, offset: Int, wanted: Ordinal) {
    start = max(start, min(wanted, end))
    let needed = Int(end - start) + samples.count
    if needed > storage.count { resize(to: min(needed, max(limit, Self.smallest))) }
    for attachment in carried {
      if case .start = attachment.content { continue }
      attachments.append((end + Ordinal(attachment.sample - offset), attachment.content))
    }
    let mask = storage.count - 1
    var place = Int(truncatingIfNeeded: end)
    for sample in samples {
      storage[place & mask] = sample
      place += 1
    }
    end += Ordinal(samples.count)
    if end - start > Ordinal(storage.count) { start = end - Ordinal(storage.count) }
    forgetAttachments()
  }

  /// What the samples of a range carry.
  func attachments(in range: Range<Ordinal>) -> ArraySlice<(ordinal: Ordinal, content: Attachment.Content)> {
    let live = attachments[firstAttachment...]
    guard let last = live.last, last.ordinal >= range.lowerBound else { return live[live.endIndex...] }
    let lower = live.partitioningIndex { $0.ordinal >= range.lowerBound }
    let upper = live.partitioningIndex { $0.ordinal >= range.upperBound }
    return live[lower..<upper]
  }

  /// Gives memory back that a backlog took.
  mutating func shrink(wanted: Ordinal) {
    start = max(start, min(wanted, end))
    let needed = max(Int(end - start) * 4, Self.smallest)
    if needed <= storage.count / 2 { resize(to: needed) }
  }

  private mutating func forgetAttachments() {
    while firstAttachment < attachments.count, attachments[firstAttachment].ordinal < start { firstAttachment += 1 }
    if firstAttachment > 64, firstAttachment * 2 > attachments.count {
      attachments.removeFirst(firstAttachment)
      firstAttachment = 0
    }
  }

  /// Makes room for `wish` samples, or as many as the limit allows; the newest stay.
  private mutating func resize(to wish: Int) {
    var size = Self.smallest
    while size < wish { size *= 2 }
    if size > max(limit, Self.smallest), size > Self.smallest { size /= 2 }
    guard size != storage.count else { return }
    var moved = Array(repeating: Self.none, count: size)
    if end - start > Ordinal(size) { start = end - Ordinal(size) }
    for ordinal in start..<end { moved[Int(truncatingIfNeeded: ordinal) & (size - 1)] = self[ordinal] }
    storage = moved
  }
}

extension RandomAccessCollection {
  /// The first index whose element has the property; all behind it have it as well.
  func partitioningIndex(where hasProperty: (Element) -> Bool) -> Index {
    var low = startIndex
    var count = self.count
    while count > 0 {
      let half = count / 2
      let middle = index(low, offsetBy: half)
      if hasProperty(self[middle]) {
        count = half
      } else {
        low = index(after: middle)
        count -= half + 1
      }
    }
    return low
  }
}
