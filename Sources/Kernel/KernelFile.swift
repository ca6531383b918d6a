import Bytes
import Glibc

/// A file of /proc, /sys or a cgroup tree, opened once and read again and again with pread(2) into a caller's
/// buffer: opening costs more than reading.
///
/// When the file is gone or was replaced (a device was unplugged and came back), the next read opens it anew.
/// A file belongs to one thread at a time.
public final class KernelFile {
  public let path: String
  private let source: Source
  private let limit: Int
  private var descriptor: Int32 = -1
  /// Room for what was there last time, and a little more.
  private var room = 4096

  /// How the kernel makes the file's text, as far as is known: what one read leaves out.
  public enum Source: Sendable {
    /// In one piece (single_open(), the files of /proc/sys and sysfs): what is less than was asked for is all.
    case onePiece
    /// Line by line (seq_open()), each shorter than half a page: what is less than half a page is all.
    case shortLines
    /// Only a read that gives nothing is the end.
    case unknown
  }

  /// - Parameters:
  ///   - source: saves the read that finds the end, for which the kernel would walk some of its tables once more.
  ///   - limit: bytes; a longer file is an error (EFBIG).
  public init(_ path: String, _ source: Source = .unknown, limit: Int = 64 << 20) {
    self.path = path
    self.source = source
    self.limit = limit
  }

  deinit { close() }

  /// Reads the whole file; `buffer` then holds it and nothing else.
  ///
  /// - Throws: when it cannot be opened or read, or is longer than the limit.
  public func read(into buffer: inout ByteWriter) throws(KernelError) {
    let wasOpen = descriptor >= 0
    do {
      try readOnce(into: &buffer)
    } catch {
      close()
      guard wasOpen else { throw error }
      try readOnce(into: &buffer)
    }
  }

  /// As `read(into:)`, but false when the file is not there.
  public func readIfPresent(into buffer: inout ByteWriter) throws(KernelError) -> Bool {
    do {
      try read(into: &buffer)
      return true
    } catch {
      guard error.isAbsence else { throw error }
      return false
    }
  }

  /// Reads the whole file and hands its bytes to `body`, which may use them as long as it runs.
  public func read<R>(into buffer: inout ByteWriter, _ body: (RawSpan) throws -> R) throws -> R {
    try read(into: &buffer)
    return try body(buffer.bytes)
  }

  private func readOnce(into buffer: inout ByteWriter) throws(KernelError) {
    if descriptor < 0 {
      // O_NONBLOCK: a FIFO in the place of a file gives an error instead of a wait.
      descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw KernelError("open", path) }
    }
    buffer.removeAll()
    var chunk = room
    while true {
      let offset = buffer.count
      var failure: Int32 = 0
      buffer.append(capacity: chunk) { room in
        let count = pread(descriptor, room.baseAddress, room.count, off_t(offset))
        if count < 0 { failure = errno }
        return max(count, 0)
      }
      if failure == EINTR { continue }
      guard failure == 0 else { throw KernelError("read", path, code: failure) }
      let count = buffer.count - offset
      guard buffer.count <= limit else { throw KernelError("read", path, code: EFBIG) }
      if count == 0 || count < chunk && source.ends(with: buffer.count) {
        room = max(4096, min(buffer.count + 1024, 1 << 20))
        return
      }
      if count == chunk { chunk = min(chunk * 2, 1 << 20) }
    }
  }

  private func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}

extension KernelFile.Source {
  /// Whether a file of which a read gave less than was asked for ends there.
  ///
  /// - Parameter length: of the file so far, in bytes.
  fileprivate func ends(with length: Int) -> Bool {
    switch self {
    case .onePiece: true
    // The kernel's page was not full, so it was not the next line that did not fit.
    case .shortLines: length < 2048
    case .unknown: false
    }
  }
}
