import Exposition
import NIOCore
import NIOPosix

/// Where the next samples come from: memory, or the log.
extension Sender {
  /// A batch in the making.
  struct Gathering {
    var outgoing = Outgoing(samples: [])
    /// Whether a series is there twice.
    var hasRepeats = false
    var dropped: [RemoteStatistics.DropReason: UInt64] = [:]
    /// What the samples carry.
    var carried: ArraySlice<(ordinal: Ordinal, content: Attachment.Content)> = []
    let mark: UInt8
    /// Samples before this one are too old.
    let cutoff: Int64
    /// The group of the first sample, and whether there are others.
    var group: UInt32?
    var isMixed = false
    /// Samples for which another replica is elected, and the newest timestamp of them.
    var withheld: (count: UInt64, newest: Int64) = (0, .min)
    /// The time of day, when it was asked for.
    var now: Int64 = 0
    /// Samples that were withheld before.
    var repeated: UInt64 = 0

    init(_ mark: UInt8, most: Int, cutoff: Int64) {
      self.mark = mark
      self.cutoff = cutoff
      outgoing.samples.reserveCapacity(most)
    }
  }

  /// Adds a sample to a batch, withholds or drops it; false when another batch has its series.
  @inline(__always)
  func gather(_ sample: Sample, _ ordinal: Ordinal, _ gathering: inout Gathering, _ intake: inout Intake) -> Bool {
    var sample = sample
    let reason = dropReason(&sample, gathering.cutoff, &intake)
    if reason == nil {
      if intake.table.hasGroups {
        let group = intake.table.group(of: sample.series.rawValue)
        if !standbys.isEmpty, let standby = standbys[group] {
          withhold(sample, ordinal, standby, &gathering, &intake)
          return true
        }
        if gathering.group == nil {
          gathering.group = group
        } else if gathering.group != group {
          gathering.isMixed = true
        }
      }
      let holder = marks[Int(sample.series.rawValue)]
      if holder != 0 {
        guard holder == gathering.mark else { return false }
        gathering.hasRepeats = true
      }
    }
    while let first = gathering.carried.first, first.ordinal < ordinal { gathering.carried.removeFirst() }
    while let first = gathering.carried.first, first.ordinal == ordinal {
      if reason == nil { gathering.outgoing.attachments.append((gathering.outgoing.samples.count, first.content)) }
      gathering.carried.removeFirst()
    }
    if let reason {
      gathering.dropped[reason, default: 0] += 1
    } else {
      marks[Int(sample.series.rawValue)] = gathering.mark
      intake.table.hold(sample.series.rawValue)
      gathering.outgoing.samples.append(sample)
    }
    return true
  }

  /// The batch is made; gives what is to be sent.
  func complete(_ gathering: consuming Gathering, _ table: borrowing LabelTable) -> Outgoing {
    if !gathering.dropped.isEmpty {
      shown.withLock { shown in
        for (reason, count) in gathering.dropped { shown.dropped[reason, default: 0] += count }
      }
    }
    if gathering.withheld.count + gathering.repeated > 0 {
      let (withheld, repeated) = (gathering.withheld, gathering.repeated)
      shown.withLock { shown in
        shown.withheld += withheld.count
        shown.highestSentTimestamp = max(shown.highestSentTimestamp, withheld.newest)
        shown.repeated += repeated
      }
      gathering.outgoing.isRepeat = repeated > 0
    }
    if gathering.hasRepeats { gathering.outgoing.groupBySeries() }
    if gathering.isMixed {
      gathering.outgoing.partition { table.group(of: $0.series.rawValue) }
    } else if let group = gathering.group {
      gathering.outgoing.groups = [(group, gathering.outgoing.samples.indices)]
    }
    return gathering.outgoing
  }

  func growMarks(_ numbers: Int) {
    if marks.count < numbers { marks += repeatElement(0, count: numbers + numbers / 8 - marks.count) }
  }

  /// Takes samples up to a full batch, or up to one of a series that is on its way.
  func take(_ intake: inout Intake, _ mark: UInt8) -> Next {
    let stop = min(chunk?.end ?? intake.ring.end, backlogLimit)
    let most = max(options.queue.maxSamplesPerSend, 1)
    var gathering = Gathering(mark, most: min(most, Int(min(stop - position, 1 << 20))), cutoff: ageCutoff())
    gathering.carried = chunk.map { $0.attachments[...] } ?? intake.ring.attachments(in: position..<stop)
    growMarks(intake.table.numbers)
    var passing = overtakings.firstIndex { position < $0.acknowledged }
    let repeatsEnd = repeats.lazy.map(\.range.upperBound).max() ?? 0
    var ordinal = position
    while ordinal < stop, gathering.outgoing.samples.count < most {
      if ordinal < repeatsEnd {
        let sample = chunk.map { $0.samples[Int(ordinal - $0.first)] } ?? intake.ring[ordinal]
        let isRepeat = isRepeat(sample, ordinal, &intake)
        if isRepeat || ordinal < settled || ahead.contains(where: { $0.contains(ordinal) }) {
          if isRepeat {
            guard gather(sample, ordinal, &gathering, &intake) else { break }
            gathering.repeated += 1
          }
          if let chunk { letGo(chunk, ordinal, &intake) }
          ordinal += 1
          continue
        }
      }
      if let skip = skips.first, ordinal >= skip.lowerBound {
        if ordinal < skip.upperBound {
          let next = min(skip.upperBound, stop)
          if let chunk { for place in ordinal..<next { letGo(chunk, place, &intake) } }
          ordinal = next
        }
        if ordinal >= skip.upperBound { skips.removeFirst() }
        continue
      }
      let sample = chunk.map { $0.samples[Int(ordinal - $0.first)] } ?? intake.ring[ordinal]
      if let place = passing, ordinal >= overtakings[place].first {
        if ordinal >= overtakings[place].acknowledged {
          passing = place + 1 < overtakings.count ? place + 1 : nil
          continue
        }
        let wasSent = !hasBacklog(sample, place, &intake)
        if !wasSent, !gather(sample, ordinal, &gathering, &intake) { break }
      } else if !gather(sample, ordinal, &gathering, &intake) {
        // Another batch has the series: this one ends here, and waits for it if it is empty.
        break
      }
      if let chunk { letGo(chunk, ordinal, &intake) }
      ordinal += 1
    }
    let outgoing = complete(gathering, intake.table)
    intake.forgetReclaimed()
    guard ordinal > position else { return .blocked }
    // What is on its way stays in memory: it may have to be taken back.
    intake.readers[index].position = keptPosition
    defer { position = ordinal }
    return .taken(position..<ordinal, outgoing)
  }

