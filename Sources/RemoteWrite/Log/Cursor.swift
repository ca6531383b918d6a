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

  let path: String
  private let descriptor: CInt
  private var sequence: UInt64 = 0
  private var slot = ByteWriter(capacity: slotLength)

  /// Opens or makes the file.
  init(path: String) throws(LogError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw LogError("open", path, errno) }
    // What is written goes on from the newest slot's number, or the older slot would be taken for the newer one.
    _ = read()
  }

  deinit { close(descriptor) }

  /// The newest whole slot; nil when there is none.
  func read() -> Acknowledgement? {
    var bytes = [UInt8](repeating: 0, count: 2 * Self.slotLength)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    var newest: Acknowledgement?
    for start in [0, Self.slotLength] where start < count {
      let span = bytes.span.bytes.extracting(start..<min(count, start + Self.slotLength))
      guard let (number, acknowledgement) = Self.decode(span), number >= sequence else { continue }
      sequence = number
      newest = acknowledgement
    }
    return newest
  }

  private static func decode(_ slot: RawSpan) -> (UInt64, Acknowledgement)? {
    guard slot.byteCount >= 32, slot.starts(with: magic) else { return nil }
    let count = Int(slot.littleEndian32(at: 24))
    let end = 28 + 16 * count
    guard count <= mostRanges, slot.byteCount >= end + 4,
      slot.withUnsafeBytes({ Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[..<end])) })
        == slot.littleEndian32(at: end)
    else { return nil }
    var acknowledgement = Acknowledgement(first: slot.littleEndian64(at: 16))
    for index in 0..<count {
      let lower = slot.littleEndian64(at: 28 + 16 * index)
      let upper = slot.littleEndian64(at: 36 + 16 * index)
      guard lower < upper else { return nil }
      acknowledgement.ahead.append(lower..<upper)
    }
    return (slot.littleEndian64(at: 8), acknowledgement)
  }

  /// Writes the other slot; false when that fails.
  func write(_ acknowledgement: Acknowledgement) -> Bool {
    sequence += 1
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
