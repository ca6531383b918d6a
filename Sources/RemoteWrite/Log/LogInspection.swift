import Bytes
import Exposition
import Kernel

/// What a log's folder holds, read from front to back, checksums and all (docs/log-format.md).
///
/// Nothing is changed and nothing locked: an agent may be writing the log meanwhile.
public struct LogInspection: Sendable {
  /// What stands in one segment, or in all.
  public struct Content: Sendable, Equatable {
    /// Bytes that were whole and undamaged.
    public var bytes = 0
    public var records = 0
    /// Different ones.
    public var series = 0
    public var samples: UInt64 = 0
    /// Of the samples, milliseconds since the epoch; nil when there are none.
    public var times: ClosedRange<Int64>?

    fileprivate mutating func add(_ record: LogRecord, bytes: Int) {
      self.bytes += bytes
      records += 1
      samples += UInt64(record.count)
      guard let least = record.timestamps.min(), let most = record.timestamps.max() else { return }
      include(least...most)
    }

    fileprivate mutating func add(_ other: Content) {
      bytes += other.bytes
      records += other.records
      samples += other.samples
      if let times = other.times { include(times) }
    }

    private mutating func include(_ range: ClosedRange<Int64>) {
      times = min(times?.lowerBound ?? .max, range.lowerBound)...max(times?.upperBound ?? .min, range.upperBound)
    }
  }

  public struct Segment: Sendable {
    public var file: String
    public var content: Content
    /// Bytes behind the last whole record: an append that is being written, or that a crash has cut. They are no
    /// damage in the last segment: the next start of the agent removes them.
    public var unfinishedBytes = 0
  }

  public struct Remote: Sendable {
    /// The name of its file, without `.cursor`.
    public var key: String
    /// Samples of the log that it has not acknowledged.
    public var unacknowledged: UInt64
    /// Of these, how many stand in stretches that overtook a backlog: only the samples of series with a backlog are
    /// to be sent.
    public var overtaken: UInt64
  }

  public struct Damage: Sendable, CustomStringConvertible {
    public var file: String
    /// Where in the file.
    public var byte: Int
    public var reason: String
    public var description: String { "\(file): byte \(byte): \(reason)" }
  }

  /// In order.
  public private(set) var segments: [Segment] = []
  public private(set) var remotes: [Remote] = []
  public private(set) var damages: [Damage] = []
  public private(set) var total = Content()
  /// Samples between those of the log that it does not hold: they were lost to damage, or were only in memory.
  public private(set) var missing: UInt64 = 0

  /// The stretches of samples that are there.
  private var stretches: [Range<Ordinal>] = []
  private var series: Set<SeriesHash> = []

  /// Reads the log in the folder `path`.
  ///
  /// - Throws: when the folder cannot be read.
  public init(path: String) throws(LogError) {
    let list = try LogFolder.list(path)
    for (index, segment) in list.enumerated() {
      read(LogFormat.fileName(segment.first), in: path, before: index + 1 < list.count ? list[index + 1].first : nil)
    }
    for (stretch, next) in zip(stretches, stretches.dropFirst()) where next.lowerBound > stretch.upperBound {
      missing += next.lowerBound - stretch.upperBound
    }
    total.series = series.count
    series = []
    try readCursors(path)
  }

  private mutating func read(_ name: String, in folder: String, before successor: Ordinal?) {
    let isLast = successor == nil
    let file: SegmentFile
    do throws(LogError) { file = try SegmentFile(path: "\(folder)/\(name)") } catch {
      // Deleted since it was listed, as the agent does with what is sent.
      guard Directory.exists("\(folder)/\(name)") else { return }
      // One that was begun just now, or a moment before a crash, has no whole header.
      if isLast, error.isDamage, (try? Directory.size("\(folder)/\(name)")) ?? 0 < LogFormat.headerLength { return }
      return damages.append(Damage(file: name, byte: 0, reason: error.description))
    }
    var segment = Segment(file: name, content: Content(bytes: LogFormat.headerLength))
    if LogFormat.ordinal(fileName: name) != file.first {
      damages.append(Damage(file: name, byte: 12, reason: "the header is that of \(LogFormat.fileName(file.first))"))
    }
    var record = LogRecord()
    var position = file.position
    reading: while true {
      switch file.next(into: &record, before: successor) {
      case .record:
        segment.content.add(record, bytes: file.position - position)
        position = file.position
        note(record)
        for series in file.decoder.defined { self.series.insert(series.labels.fingerprint) }
      case .end:
        segment.unfinishedBytes = file.unreadBytes
        if segment.unfinishedBytes > 0, !isLast {
          damages.append(Damage(file: name, byte: position, reason: "the segment ends within a record"))
        }
        break reading
      case .damage(let error):
        damages.append(Damage(file: name, byte: position, reason: error.description))
        break reading
      }
    }
    segment.content.series = file.decoder.seriesCount
    segments.append(segment)
    total.add(segment.content)
  }

  private mutating func note(_ record: LogRecord) {
    guard record.count > 0, record.end > record.first else { return }
    if let last = stretches.last, record.first <= last.upperBound, record.first >= last.lowerBound {
      stretches[stretches.count - 1] = last.lowerBound..<max(last.upperBound, record.end)
    } else {
      stretches.append(record.first..<record.end)
    }
  }

  private mutating func readCursors(_ path: String) throws(LogError) {
    let suffix = ".cursor"
    let names: [String]
    do throws(KernelError) { names = try Directory.names(path) } catch { throw LogError("list", path, error.code) }
    for name in names where name.hasSuffix(suffix) {
      guard let acknowledgement = CursorFile.read(path: "\(path)/\(name)") else {
        // One that was made a moment ago is empty.
        if (try? Directory.size("\(path)/\(name)")) ?? 0 > 0 {
          damages.append(Damage(file: name, byte: 0, reason: "neither of its slots is whole"))
        }
        continue
      }
      remotes.append(
        Remote(
          key: String(name.dropLast(suffix.count)), unacknowledged: samples(notIn: acknowledgement),
          overtaken: acknowledgement.overtaken.reduce(0) { $0 + samples(in: $1, notIn: acknowledgement) }))
    }
  }

  /// The samples of a stretch of the order that are there and not acknowledged.
  private func samples(in wanted: Range<Ordinal> = 0..<(.max), notIn acknowledgement: Acknowledgement) -> UInt64 {
    var count: UInt64 = 0
    for stretch in stretches {
      let rest = stretch.clamped(to: wanted).clamped(to: acknowledgement.first..<(.max))
      count += rest.upperBound - rest.lowerBound
      for range in acknowledgement.ahead {
        let taken = rest.clamped(to: range)
        count -= taken.upperBound - taken.lowerBound
      }
    }
    return count
  }
}

extension LabelSet {
  /// The same for the same labels; others are not to be expected to have it.
  fileprivate var fingerprint: SeriesHash {
    var bytes = ByteWriter(capacity: 256)
    for index in 0..<count {
      bytes.append(varint: UInt64(name(at: index).byteCount))
      bytes.append(name(at: index))
      bytes.append(varint: UInt64(value(at: index).byteCount))
      bytes.append(value(at: index))
    }
    return SeriesHasher.process.hash(bytes.bytes)
  }
}
