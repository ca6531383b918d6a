import Bytes
import Exposition
import HTTPClient
import NIOCore

/// Replicas of which the receiver takes one: the election by (`cluster`, `__replica__`) of Cortex, Mimir and AMP
/// (https://cortexmetrics.io/docs/guides/ha-pair-handling/).
///
/// A receiver answers 202 to a replica that it has not elected, and stores nothing. When it has not heard of the elected
/// one for 30 s, it elects the next that comes: what that one was answered 202 meanwhile is what is missing. So a
/// standby lets samples go only when they are older than `standbyWindow` at an answer 202: since such an answer says
/// that the elected replica was heard of in the last 30 s, it has delivered its own.
///
/// A standby sends nothing but its oldest kept sample, again and again. When that is not answered 202, the sender goes
/// back to that sample's place in the order and sends from there what was withheld, from memory or from the log. So
/// samples arrive in order, nothing is copied, and a cursor that stays behind by as much makes it hold over a restart.
final class Standby {
  /// A place among withheld samples.
  struct Mark {
    let ordinal: Ordinal
    /// When the samples before it had come in, at the latest; milliseconds since the epoch.
    let time: Int64
    /// The sample there.
    let outgoing: Outgoing
  }

  private static let mostMarks = 128

  let group: UInt32
  let cluster: String
  let since = ContinuousClock.now
  private let window: Int64
  private let markInterval: Int64
  /// Ascending. The first is the oldest sample that is kept.
  private(set) var marks: [Mark] = []
  /// Of all that was withheld.
  private var newest = Int64.min
  /// When the receiver said last that another replica is elected.
  private var lastDenial = Int64.min

  var isAsking = false
  var nextQuestion = NIODeadline.now()

  init(_ group: UInt32, cluster: String, window: Duration, interval: Duration) {
    self.group = group
    self.cluster = cluster
    self.window = window.milliseconds
    markInterval = max(interval.milliseconds, window.milliseconds / 64)
  }

  /// A sample is withheld; whether it is to be marked.
  @inline(__always)
  func withhold(_ sample: Sample, _ now: Int64) -> Bool {
    newest = max(newest, sample.timestamp)
    // Samples of a backlog came in before now.
    return marks.last.map { min(now, newest) >= $0.time &+ markInterval } ?? true
  }

  /// Marks a withheld sample; those that are on their way come before the others.
  func mark(_ ordinal: Ordinal, _ outgoing: Outgoing, _ now: Int64, _ table: inout LabelTable) {
    let mark = Mark(ordinal: ordinal, time: min(now, newest), outgoing: outgoing)
    if let last = marks.last, ordinal <= last.ordinal {
      guard ordinal < marks[0].ordinal else { return }
      marks.insert(mark, at: 0)
    } else {
      if marks.count == Self.mostMarks { table.letGo(marks.removeLast()) }
      marks.append(mark)
    }
    table.hold(outgoing.samples[0].series.rawValue)
    letGo(&table)
  }

  /// The receiver says that another replica is elected.
  func denied(at time: Int64, _ table: inout LabelTable) {
    lastDenial = max(lastDenial, time)
    letGo(&table)
    // Nothing has come since: there is nothing to wait for.
    if marks.count == 1, marks[0].time < lastDenial &- window { forget(&table) }
  }

  private func letGo(_ table: inout LabelTable) {
    let end = marks.lastIndex { $0.time < lastDenial &- window } ?? 0
    for mark in marks[..<end] { table.letGo(mark) }
    marks.removeFirst(end)
  }

  func forget(_ table: inout LabelTable) {
    for mark in marks { table.letGo(mark) }
    marks = []
  }
}

/// Withheld samples of a group that are sent after all.
struct Repeat {
  let group: UInt32
  var range: Range<Ordinal>
}

extension LabelTable {
  fileprivate mutating func letGo(_ mark: Standby.Mark) { letGo(mark.outgoing.samples[0].series.rawValue) }
}

extension Verdict {
  /// Whether a receiver says this only to a replica that it has elected: it looks at samples after the election.
  var isOfElected: Bool { [.sent, .isolate, .takenInPart].contains(self) }
}

