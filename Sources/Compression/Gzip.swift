// gzip, RFC 1952, by zlib.

import Bytes
import CZlib

/// Compresses to gzip.
public struct GzipCompressor: ~Copyable {
  private let level: Int32

  /// - Parameter level: 1, fastest, to 9, smallest.
  public init(level: Int) { self.level = Int32(clamping: min(max(level, 1), 9)) }

  /// Appends one gzip member that holds `bytes`.
  public func compress(_ bytes: RawSpan, into output: inout ByteWriter) {
    var stream = z_stream()
    // 15 + 16: the largest window, with a gzip header.
    let code = deflateInit2_(
      &stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(code == Z_OK, "deflateInit2: out of memory")
    defer { deflateEnd(&stream) }
    bytes.withUnsafeBytes { input in
      stream.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
      stream.avail_in = UInt32(input.count)
      let bound = Int(deflateBound(&stream, UInt(input.count)))
      output.append(capacity: bound) { room in
        stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(room.count)
        // The bound holds: one call takes all.
        _ = deflate(&stream, Z_FINISH)
        return room.count - Int(stream.avail_out)
      }
    }
  }
}
