import Bytes
import Compression
import Glibc

/// One segment's file, read from front to back, record by record.
final class SegmentFile {
  enum Next {
    /// A record was read into the buffer that was given.
    case record
    /// There is no whole record behind the last one (yet).
    case end
    /// What follows is no record.
    case damage(LogDamage)
  }

  private static let bufferLength = 256 << 10

  /// The ordinal that the header says.
  let first: Ordinal
  /// Milliseconds since the epoch.
  let created: Int64
  /// How far whole, undamaged records go, in bytes.
  private(set) var position: Int
  /// The sample behind the last one that was read.
  private var end: Ordinal
  private(set) var decoder = SegmentDecoder()

  private let descriptor: CInt
  private var buffer = [UInt8](repeating: 0, count: bufferLength)
  /// Where in the file the buffer starts, and how much of it is filled.
  private var bufferStart = 0
  private var bufferCount = 0

  /// Opens a segment.
  ///
  /// - Throws: an error that `isDamage` when the file is none of this version.
  init(path: String) throws(LogError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw LogError("open", path, errno) }
    var header = [UInt8](repeating: 0, count: LogFormat.headerLength)
    let count = pread(descriptor, &header, header.count, 0)
    guard count == header.count, let (first, created) = LogFormat.readHeader(header.span.bytes) else {
      close(descriptor)
      throw LogError(
        "read", path, reason: "it does not begin with the header of a segment of version 1", isDamage: true)
    }
    self.first = first
    end = first
    self.created = created
    position = header.count
  }

  deinit { close(descriptor) }

  /// Reads the next record.
  ///
  /// - Parameter successor: where the next segment begins.
  func next(into record: inout LogRecord, before successor: Ordinal? = nil) -> Next {
    guard fill(LogFormat.recordHeaderLength) else { return .end }
    var offset = position - bufferStart
    let (length, sum) = withBuffer { ($0.littleEndian32(at: offset), $0.littleEndian32(at: offset + 4)) }
    guard length > 0, length <= LogFormat.longestRecord else {
      return .damage(LogDamage("a record has an impossible length"))
    }
    guard fill(LogFormat.recordHeaderLength + Int(length)) else { return .end }
    offset = position - bufferStart + LogFormat.recordHeaderLength
    let damage: LogDamage? = withBuffer { bytes in
      let payload = bytes.extracting(offset..<offset + Int(length))
      guard payload.withUnsafeBytes({ Checksum.crc32($0) }) == sum else {
        return LogDamage("a record's checksum is wrong")
      }
      do throws(LogDamage) {
        try decoder.decode(payload, into: &record)
        return nil
      } catch { return error }
    }
    if let damage { return .damage(damage) }
    guard record.first >= end, record.end <= successor ?? .max else {
      return .damage(LogDamage("a record is of samples that stand elsewhere"))
    }
    end = record.end
    position += LogFormat.recordHeaderLength + Int(length)
    return .record
  }

  /// Gives the next record's payload without a look at its checksum; false when there is no whole record, or `body`
  /// wants no more.
  func nextUnchecked(_ body: (RawSpan) -> Bool) -> Bool {
    guard fill(LogFormat.recordHeaderLength) else { return false }
    let start = position - bufferStart
    let length = Int(withBuffer { $0.littleEndian32(at: start) })
    guard length > 0, length <= LogFormat.longestRecord, fill(LogFormat.recordHeaderLength + length) else {
      return false
    }
    let offset = position - bufferStart + LogFormat.recordHeaderLength
    position += LogFormat.recordHeaderLength + length
    return withBuffer { body($0.extracting(offset..<offset + length)) }
  }

  /// The ordinal behind the last whole record that follows the damaged one at the position; nil when none does.
  func endBehindDamage() -> Ordinal? {
    var end: Ordinal?
    var payload: [UInt8] = []
    var offset = position
    while true {
      var header = [UInt8](repeating: 0, count: LogFormat.recordHeaderLength)
      guard pread(descriptor, &header, header.count, off_t(offset)) == header.count else { return end }
      let length = Int(header.span.bytes.littleEndian32(at: 0))
      guard length > 0, length <= LogFormat.longestRecord else { return end }
      payload = [UInt8](repeating: 0, count: length)
      guard pread(descriptor, &payload, length, off_t(offset + header.count)) == length else { return end }
      if payload.withUnsafeBytes({ Checksum.crc32($0) }) == header.span.bytes.littleEndian32(at: 4) {
        var head = ByteScanner(payload.span.bytes)
        // One of samples from before the segment stands in the wrong place.
        if let first = head.varint(), head.zigzag() != nil, let count = head.varint(), first >= self.first,
          count <= UInt64(LogFormat.mostSamples), first <= .max - count
        {
          end = max(end ?? 0, first + count)
        }
      }
      offset += header.count + length
    }
  }

  /// Whether the file ends where the last record did.
  var isAtEnd: Bool { unreadBytes == 0 }

  /// Bytes behind the last record.
  var unreadBytes: Int { max(0, fileLength - position) }

  private var fileLength: Int {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  private func withBuffer<R>(_ body: (RawSpan) -> R) -> R {
    let bytes = buffer
    return body(bytes.span.bytes)
  }

  /// Makes sure that the buffer holds `count` bytes from the position on; false when the file is shorter.
  private func fill(_ count: Int) -> Bool {
    let held = bufferStart + bufferCount - position
    if position >= bufferStart, held >= count { return true }
    if count > buffer.count {
      // A damaged length must not cost memory.
      guard fileLength >= position + count else { return false }
      buffer = [UInt8](repeating: 0, count: count + Self.bufferLength)
    }
    bufferStart = position
    bufferCount = 0
    while bufferCount < count {
      let got = buffer.withUnsafeMutableBytes { bytes in
        pread(descriptor, bytes.baseAddress! + bufferCount, bytes.count - bufferCount, off_t(bufferStart + bufferCount))
      }
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { return false }
      bufferCount += got
    }
    return true
  }
}

/// Why the log's folder or one of its files cannot be used.
public struct LogError: Error, CustomStringConvertible {
  public let description: String
  /// The file is there and can be read, but is not what it should be.
  let isDamage: Bool

  init(_ call: String, _ path: String, _ code: CInt) {
    self.init(call, path, reason: String(cString: strerror(code)))
  }

  init(_ call: String, _ path: String, reason: String, isDamage: Bool = false) {
    self.isDamage = isDamage
    description = "log: \(call) \(path): \(reason)"
  }
}