extension Sender {
  /// Whether samples are kept that were withheld.
  var isStandingBy: Bool { !standbys.isEmpty || !elections.isEmpty || !repeats.isEmpty }

  /// The oldest sample that may have to be sent.
  var keptPosition: Ordinal {
    var kept = rewindPosition
    for standby in standbys.values { kept = min(kept, standby.marks.first?.ordinal ?? kept) }
    for election in elections { kept = min(kept, election.range.lowerBound) }
    return kept
  }

  // MARK: Standing by

  /// Passes over a sample of a group of which another replica is elected.
  func withhold(
    _ sample: Sample, _ ordinal: Ordinal, _ standby: Standby, _ gathering: inout Gathering, _ intake: inout Intake
  ) {
    gathering.withheld.count += 1
    gathering.withheld.newest = max(gathering.withheld.newest, sample.timestamp)
    let carried = gathering.carried.prefix { $0.ordinal <= ordinal }
    gathering.carried = gathering.carried[carried.endIndex...]
    if gathering.now == 0 { gathering.now = WallClock.milliseconds }
    guard standby.withhold(sample, gathering.now),
      let outgoing = question(sample, carried.lazy.filter { $0.ordinal == ordinal }.map(\.content))
    else { return }
    standby.mark(ordinal, outgoing, gathering.now, &intake.table)
  }

  /// What a receiver is asked with; nil when this remote does not get the sample.
  private func question(_ sample: Sample, _ contents: some Sequence<Attachment.Content>) -> Outgoing? {
    var outgoing = Outgoing(samples: [sample])
    for content in contents {
      if case .histogram = content, !options.sendsHistograms { return nil }
      outgoing.attachments.append((0, content))
    }
    return outgoing
  }

  /// The receiver has answered 202: it has not stored the samples if they name a replica and the answer does so too.
  /// Others (Elastic's, for one) say by 202 that they have taken them.
  func withheld(_ batch: Batch, _ response: HTTPResponse, after duration: Duration) {
    guard batch.part.group != 0, Self.namesReplica(response) else { return taken(batch, response) }
    recovered()
    let range = batch.part.range
    var cursor = batch.outgoing.attachments.partitioningIndex { $0.sample >= range.lowerBound }
    let questions = range.lazy.compactMap { index in
      let carried = batch.outgoing.attachments(of: index, from: &cursor)
      return self.question(batch.outgoing.samples[index], batch.outgoing.attachments[carried].lazy.map(\.content))
    }
    guard let outgoing = questions.first else { return proceed(batch) }
    let standby = standbys[batch.part.group] ?? standBy(batch.part.group, outgoing.samples[0].series, response)
    let now = WallClock.milliseconds
    store.withIntake { intake in
      for sample in batch.outgoing.samples[range] { _ = standby.withhold(sample, now) }
      standby.mark(batch.range.lowerBound, outgoing, now, &intake.table)
      standby.denied(at: now - duration.milliseconds, &intake.table)
    }
    shown.withLock { $0.withheld += UInt64(range.count) }
    batch.take()
    proceed(batch)
  }

  private func standBy(_ group: UInt32, _ series: SeriesID, _ response: HTTPResponse) -> Standby {
    let labels = store.withIntake { $0.table.labels(of: series.rawValue) }
    let cluster = labels.index(of: "cluster".utf8.span.bytes).map { String(utf8: labels.value(at: $0)) } ?? ""
    let standby = Standby(
      group, cluster: cluster, window: options.standbyWindow, interval: options.queue.batchSendDeadline)
    standby.nextQuestion = .now() + batchSendDeadline
    standbys[group] = standby
    // What has no backlog goes in order with the rest from now on.
    if let last = overtakings.indices.last { overtakings[last].isOpen = false }
    journal.standsBy(cluster, RemoteJournal.text(response.status, body: response.body))
    return standby
  }

  private static func namesReplica(_ response: HTTPResponse) -> Bool {
    String(decoding: response.body.readableBytesView.prefix(1024), as: UTF8.self).contains("replica")
  }

  // MARK: Asking

