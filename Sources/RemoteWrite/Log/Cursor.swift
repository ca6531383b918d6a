import Bytes
import Compression
import Glibc

/// What of the log a remote has acknowledged.
struct Acknowledgement: Equatable, Sendable {
  /// All samples before this one.
  var first: Ordinal
  /// And these, in order; requests are answered in any order.
  var ahead: [Range<Ordinal>] = []
}

/// A remote's acknowledgement on disk: a file with two slots that are written in turn, so that one is always whole.
///
///     slot   "PILOTACK" sequence:u64 first:u64 count:u32 (lower:u64 upper:u64){count} crc:u32     little-endian
final class CursorFile {
  /// What does not fit is sent once more after a restart.
  static let mostRanges = 200
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
    guard slot.byteCount >= 32, slot.starts(with: magic) else { return nil }
    let count = Int(slot.littleEndian32(at: 24))
    let end = 28 + 16 * count
    guard count <= mostRanges, slot.byteCount >= end + 4,
      slot.withUnsafeBytes({ Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[..<end])) })
        == slot.littleEndian32(at: end)
    else { return nil }
    var acknowledgement = Acknowledgement(first: slot.littleEndian64(at: 16))
    var last = acknowledgement.first
    guard last < LogFormat.ordinalLimit else { return nil }
    for index in 0..<count {
      let lower = slot.littleEndian64(at: 28 + 16 * index)
      let upper = slot.littleEndian64(at: 36 + 16 * index)
      guard last <= lower, lower < upper, upper < LogFormat.ordinalLimit else { return nil }
      last = upper
      acknowledgement.ahead.append(lower..<upper)
    }
    return (slot.littleEndian64(at: 8), acknowledgement)
  }

  /// Writes the other slot; false when that fails.
  func write(_ acknowledgement: Acknowledgement) -> Bool {
    sequence &+= 1
    let ranges = acknowledgement.ahead.prefix(Self.mostRanges)
    slot.removeAll()
    slot.append(Self.magic)
    slot.append(littleEndian: sequence)
    slot.append(littleEndian: acknowledgement.first)
    slot.append(littleEndian: UInt32(ranges.count))
    for range in ranges {
      slot.append(littleEndian: range.lowerBound)
      slot.append(littleEndian: range.upperBound)
    }
    slot.append(littleEndian: slot.withUnsafeBytes { Checksum.crc32($0) })
    let offset = off_t(sequence % 2) * off_t(Self.slotLength)
    return slot.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, offset) == $0.count }
  }

  func sync() { fdatasync(descriptor) }
}
