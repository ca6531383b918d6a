import Exposition
import NIOCore

/// Samples on their way: a stretch of the order in which samples were appended, or what is left of it.
///
/// A refused batch is cut in two to find what is refused; its parts are sent one after the other.
final class Batch {
  /// The two halves of a part that was refused.
  final class Halves {
    /// The first half, if it was refused: what becomes of it the second one decides.
    var refused: Part?
    var isFirstTaken = false
  }

  /// What is sent in one request.
  struct Part {
    var range: Range<Int>
    /// Nil: the whole batch.
    var halves: Halves?
    var isSecond = false
    /// What receivers judge it by (`HAGroups`).
    var group: UInt32
    /// Samples from before this were counted as too old.
    var cutoff = Int64.min
  }

  /// Where its samples stand among all.
  let range: Range<Ordinal>
  let outgoing: Outgoing
  /// Marks the batch's series in the sender's table.
  let mark: UInt8
  /// Whether the stretch holds samples of series with a backlog, which go another way.
  let overtakes: Bool

  /// The part that is on its way, and those that come after it, last first.
  var part: Part
  var rest: [Part] = []

  /// The part, encoded; nil when that has to be done (again).
  var body: ByteBuffer?
  var content = RequestContent()
  /// What the body is a message of.
  var version = RemoteWriteVersion.v1
  var oldest = Int64.min

  var isSending = false
  var attempt = 0
  /// How often the receiver took no new series of it.
  var slowAttempts = 0
  var backoff: Backoff
  /// When it may be sent again.
  var notBefore = NIODeadline.now()

  init(_ range: Range<Ordinal>, _ outgoing: Outgoing, mark: UInt8, overtakes: Bool, backoff: Backoff) {
    self.range = range
    self.outgoing = outgoing
    self.mark = mark
    self.overtakes = overtakes
    self.backoff = backoff
    // A receiver judges all of a request by its first series: no request holds two groups.
    var parts = outgoing.groups.map { Part(range: $0.range, group: $0.group) }
    part = parts.isEmpty ? Part(range: outgoing.samples.indices, group: 0) : parts.removeFirst()
    rest = parts.reversed()
  }

  /// Puts the halves of a part in front of what is left; false when it has but one sample.
  ///
  /// - Parameter isSearch: the part was refused, and the halves are to tell where; else it was only too long.
  func split(_ part: Part, isSearch: Bool = true) -> Bool {
    guard part.range.count > 1 else { return false }
    var middle = part.range.lowerBound + part.range.count / 2
    // A series stays whole, if it is not all there is: its samples must arrive in order.
    let samples = outgoing.samples
    while middle < part.range.upperBound, samples[middle].series == samples[middle - 1].series { middle += 1 }
    if middle == part.range.upperBound {
      // One series: a search would send its second half first.
      if isSearch { return false }
      middle = part.range.lowerBound + part.range.count / 2
    }
    // The other half of a search in which this part stood is asked on its own.
    if !isSearch, part.isSecond, let refused = part.halves?.refused {
      rest.append(Part(range: refused.range, group: part.group, cutoff: refused.cutoff))
    }
    var half = Part(range: middle..<part.range.upperBound, group: part.group, cutoff: part.cutoff)
    half.halves = isSearch ? Halves() : nil
    half.isSecond = true
    rest.append(half)
    half.range = part.range.lowerBound..<middle
    half.isSecond = false
    rest.append(half)
    return true
  }

  /// Moves on to the next part; false when there is none.
  func advance() -> Bool {
    body = nil
    attempt = 0
    guard let next = rest.popLast() else { return false }
    part = next
    return true
  }

  /// The part was taken.
  func take() {
    guard let halves = part.halves else { return }
    if !part.isSecond {
      halves.isFirstTaken = true
    } else if let refused = halves.refused, !split(refused) {
      dropped.append(refused.range)
    }
  }

  /// The part was refused: it is cut in two as long as that finds parts that are taken. When both halves are refused,
  /// so is all there is in them, and to ask further would only be a crowd of requests.
  func refuse() {
    guard let halves = part.halves else {
      if !split(part) { dropped.append(part.range) }
      return
    }
    if !part.isSecond {
      halves.refused = part
    } else if let refused = halves.refused {
      dropped += [refused.range, part.range]
    } else if !split(part) {
      dropped.append(part.range)
    }
  }

  /// Nothing of what is left will ever be taken.
  func giveUp() {
    if part.isSecond, let refused = part.halves?.refused { dropped.append(refused.range) }
    dropped.append(part.range)
    dropped += rest.map(\.range)
    rest = []
  }

  /// Samples that the receiver has refused for good, and how; the sender counts them and empties the list.
  var dropped: [Range<Int>] = []
  var refusal: (RemoteStatistics.Refusal, AnswerMeaning)?
}
