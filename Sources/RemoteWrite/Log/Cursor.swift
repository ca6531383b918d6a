import Bytes
import Compression
import Glibc

/// What of the log a remote has acknowledged.
struct Acknowledgement: Equatable, Sendable {
  /// All samples before this one.
  var first: Ordinal
  /// And these, in order; requests are answered in any order.
  var ahead: [Range<Ordinal>] = []
  /// Stretches of which it has acknowledged the samples of all series but those in a filter, which has a file of its own
  /// by the stretch's first sample (`Sender+Overtaking`).
  var overtaken: [Range<Ordinal>] = []
}

/// A remote's acknowledgement on disk: a file with two slots that are written in turn, so that one is always whole.
///
///     slot    "PILOTACK" sequence:u64 first:u64 ahead overtaken crc:u32     little-endian
///     ahead, overtaken   count:u32 (lower:u64 upper:u64){count}
final class CursorFile {
  /// What does not fit is sent once more after a restart.
  static let mostRanges = 200
  /// Backlogs that may have been overtaken at a time.
  static let mostOvertaken = 3
  private static let magic: StaticString = "PILOTACK"
  private static let slotLength = 4096

  private let descriptor: CInt
  private var sequence: UInt64 = 0
  private var slot = ByteWriter(capacity: slotLength)

  /// Opens or makes the file.
  init(path: String) throws(LogError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw LogError("open", path, errno) }
    // The next slot must be newer than those that are there.
    sequence = Self.read(descriptor)?.sequence ?? 0
  }

  deinit { close(descriptor) }

  /// What the file at `path` says: its newest whole slot. Nil when there is none.
  static func read(path: String) -> Acknowledgement? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return read(descriptor)?.acknowledgement
  }

  private static func read(_ descriptor: CInt) -> (sequence: UInt64, acknowledgement: Acknowledgement)? {
    var bytes = [UInt8](repeating: 0, count: 2 * Self.slotLength)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    var newest: (sequence: UInt64, acknowledgement: Acknowledgement)?
    for start in [0, slotLength] where start < count {
      let slot = bytes.span.bytes.extracting(start..<min(count, start + slotLength))
      guard let found = decode(slot), found.sequence >= newest?.sequence ?? 0 else { continue }
      newest = found
    }
    return newest
  }

  /// One slot; nil when it is not whole.
  static func decode(_ slot: RawSpan) -> (sequence: UInt64, acknowledgement: Acknowledgement)? {
    guard slot.byteCount >= 24, slot.starts(with: magic) else { return nil }
    var acknowledgement = Acknowledgement(first: slot.littleEndian64(at: 16))
    var end = 24
    guard acknowledgement.first < LogFormat.ordinalLimit, let ahead = ranges(slot, &end, most: mostRanges),
      let overtaken = ranges(slot, &end, most: mostOvertaken), slot.byteCount >= end + 4,
      slot.withUnsafeBytes({ Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[..<end])) })
        == slot.littleEndian32(at: end)
    else { return nil }
    acknowledgement.ahead = ahead
    acknowledgement.overtaken = overtaken
    return (slot.littleEndian64(at: 8), acknowledgement)
  }

  /// At most `most` ranges at `offset`, in order and without overlap; moves behind them. Nil when they are none.
  private static func ranges(_ slot: RawSpan, _ offset: inout Int, most: Int) -> [Range<Ordinal>]? {
    guard slot.byteCount >= offset + 4 else { return nil }
    let count = Int(slot.littleEndian32(at: offset))
    offset += 4
    guard count <= most, slot.byteCount >= offset + 16 * count else { return nil }
    var ranges: [Range<Ordinal>] = []
    for _ in 0..<count {
      let lower = slot.littleEndian64(at: offset)
      let upper = slot.littleEndian64(at: offset + 8)
      guard ranges.last?.upperBound ?? 0 <= lower, lower <= upper, upper < LogFormat.ordinalLimit else {
        return nil
      }
      ranges.append(lower..<upper)
      offset += 16
    }
    return ranges
  }

  /// Writes the other slot; false when that fails.
  func write(_ acknowledgement: Acknowledgement) -> Bool {
    sequence &+= 1
    slot.removeAll()
    slot.append(Self.magic)
    slot.append(littleEndian: sequence)
    slot.append(littleEndian: acknowledgement.first)
    append(acknowledgement.ahead.prefix(Self.mostRanges))
    append(acknowledgement.overtaken.prefix(Self.mostOvertaken))
    slot.append(littleEndian: slot.withUnsafeBytes { Checksum.crc32($0) })
    let offset = off_t(sequence % 2) * off_t(Self.slotLength)
    return slot.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, offset) == $0.count }
  }

  private func append(_ ranges: ArraySlice<Range<Ordinal>>) {
    slot.append(littleEndian: UInt32(ranges.count))
    for range in ranges {
      slot.append(littleEndian: range.lowerBound)
      slot.append(littleEndian: range.upperBound)
    }
  }

  func sync() { fdatasync(descriptor) }
}
