import Bytes
import Glibc

/// Reads the small files of sysfs and procfs that hold one value each, of devices that come and go: each by open,
/// read and close, into one buffer. What is read at every scrape and never goes is a `KernelFile`.
///
/// A file that is not there, that the kernel gives no value for (a network card that is down answers EINVAL for its
/// speed, a sleeping sensor EAGAIN) or that may not be read has no value: nil, so that a device loses this one only.
///
/// A reader belongs to one thread at a time.
public final class AttributeReader {
  private var path = ByteWriter(capacity: 256)
  private var buffer: ByteWriter
  private let limit: Int

  /// Reads no more than node_exporter does of most files of sysfs: longer texts end there in its labels, too.
  public static func short() -> AttributeReader { AttributeReader(limit: 128) }

  /// - Parameter limit: bytes; what a longer file holds beyond is not read. sysfs gives at most a page.
  public init(limit: Int = 64 << 10) {
    self.limit = limit
    buffer = ByteWriter(capacity: min(limit, 4096) + 64)
  }

  /// Hands the file's bytes, without blanks at both ends, to `body`; nil when it has none.
  public func value<R>(_ folder: String, _ file: String, _ body: (RawSpan) throws -> R) rethrows -> R? {
    try contents(folder, file) { bytes in try body(bytes.trimmed) }
  }

  /// Hands the file's bytes as they are to `body`; nil when it has none.
  public func contents<R>(_ folder: String, _ file: String, _ body: (RawSpan) throws -> R) rethrows -> R? {
    guard readFile(folder, file) else { return nil }
    return try buffer.withBytes { bytes in try body(bytes) }
  }

  /// The file's text without blanks at both ends.
  public func text(_ folder: String, _ file: String) -> String? {
    value(folder, file) { String(utf8: $0) }
  }

  /// The file's number, without a sign.
  public func unsigned(_ folder: String, _ file: String) -> UInt64? {
    value(folder, file) { UInt64(decimal: $0) } ?? nil
  }

  /// The file's whole number.
  public func signed(_ folder: String, _ file: String) -> Int64? {
    value(folder, file) { Int64(decimal: $0) } ?? nil
  }

  private func readFile(_ folder: String, _ file: String) -> Bool {
    path.removeAll()
    path.append(folder)
    path.append(UInt8(ascii: "/"))
    path.append(file)
    path.append(0)
    let descriptor = path.withUnsafeBytes { bytes in
      // O_NONBLOCK: a FIFO in the place of a file gives nothing instead of a wait.
      open(bytes.baseAddress!.assumingMemoryBound(to: CChar.self), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    }
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    buffer.removeAll()
    while buffer.count < limit {
      let room = min(limit - buffer.count, 4096)
      var count = 0
      buffer.append(capacity: room) { bytes in
        repeat { count = read(descriptor, bytes.baseAddress, bytes.count) } while count < 0 && errno == EINTR
        return max(count, 0)
      }
      guard count >= 0 else { return false }
      // The kernel fills the room as long as there is more.
      if count < room { break }
    }
    return true
  }
}
