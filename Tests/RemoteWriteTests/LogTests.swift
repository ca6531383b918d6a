import Bytes
import Exposition
import Glibc
import TestSupport
import Testing

@testable import RemoteWrite

/// The log's files: what is written is read, and damage costs what it hits.
@Suite struct LogTests {
  /// Scrapes of random series that come and go, over several segments.
  private func write(_ folder: TemporaryDirectory, seed: UInt64, records: Int, segments: Int = 4) -> LogScribe {
    var random = SeededGenerator(seed)
    var scribe = LogScribe()
    var alive = (0..<20).map { scribe.series("m\($0)", [("job", "j")]) }
    for record in 0..<records {
      if record % (records / segments + 1) == 0 { scribe.encoder.endSegment() }
      // Churn: numbers are used again, in the same segment too.
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        let gone = alive.remove(at: Int.random(in: alive.indices, using: &random))
        if scribe.table.release(gone.rawValue) { scribe.table.bury(gone.rawValue) }
        let unit = ["", "seconds"].randomElement(using: &random)!
        alive.append(
          scribe.series(
            "n\(record)_\(alive.count)", [("job", "j"), ("x", "\(Int.random(in: 0..<5, using: &random))")],
            MetricMetadata(family: "n\(record)", type: .gauge, help: "é \"x\"", unit: unit)))
      }
      if record % 7 == 3 {
        let metadata = MetricMetadata(family: "m", type: .counter, help: "h\(record)")
        let labels = scribe.table.labels(of: alive[0].rawValue)
        _ = scribe.table.register(labels, metadata)
      }
      var samples: [Sample] = []
      var attachments: [Exposition.Attachment] = []
      let time = Int64(record) * 15_000 - 100_000
      for series in record % 3 == 0 ? alive.shuffled(using: &random) : alive {
        let shift = Bool.random(using: &random) ? 0 : Int64.random(in: -1000...1000, using: &random)
        let value = [0, 1.5, -0.0, .staleMarker, Double(record) / 10, Double(bitPattern: random.next())]
          .randomElement(using: &random)!
        if Int.random(in: 0..<15, using: &random) == 0 {
          let labels = LabelSet(pairs: [("trace_id", "\(record)")])
          attachments.append(
            Exposition.Attachment(
              sample: samples.count, .exemplar(labels: labels, value: Double(record), timestamp: time)))
        }
        if Int.random(in: 0..<15, using: &random) == 0 {
          attachments.append(Exposition.Attachment(sample: samples.count, .start(time - 5)))
        }
        samples.append(Sample(series: series, timestamp: time + shift, value: value))
      }
      scribe.append(samples, attachments, now: Int64(record))
    }
    scribe.flush(to: folder)
    return scribe
  }

  private func expect(
    _ read: [Ordinal: Told], _ range: Range<Ordinal>, of scribe: borrowing LogScribe, _ comment: Comment? = nil
  ) {
    let told = scribe.told
    let wrong = range.first { read[$0] != told[Int($0) - 1] }
    #expect(wrong == nil, comment)
    #expect(read.count == range.count, comment)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func whatIsWrittenIsRead(seed: UInt64) throws {
    let directory = TemporaryDirectory()
    let scribe = write(directory, seed: seed, records: 60)
    let folder = try LogFolder(path: directory.path, isLocked: true)
    #expect(folder.segments.count == 4)
    let all = readAll(folder)
    expect(all.samples, 1..<scribe.next, of: scribe)
    #expect(all.gaps.isEmpty && all.reports.isEmpty)
    // From the middle of a record and of a segment, in steps of other lengths.
    for start in [scribe.next / 2, scribe.next / 3 * 2 + 1, scribe.next - 1] {
      let rest = readAll(folder, from: start, step: 1000)
      expect(rest.samples, start..<scribe.next, of: scribe)
      #expect(rest.gaps.isEmpty)
    }
    #expect(readAll(folder, from: scribe.next).samples.isEmpty)
    let end = try folder.recover { Issue.record("\($0)") }
    #expect(end == scribe.next)
  }

  @Test func attachmentsStartsAndMetadataAreRead() throws {
    let directory = TemporaryDirectory()
    var scribe = LogScribe()
    let first = MetricMetadata(family: "a", type: .counter, help: "One.")
    let a = scribe.series("a", [], first)
    let b = scribe.series("b")
    let samples = [a, b].map { Sample(series: $0, timestamp: 5, value: 2) }
    let labels = LabelSet(pairs: [("trace_id", "ä"), ("b", "")])
    scribe.append(
      samples,
      [
        Exposition.Attachment(sample: 0, .start(3)),
        Exposition.Attachment(sample: 0, .exemplar(labels: labels, value: -0.0, timestamp: -7)),
        Exposition.Attachment(sample: 1, .histogram([1, 2, 3])),
      ])
    let second = MetricMetadata(family: "a", type: .gauge, help: "Two.", unit: "u")
    _ = scribe.table.register(LabelSet(pairs: [("__name__", "a")]), second)
    scribe.append(samples)
    scribe.flush(to: directory)

    let file = try SegmentFile(path: "\(directory.path)/\(LogFormat.fileName(1))")
    var record = LogRecord()
    guard case .record = file.next(into: &record) else { throw Malformed() }
    #expect(file.decoder.defined.map(\.metadata) == [first, nil])
    #expect(file.decoder.started.map(\.start) == [3] && file.decoder.started.map(\.slot) == [0])
    #expect(record.attachments.map(\.sample) == [0, 1])
    guard case .exemplar(let readLabels, let value, let timestamp) = record.attachments[0].content,
      case .histogram(let message) = record.attachments[1].content
    else { throw Malformed() }
    #expect(readLabels == labels && value.bitPattern == (-0.0).bitPattern && timestamp == -7 && message == [1, 2, 3])
    guard case .record = file.next(into: &record) else { throw Malformed() }
    #expect(file.decoder.redescribed.map(\.metadata) == [second])
    guard case .end = file.next(into: &record) else { throw Malformed() }
    #expect(file.isAtEnd)
  }

  /// Wherever a crash cuts the last segment: what is whole stays, the rest is cut off, and writing goes on behind it.
  @Test func aTornTailCostsOnlyTheTornRecord() throws {
    let whole = TemporaryDirectory()
    var scribe = LogScribe()
    let series = [scribe.series("a"), scribe.series("b")]
    var ends: [(bytes: Int, next: Ordinal)] = [(LogFormat.headerLength, 1)]
    for time in 0..<Int64(4) {
      scribe.append(series.map { Sample(series: $0, timestamp: time, value: Double(time) / 4) })
      ends.append((scribe.encoder.segmentBytes!, scribe.next))
    }
    scribe.flush(to: whole)
    let name = LogFormat.fileName(1)
    let bytes = try #require(fileBytes("\(whole.path)/\(name)"))
    for length in 0...bytes.count {
      let directory = TemporaryDirectory()
      directory.write(name, bytes: Array(bytes[..<length]))
      let folder = try LogFolder(path: directory.path, isLocked: true)
      var reports: [String] = []
      let next = try folder.recover { reports.append($0) }
      let last = ends.last { $0.bytes <= length }
      #expect(next == last?.next ?? 1, "\(length) bytes")
      let left = fileBytes("\(directory.path)/\(name)")?.count
      #expect(left == (next == 1 ? nil : last?.bytes), "\(length) bytes")
      #expect(reports.isEmpty == (last?.bytes == length || next == 1), "\(length) bytes: \(reports)")
      let read = readAll(folder)
      expect(read.samples, 1..<next, of: scribe)
    }
  }

  /// A record that belongs before the last segment says nothing of where the log ends.
  @Test func aMisplacedRecordDoesNotTakeTheEndBack() throws {
    let directory = TemporaryDirectory()
    var scribe = LogScribe()
    let series = [scribe.series("a"), scribe.series("b"), scribe.series("c")]
    var ends: [Int] = []
    for time in 0..<Int64(6) {
      if time == 3 { scribe.encoder.endSegment() }
      scribe.append(series.map { Sample(series: $0, timestamp: time, value: Double(time)) })
      ends.append(scribe.encoder.segmentBytes!)
    }
    scribe.flush(to: directory)
    let before = try #require(fileBytes("\(directory.path)/\(LogFormat.fileName(1))"))
    var last = try #require(fileBytes("\(directory.path)/\(LogFormat.fileName(10))"))
    last.removeLast(last.count - ends[3])
    last[ends[3] - 1] ^= 1
    directory.write(LogFormat.fileName(10), bytes: last + before[LogFormat.headerLength..<ends[0]])
    #expect(try LogFolder(path: directory.path, isLocked: true).recover { _ in } == 10)
  }

  /// A flipped bit in any byte of a middle segment costs no sample before it, and none of another segment.
  @Test func aFlippedByteCostsTheRestOfItsSegment() throws {
    let directory = TemporaryDirectory()
    var scribe = LogScribe()
    let series = [scribe.series("a"), scribe.series("b"), scribe.series("c")]
    var records: [(end: Int, next: Ordinal)] = []
    for time in 0..<Int64(9) {
      if time % 3 == 0 { scribe.encoder.endSegment() }
      scribe.append(series.map { Sample(series: $0, timestamp: time, value: Double(time) * 1.1) })
      if (3..<6).contains(time) { records.append((scribe.encoder.segmentBytes!, scribe.next)) }
    }
    scribe.flush(to: directory)
    let name = LogFormat.fileName(10)
    let bytes = try #require(fileBytes("\(directory.path)/\(name)"))
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 0x10
      directory.write(name, bytes: damaged)
      let folder = try LogFolder(path: directory.path, isLocked: false)
      let read = readAll(folder)
      let kept = place < LogFormat.headerLength ? 10 : records.last { $0.end <= place }?.next ?? 10
      expect(read.samples.filter { $0.key < 19 }, 1..<kept, of: scribe, "byte \(place)")
      #expect((19..<28).allSatisfy { read.samples[$0] != nil }, "byte \(place)")
      #expect(read.gaps.count == 1, "byte \(place): \(read.gaps)")
      #expect(place < LogFormat.headerLength || read.reports.count == 1, "byte \(place): \(read.reports)")
    }
  }

  @Test func aMissingSegmentIsAGap() throws {
    let directory = TemporaryDirectory()
    let scribe = write(directory, seed: 3, records: 40)
    let folder = try LogFolder(path: directory.path, isLocked: false)
    let segments = folder.segments
    folder.delete(segments[1].first)
    let read = readAll(folder, step: 1000)
    #expect(read.gaps == [.unlogged])
    #expect(read.samples[segments[1].first] == nil && read.samples[segments[2].first] != nil)
    let left = scribe.next - 1 - (segments[2].first - segments[1].first)
    #expect(UInt64(read.samples.count) == left)
    folder.delete(segments[0].first)
    #expect(readAll(folder).gaps == [.retention])
    // In one piece with what comes before the gap: it does not spin.
    #expect(readAll(folder, from: segments[2].first, step: 1 << 20).gaps.isEmpty)
  }

  @Test func foreignFilesAreLeftAlone() throws {
    let directory = TemporaryDirectory()
    let names = [
      "lost+found", "x.log", "00000000000000zz.log", "0000000000000001.log.tmp", "FFFFFFFFFFFFFFFF.log", "wal",
    ]
    for name in names { directory.write(name, "foreign") }
    directory.write(LogFormat.fileName(7), "PILOTLOG of a later version, that this one does not know")
    directory.write(LogFormat.fileName(9), "short")
    let folder = try LogFolder(path: directory.path, isLocked: true)
    #expect(folder.segments.map(\.first) == [7, 9])
    var reports: [String] = []
    #expect(try folder.recover { reports.append($0) } == 1)
    #expect(folder.segments.isEmpty && reports.count == 1)
    for name in names { #expect(fileBytes("\(directory.path)/\(name)") != nil, "\(name)") }
    #expect(fileBytes("\(directory.path)/\(LogFormat.fileName(7)).unreadable") != nil, "it is set aside")
  }

  @Test func aSecondProcessIsRefused() throws {
    let directory = TemporaryDirectory()
    let folder = try LogFolder(path: "\(directory.path)/a/b/", isLocked: true)
    #expect(throws: LogError.self) { try LogFolder(path: "\(directory.path)/a/b", isLocked: true) }
    #expect(throws: LogError.self) { try LogFolder(path: directory.write("file", "") + "/x", isLocked: true) }
    #expect(folder.segments.isEmpty)
  }

  @Test func fileNamesAreOrdinals() {
    for ordinal in [1, 255, 0xabcdef, .max] as [Ordinal] {
      #expect(LogFormat.ordinal(fileName: LogFormat.fileName(ordinal)) == ordinal)
    }
    #expect(LogFormat.fileName(26) == "000000000000001a.log")
  }

  // MARK: Acknowledgements

  @Test func aCursorSurvivesATornSlot() throws {
    let directory = TemporaryDirectory()
    let path = "\(directory.path)/x.cursor"
    #expect(CursorFile.read(path: path) == nil)
    let states: [Acknowledgement] = (1...4).map { index in
      let first = Ordinal(index * 100)
      return Acknowledgement(
        first: first, ahead: [first + 10..<first + 20], overtaken: [first + 30..<first + 30, first + 90..<first + 95])
    }
    for state in states {
      // A new process each time: what is newest must not depend on one that counts from the start.
      let file = try CursorFile(path: path)
      #expect(file.write(state))
      #expect(CursorFile.read(path: path) == state)
    }
    let bytes = try #require(fileBytes(path))
    for place in [0, 9, 17, 25, 30, 40, 47] {
      // The newest is in the first slot, as it is the fourth.
      for (slot, expected) in [(0, states[2]), (4096, states[3])] {
        var torn = bytes
        torn[slot + place] ^= 1
        directory.overwrite("x.cursor", bytes: torn)
        #expect(CursorFile.read(path: path) == expected, "byte \(place) of slot \(slot)")
      }
    }
    for length in [0, 1, 31, 47] {
      directory.overwrite("x.cursor", bytes: Array(bytes[..<length]))
      #expect(CursorFile.read(path: path) == nil, "\(length) bytes")
    }
    directory.overwrite("x.cursor", bytes: [UInt8](repeating: 0xff, count: 8192))
    #expect(CursorFile.read(path: path) == nil)
    #expect(try CursorFile(path: path).write(states[0]))
    #expect(CursorFile.read(path: path) == states[0])
  }

  @Test func rangesBeyondTheSlotAreLeftOut() throws {
    let directory = TemporaryDirectory()
    let file = try CursorFile(path: "\(directory.path)/x.cursor")
    let ranges = (0..<300 as Range<Ordinal>).map { 10 + $0 * 10..<15 + $0 * 10 }
    #expect(file.write(Acknowledgement(first: 5, ahead: ranges)))
    let read = CursorFile.read(path: "\(directory.path)/x.cursor")
    #expect(read == Acknowledgement(first: 5, ahead: Array(ranges.prefix(200))))
  }
}
