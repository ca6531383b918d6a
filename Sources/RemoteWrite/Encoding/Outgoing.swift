import Exposition

/// Samples that go out together, with what some of them carry.
package struct Outgoing: Sendable {
  /// Those of one series are in order of time.
  package var samples: [Sample]
  /// By ascending index of the sample.
  var attachments: [(sample: Int, content: Attachment.Content)] = []
  /// Where the samples of each group are that receivers judge together (`HAGroups`); empty: they are all of group 0.
  var groups: [(group: UInt32, range: Range<Int>)] = []
  /// Whether some were withheld before, for another replica was elected.
  var isRepeat = false

  package init(samples: [Sample]) { self.samples = samples }

  /// What the sample at `index` carries.
  @inline(__always)
  func attachments(of index: Int, from cursor: inout Int) -> Range<Int> {
    if attachments.isEmpty { return 0..<0 }
    while cursor < attachments.count, attachments[cursor].sample < index { cursor += 1 }
    var end = cursor
    while end < attachments.count, attachments[end].sample == index { end += 1 }
    return cursor..<end
  }

  /// Puts the samples of one series side by side, as they are ordered; the series by their number.
  package mutating func groupBySeries() {
    var keys: [UInt64] = []
    keys.reserveCapacity(samples.count)
    for (index, sample) in samples.enumerated() {
      keys.append(UInt64(sample.series.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: index)))
    }
    keys.sort()
    reorder(keys.lazy.map { Int(UInt32(truncatingIfNeeded: $0)) })
  }

  /// Puts the samples of one group side by side, otherwise as they are ordered.
  mutating func partition(_ group: (Sample) -> UInt32) {
    var keys: [(group: UInt32, index: Int)] = []
    keys.reserveCapacity(samples.count)
    for (index, sample) in samples.enumerated() { keys.append((group(sample), index)) }
    keys.sort { $0 < $1 }
    reorder(keys.lazy.map(\.index))
    groups = []
    for (place, key) in keys.enumerated() {
      if let last = groups.indices.last, groups[last].group == key.group {
        groups[last].range = groups[last].range.lowerBound..<place + 1
      } else {
        groups.append((key.group, place..<place + 1))
      }
    }
  }

  /// Puts at each place what was at the index that `order` has there.
  private mutating func reorder(_ order: some Collection<Int>) {
    samples = order.map { samples[$0] }
    guard !attachments.isEmpty else { return }
    var moved: [(sample: Int, content: Attachment.Content)] = []
    for (place, old) in order.enumerated() {
      var cursor = attachments.partitioningIndex { $0.sample >= old }
      for index in attachments(of: old, from: &cursor) { moved.append((place, attachments[index].content)) }
    }
    attachments = moved
  }
}

/// How much of each kind a request holds.
package struct RequestContent: Equatable, Sendable {
  package var samples = 0
  package var histograms = 0
  package var exemplars = 0

  package init() {}

  var isEmpty: Bool { samples + histograms == 0 }
}

/// What of the samples' company is sent.
package struct SendingOptions: Sendable {
  var sendsExemplars = false
  var sendsHistograms = false

  package init() {}
}