  /// Whether a sample of a stretch that was overtaken goes the backlog's way.
  @inline(__always)
  func hasBacklog(_ sample: Sample, _ place: Int, _ intake: inout Intake) -> Bool {
    sample.series == LogReader.refusedSeries
      || intake.readers[index].backlogs[place].contains(sample.series.rawValue, in: intake.table)
  }

  /// The oldest sample that is not sent or given up, but for those that overtake.
  var rewindPosition: Ordinal { batches.first { !$0.overtakes }?.range.lowerBound ?? position }

  func letGo(_ chunk: LogChunk, from first: Ordinal) {
    guard first < chunk.end else { return }
    store.withIntake { intake in
      for place in first..<chunk.end { self.letGo(chunk, place, &intake) }
      intake.forgetReclaimed()
    }
  }

  @inline(__always)
  func letGo(_ chunk: LogChunk, _ ordinal: Ordinal, _ intake: inout Intake) {
    let series = chunk.samples[Int(ordinal - chunk.first)].series
    if series != LogReader.refusedSeries { intake.table.letGo(series.rawValue) }
  }

  /// Why the sample is not sent; nil when it is: then its series is the one under which this remote gets it.
  @inline(__always)
  func dropReason(
    _ sample: inout Sample, _ cutoff: Int64, _ intake: inout Intake
  ) -> RemoteStatistics.DropReason? {
    if sample.timestamp < cutoff { return .tooOld }
    if sample.series == LogReader.refusedSeries { return .refusedSeries }
    guard intake.readers[index].map != nil else { return nil }
    guard let mapped = intake.readers[index].map!.number(for: sample.series.rawValue, in: &intake.table) else {
      return .relabeled
    }
    sample.series = SeriesID(rawValue: mapped)
    growMarks(intake.table.numbers)
    return nil
  }

  /// Samples from before this are too old to send; milliseconds since the epoch.
  func ageCutoff() -> Int64 {
    guard let limit = options.queue.sampleAgeLimit, limit > .zero else { return .min }
    return WallClock.milliseconds - limit.milliseconds
  }

  // MARK: Reading the log

  func read() {
    guard let reader, !isReading else { return }
    isReading = true
    let position = position
    let mustReopen = mustReopen
    self.mustReopen = false
    readers.submit { [self] state in
      guard case .active = state else { return }
      if mustReopen { reader.close() }
      let chunk = reader.read(from: position, count: Self.chunkLength) { journal.damaged($0) }
      eventLoop.execute { self.received(chunk, from: position) }
    }
  }

  func received(_ chunk: LogChunk, from wanted: Ordinal) {
    isReading = false
    guard wanted == position, !isStopped else {
      // Batches were taken back meanwhile.
      letGo(chunk, from: chunk.first)
      return pump()
    }
    if chunk.samples.isEmpty {
      // What was never written will not come; for the rest, the writer is a moment behind memory.
      let (start, unlogged) = store.withIntake { ($0.ring.start, $0.unloggedEnd) }
      let end = chunk.gap == .damage ? start : min(start, unlogged)
      guard end > position else { return setAlarm(.now() + .milliseconds(50)) }
      countLost(end - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged))
      position = end
    } else {
      let start = store.withIntake { $0.ring.start }
      if chunk.first > max(position, start) {
        // Memory still holds the end of what the log lacks.
        letGo(chunk, from: chunk.first)
        mustReopen = true
        if start > position { countLost(start - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged)) }
        position = max(position, start)
      } else {
        if chunk.first > position {
          countLost(chunk.first - position, RemoteStatistics.DropReason(chunk.gap ?? .unlogged))
          position = chunk.first
        }
        self.chunk = chunk
      }
    }
    pump()
  }

  func countLost(_ count: Ordinal, _ reason: RemoteStatistics.DropReason) {
    shown.withLock { $0.dropped[reason, default: 0] += count }
    journal.lost(count, reason.rawValue)
  }
}
