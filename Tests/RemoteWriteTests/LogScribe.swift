import Bytes
import Exposition
import Glibc
import TestSupport

@testable import RemoteWrite

/// A sample with all that a reader is to know of it.
struct Told: Equatable {
  var labels: LabelSet
  var timestamp: Int64
  var bits: UInt64
}

/// Writes segments as the agent does, and keeps what stands in them: the model for readers.
struct LogScribe: ~Copyable {
  var table = LabelTable()
  var encoder = SegmentEncoder()
  var next: Ordinal = 1
  /// By ordinal, from 1 on.
  private(set) var told: [Told] = []
  private(set) var exemplars: [Ordinal: Double] = [:]
  /// The file being written.
  private var file: String?

  /// Appends a record; gives its first ordinal.
  @discardableResult
  mutating func append(_ samples: [Sample], _ attachments: [Exposition.Attachment] = [], now: Int64 = 1000) -> Ordinal {
    let first = next
    for sample in samples {
      told.append(
        Told(
          labels: table.labels(of: sample.series.rawValue), timestamp: sample.timestamp,
          bits: sample.value.bitPattern))
    }
    for attachment in attachments {
      if case .exemplar(_, let value, _) = attachment.content { exemplars[first + Ordinal(attachment.sample)] = value }
      if case .start(let start) = attachment.content {
        table.setStart(start, of: samples[attachment.sample].series.rawValue)
      }
    }
    encoder.append(samples[...], attachments[...], offset: 0, first: first, now: now, &table)
    next += Ordinal(samples.count)
    return first
  }

  mutating func series(_ name: String, _ labels: [(String, String)] = [], _ metadata: MetricMetadata? = nil) -> SeriesID
  {
    SeriesID(rawValue: table.register(LabelSet(pairs: [("__name__", name)] + labels), metadata) ?? .max)
  }

  /// Writes what was encoded into files.
  mutating func flush(to folder: TemporaryDirectory) {
    var pending = SegmentEncoder.Pending()
    encoder.takePending(&pending)
    let bytes = pending.bytes.withUnsafeBytes { Array($0) }
    var start = 0
    for (offset, first) in pending.segments {
      add(Array(bytes[start..<offset]), to: folder)
      file = LogFormat.fileName(first)
      start = offset
    }
    add(Array(bytes[start...]), to: folder)
  }

  private func add(_ bytes: [UInt8], to folder: TemporaryDirectory) {
    guard let file, !bytes.isEmpty else { return }
    folder.write(file, bytes: (fileBytes("\(folder.path)/\(file)") ?? []) + bytes)
  }
}

/// What stands in a file; nil when there is none.
func fileBytes(_ path: String) -> [UInt8]? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { return nil }
  var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
  return read(descriptor, &bytes, bytes.count) == bytes.count ? bytes : nil
}

/// Reads all of a folder from `position` on, as a sender does; gives each sample by its ordinal, and the gaps.
func readAll(
  _ folder: LogFolder, from position: Ordinal = 1, step: Int = 7
) -> (samples: [Ordinal: Told], gaps: [LogChunk.Gap], reports: [String]) {
  let store = SampleStore(
    Intake(
      table: LabelTable(), ring: SampleRing(end: 1 << 40, limit: 1), isLogged: true, segmentBytes: .max))
  let reader = LogReader(folder: folder, store: store)
  var position = position
  var samples: [Ordinal: Told] = [:]
  var gaps: [LogChunk.Gap] = []
  var reports: [String] = []
  while true {
    let chunk = reader.read(from: position, count: step) { reports.append($0) }
    if let gap = chunk.gap { gaps.append(gap) }
    guard !chunk.samples.isEmpty else { break }
    for (index, sample) in chunk.samples.enumerated() {
      let labels = store.withIntake { $0.table.labels(of: sample.series.rawValue) }
      samples[chunk.first + Ordinal(index)] = Told(
        labels: labels, timestamp: sample.timestamp, bits: sample.value.bitPattern)
      store.withIntake { $0.table.letGo(sample.series.rawValue) }
    }
    position = chunk.end
  }
  reader.close()
  store.withIntake { $0.forgetReclaimed() }
  return (samples, gaps, reports)
}