  /// Sends the oldest kept sample of each group of which another replica is elected, at the pace of requests that do
  /// not fill.
  func askForElection(_ now: NIODeadline) {
    for standby in standbys.values where !standby.isAsking && !standby.marks.isEmpty {
      if standby.nextQuestion <= now { ask(standby) } else { setAlarm(standby.nextQuestion) }
    }
  }

  private func ask(_ standby: Standby) {
    let mark = standby.marks[0]
    let question = Batch(
      mark.ordinal..<mark.ordinal + 1, mark.outgoing, mark: 0, overtakes: false, backoff: Backoff(options.holdBackoff))
    encode(question, notBefore: .min)
    guard let body = question.body else { return }
    standby.isAsking = true
    post(body, 0) { self.answered(standby, $0, after: $1) }
  }

  private func answered(_ standby: Standby, _ answer: Answer, after duration: Duration) {
    standby.isAsking = false
    standby.nextQuestion = .now() + batchSendDeadline
    guard !isStopped, standbys[standby.group] === standby else { return }
    shown.withLock { $0.requestDurations.observe(duration) }
    switch answer {
    case .failure(let meaning): unanswered(meaning)
    case .response(let response):
      let meaning = meaning(response)
      let verdict = meaning.verdict
      if verdict.isOfElected || verdict == .standby && !Self.namesReplica(response) {
        recovered()
        elected(standby.group)
      } else if verdict == .standby {
        recovered()
        let time = WallClock.milliseconds - duration.milliseconds
        store.withIntake { intake in
          standby.denied(at: time, &intake.table)
          intake.forgetReclaimed()
          intake.readers[index].position = keptPosition
        }
        acknowledgeProgress()
      } else {
        unanswered(meaning)
      }
    }
    pump()
  }

  private func unanswered(_ meaning: AnswerMeaning) {
    if !isFailing { journal.failed(meaning) }
    isFailing = true
  }

  // MARK: Elected

  /// The receiver takes samples of the group: those that were withheld are sent, before newer ones.
  func elected(_ group: UInt32) {
    guard group != 0, let standby = standbys.removeValue(forKey: group) else { return }
    journal.elected(standby.cluster, after: .now - standby.since)
    // So far samples were withheld, perhaps before the last rewinding.
    let end = max(position, overtakings.last?.position ?? 0, repeats.lazy.map(\.range.upperBound).max() ?? 0)
    if let first = standby.marks.first?.ordinal, first < end {
      elections.append(Repeat(group: group, range: first..<end))
      mustRewind = true
    }
    store.withIntake { intake in
      standby.forget(&intake.table)
      intake.forgetReclaimed()
    }
  }

  /// What is not acknowledged was taken back up to `first`; gives where to send from.
  func beginRepeats(before first: Ordinal) -> Ordinal {
    settled = max(settled, first)
    repeats += elections
    elections = []
    let start = repeats.lazy.map(\.range.lowerBound).min() ?? first
    // Without a log, memory may have lost some of what the other replica has sent anyway.
    return min(first, reader == nil ? max(start, store.withIntake { $0.ring.start }) : start)
  }

  func forgetRepeats(before first: Ordinal) {
    if repeats.isEmpty { return }
    for place in repeats.indices where repeats[place].range.lowerBound < first {
      repeats[place].range = first..<max(first, repeats[place].range.upperBound)
    }
    repeats.removeAll(where: \.range.isEmpty)
  }

  /// Whether a sample was withheld and is to be sent now.
  func isRepeat(_ sample: Sample, _ ordinal: Ordinal, _ intake: inout Intake) -> Bool {
    var sample = sample
    guard repeats.contains(where: { $0.range.contains(ordinal) }), dropReason(&sample, .min, &intake) == nil else {
      return false
    }
    let group = intake.table.group(of: sample.series.rawValue)
    return repeats.contains { $0.group == group && $0.range.contains(ordinal) }
  }

  func forgetStandbys() {
    store.withIntake { intake in
      for standby in standbys.values { standby.forget(&intake.table) }
      intake.forgetReclaimed()
    }
    standbys = [:]
  }
}
