import Exposition

/// Samples read from the log, one after the other without a gap; each is held in the label table.
struct LogChunk {
  /// Why samples before the first one are missing.
  enum Gap: String {
    /// The segments that held them were deleted to keep within the limits.
    case retention
    /// They were in memory only, while the log could not be written.
    case unlogged
    /// They were in the damaged part of a segment.
    case damage
  }

  var first: Ordinal
  var samples: [Sample] = []
  var attachments: [(ordinal: Ordinal, content: Attachment.Content)] = []
  var gap: Gap?

  var end: Ordinal { first + Ordinal(samples.count) }
}

/// Reads the log for one remote.
///
/// `@unchecked Sendable`: its sender asks for the next samples only when it has got the last ones.
final class LogReader: @unchecked Sendable {
  /// The series number of samples whose series the table did not take.
  static let refusedSeries = SeriesID(rawValue: .max)

  let folder: LogFolder
  private let store: SampleStore
  private var file: SegmentFile?
  /// The number in the label table of each series of the segment; `.max` for those that it refused.
  private var numbers: [UInt32] = []
  private var record = LogRecord()
  /// Samples of `record` that were handed out.
  private var used = 0
  private var damage: LogDamage?

  init(folder: LogFolder, store: SampleStore) {
    self.folder = folder
    self.store = store
  }

  /// The samples from `position` on, at most `count` and some of one more record, and why any before them are missing.
  /// Empty when there are none (yet), or when they will never come, for the last segment is damaged; `report` is told
  /// of damage.
  func read(from position: Ordinal, count: Int, report: (String) -> Void) -> LogChunk {
    var chunk = LogChunk(first: position)
    while chunk.samples.count < count {
      if used < record.count {
        guard take(&chunk, from: position) else { return chunk }
        continue
      }
      guard let file else {
        guard open(folder.segment(holding: chunk.end)) else { return chunk }
        continue
      }
      // Asked before the file is read: until its successor is begun it may grow.
      let successor = folder.segment(after: file.first)
      switch file.next(into: &record, before: successor) {
      case .record: resolve(file)
      case .end:
        // Behind the segment that is being written there is none.
        guard let successor else { return chunk }
        if !file.isAtEnd, damage == nil {
          damage = LogDamage("it ends within a record")
          report("\(LogFormat.fileName(file.first)): it ends within a record")
        }
        guard open(successor) else { return chunk }
      case .damage(let error):
        if damage == nil { report("\(LogFormat.fileName(file.first)): \(error) at byte \(file.position)") }
        damage = error
        record.removeAll()
        used = 0
        guard let successor else {
          if chunk.samples.isEmpty { chunk.gap = .damage }
          return chunk
        }
        guard open(successor) else { return chunk }
      }
    }
    return chunk
  }

  /// Gives up what is open: the next read starts from its position.
  func close() {
    forgetSeries()
    file = nil
    record.removeAll()
    used = 0
  }

  /// Moves on in the record; false when it has to wait for the next read, as a gap is in front of it.
  private func take(_ chunk: inout LogChunk, from position: Ordinal) -> Bool {
    let next = record.first + Ordinal(used)
    if next < chunk.end {
      used = min(record.count, used + Int(min(chunk.end - next, Ordinal(record.count))))
      return true
    }
    if next > chunk.end {
      // What was read before the gap goes first.
      guard chunk.samples.isEmpty else { return false }
      chunk.gap = position < folder.oldest ? .retention : damage != nil ? .damage : .unlogged
      damage = nil
      chunk.first = next
    }
    let start = used
    store.withIntake { intake in
      for index in start..<record.count {
        let number = numbers[Int(record.slots[index])]
        if number != .max { intake.table.hold(number) }
        chunk.samples.append(
          Sample(
            series: SeriesID(rawValue: number), timestamp: record.timestamps[index],
            value: Double(bitPattern: record.values[index])))
      }
    }
    for attachment in record.attachments where attachment.sample >= start {
      chunk.attachments.append((record.first + Ordinal(attachment.sample), attachment.content))
    }
    used = record.count
    return true
  }

  /// Registers the series that the record has defined.
  private func resolve(_ file: SegmentFile) {
    used = 0
    let decoder = file.decoder
    guard !decoder.defined.isEmpty || !decoder.redescribed.isEmpty || !decoder.started.isEmpty else { return }
    store.withIntake { intake in
      for series in decoder.defined {
        numbers.append(intake.table.register(series.labels, series.metadata) ?? .max)
      }
      for (slot, start) in decoder.started where numbers[Int(slot)] != .max {
        // What a scrape has said since holds.
        if intake.table.start(of: numbers[Int(slot)]) == nil { intake.table.setStart(start, of: numbers[Int(slot)]) }
      }
    }
  }

  /// Opens the segment `start`, or else the first readable one behind it; false when there is none (yet): the last one
  /// gets its header a moment after it was begun.
  private func open(_ start: Ordinal?) -> Bool {
    close()
    var candidate = start
    while let first = candidate {
      file = try? SegmentFile(path: folder.path(of: first))
      if file != nil { return true }
      candidate = folder.segment(after: first)
      if candidate != nil { damage = LogDamage("unreadable header") }
    }
    return false
  }

  private func forgetSeries() {
    guard !numbers.isEmpty else { return }
    store.withIntake { intake in
      for number in numbers where number != .max { intake.release(number) }
      intake.forgetReclaimed()
    }
    numbers.removeAll()
  }
}
