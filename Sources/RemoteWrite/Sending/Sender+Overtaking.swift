import Exposition
import NIOCore
import NIOPosix

/// After an outage, samples of series that have no backlog do not wait behind it.
///
/// When a long stretch is to be read from the log, the sender notes which series are in it (`SeriesFilter`). From that
/// moment on it sends the samples of all other series from memory, beside the backlog, until that has come as far. It
/// is known of each sample which way it goes, also after a restart: by the filter, which has a file, and by how far
/// each way has come, which the cursor says. So none is sent twice, and none out of order.
extension Sender {
  /// Samples of series without a backlog, from where it was noted on.
  struct Overtaking {
    let first: Ordinal
    /// Those before this one are sent or given up.
    var acknowledged: Ordinal
    /// The next one to be looked at.
    var position: Ordinal
    /// Whether more of them are sent; those of earlier outages are not.
    var isOpen = true
    /// So many are known to wait, of those before `counted`, since the first of them was seen.
    var waiting = 0
    var counted: Ordinal
    var since: NIODeadline?

    init(_ range: Range<Ordinal>, isOpen: Bool) {
      first = range.lowerBound
      acknowledged = range.upperBound
      position = range.upperBound
      counted = range.upperBound
      self.isOpen = isOpen
    }

    /// Whether nothing of it is on its way, or will be.
    var isDone: Bool { !isOpen && acknowledged == position }
  }

  /// From one look at the log to the next.
  static let scanInterval = TimeAmount.seconds(60)

  // MARK: Noting the backlog

  /// To be called when samples are read from the log.
  func noteBacklog(_ now: NIODeadline) {
    guard let folder = reader?.folder, !isScanning, now >= nextScan, !isFailing, !isDraining, !isStandingBy,
      // Rules that change labels may make one series of several, whose samples would get out of order.
      options.rules.onlyDrops,
      overtakings.count < CursorFile.mostOvertaken, overtakings.last?.isDone != false
    else { return }
    let position = rewindPosition
    let end = store.withIntake { isInLog($0, from: position) ? $0.ring.end : position }
    guard end - position >= longBacklog else { return }
    isScanning = true
    nextScan = now + Self.scanInterval
    let path = folder.filterPath(key, end)
    readers.submit { [self] state in
      guard case .active = state else { return }
      // What is in memory only is on its way to the log.
      for _ in 0..<200 where folder.written.load(ordering: .acquiring) < end { usleep(10_000) }
      var series: SeriesFilter?
      if folder.written.load(ordering: .acquiring) >= end { series = folder.series(of: position..<end) }
      if series?.write(path: path) == false { series = nil }
      eventLoop.execute { [series] in self.noted(series, from: end) }
    }
  }

  private func noted(_ series: SeriesFilter?, from first: Ordinal) {
    isScanning = false
    guard let series, !isStopped, !isStandingBy else { return }
    let isGood = store.withIntake { intake in
      guard isInLog(intake, from: rewindPosition), intake.ring.start <= first, position < first else { return false }
      intake.readers[index].backlogs.append(FilteredSeries(series))
      return true
    }
    // Else its file goes when the cursor is written next without it.
    if isGood { overtakings.append(Overtaking(first..<first, isOpen: true)) }
    pump()
  }

  /// Whether all samples from `position` on are in the log, or will be in a moment.
  private func isInLog(_ intake: borrowing Intake, from position: Ordinal) -> Bool {
    intake.isLogged && intake.unloggedEnd <= max(position, intake.origin)
  }

  // MARK: Sending

  /// A batch of samples that overtake; nil when none are to be sent now.
  func nextOvertaking(_ now: NIODeadline) -> Batch? {
    guard let last = overtakings.last, last.isOpen else { return nil }
    let mark = freeMarks[freeMarks.count - 1]
    switch store.withIntake({ self.overtake(&$0, now, mark) }) {
    case .taken(let range, let outgoing): return batch(range, outgoing, mark, overtakes: true)
    case .wait: if let since = overtakings[overtakings.count - 1].since { setAlarm(since + batchSendDeadline) }
    default: break
    }
    noteOvertaken()
    return nil
  }

  private func overtake(_ intake: inout Intake, _ now: NIODeadline, _ mark: UInt8) -> Next {
    let place = overtakings.count - 1
    let end = intake.ring.end
    let most = max(options.queue.maxSamplesPerSend, 1)
    intake.readers[index].wakeAt = end + Ordinal(most)
    guard overtakings[place].position >= intake.ring.start else {
      // Memory has lost what was to be sent next: it is sent with the backlog.
      overtakings[place].isOpen = false
      return .nothing
    }
    while overtakings[place].counted < end, overtakings[place].waiting < most {
      let number = intake.ring[overtakings[place].counted].series.rawValue
      if !intake.readers[index].backlogs[place].contains(number, in: intake.table) { overtakings[place].waiting += 1 }
      overtakings[place].counted += 1
    }
    guard overtakings[place].waiting > 0 else {
      overtakings[place].position = overtakings[place].counted
      return .nothing
    }
    let since = overtakings[place].since ?? now
    overtakings[place].since = since
    if overtakings[place].waiting < most, now < since + batchSendDeadline { return .wait }

    var gathering = Gathering(mark, most: most, cutoff: ageCutoff())
    let first = overtakings[place].position
    let stop = overtakings[place].counted
    gathering.carried = intake.ring.attachments(in: first..<stop)
    growMarks(intake.table.numbers)
    var ordinal = first
    while ordinal < stop {
      let sample = intake.ring[ordinal]
      if !hasBacklog(sample, place, &intake), !gather(sample, ordinal, &gathering, &intake) { break }
      ordinal += 1
    }
    let outgoing = complete(gathering, intake.table)
    intake.forgetReclaimed()
    guard ordinal > first else { return .blocked }
    overtakings[place].position = ordinal
    overtakings[place].counted = ordinal
    overtakings[place].waiting = 0
    overtakings[place].since = nil
    return .taken(first..<ordinal, outgoing)
  }

  /// How far those that overtake have come.
  func noteOvertaken() {
    guard let last = overtakings.indices.last else { return }
    let onTheirWay = batches.lazy.filter(\.overtakes).map(\.range.lowerBound).min()
    overtakings[last].acknowledged = onTheirWay ?? overtakings[last].position
  }

  // MARK: The backlog's way

  /// The backlog is sent up to here; behind it samples that overtake are on their way.
  var backlogLimit: Ordinal {
    guard let last = overtakings.last, !last.isDone else { return .max }
    return last.acknowledged
  }

  /// When the backlog has come as far as those that overtake, it is none any more. True when it has to wait for some.
  func endOvertaking() -> Bool {
    guard let last = overtakings.indices.last, !overtakings[last].isDone, position >= overtakings[last].acknowledged
    else { return false }
    overtakings[last].isOpen = false
    return !overtakings[last].isDone
  }

  /// Takes back what is not acknowledged.
  func rewindOvertaking() {
    for place in overtakings.indices {
      overtakings[place].position = overtakings[place].acknowledged
      overtakings[place].counted = overtakings[place].acknowledged
      overtakings[place].waiting = 0
    }
  }

  /// What the backlog has passed needs no filter any more.
  func forgetOvertakings(before first: Ordinal) {
    while let oldest = overtakings.first, oldest.isDone, oldest.position <= first {
      overtakings.removeFirst()
      store.withIntake { _ = $0.readers[self.index].backlogs.removeFirst() }
    }
  }
}
