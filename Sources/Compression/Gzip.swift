/// The gzip file format (RFC 1952) by zlib: what HTTP calls `Content-Encoding: gzip`.
import Bytes
import CZlib

/// For deflateInit2 and inflateInit2: the largest window, in a gzip envelope (zlib.h).
private let gzipWindow: Int32 = 15 + 16

/// Makes gzip members; one compressor is kept and used again, because its memory (256 KiB) is dear to set up.
/// Not for two threads at once.
public final class GzipCompressor {
  /// On the heap because zlib holds on to its address.
  private let stream: UnsafeMutablePointer<z_stream>

  /// `level`: from 1, the fastest, to 9, the smallest; 6 is gzip's and Go's own.
  public init(level: Int = 6) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let status = deflateInit2_(
      stream, Int32(min(max(level, 1), 9)), Z_DEFLATED, gzipWindow, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot set up a compressor: out of memory, or a library of another version")
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  /// Appends `bytes` to `output` as one whole gzip member.
  public func compress(_ bytes: RawSpan, into output: inout ByteWriter) {
    deflateReset(stream)
    bytes.withUnsafeBytes { input in
      var rest = input[...]
      var finished = false
      while !finished {
        // zlib counts in 32 bits, so a very long input goes in by pieces.
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
        rest = rest.dropFirst(piece.count)
        stream.pointee.next_in = piece.zlibInput
        stream.pointee.avail_in = UInt32(piece.count)
        repeat {
          let room = min(Int(deflateBound(stream, UInt(stream.pointee.avail_in))), 1 << 30)
          output.append(capacity: room) { free in
            stream.pointee.next_out = free.baseAddress!.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(free.count)
            finished = deflate(stream, rest.isEmpty ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END
            return free.count - Int(stream.pointee.avail_out)
          }
        } while stream.pointee.avail_out == 0 && !finished
      }
    }
  }
}

/// Why a gzip stream could not be read.
public enum GunzipError: Error, Equatable, CustomStringConvertible {
  /// It holds more than `limit` bytes.
  case tooLarge(limit: Int)
  /// It ends in the middle of a member.
  case truncated
  /// It is no gzip, or was damaged; the reason in zlib's words.
  case corrupt(String)

  public var description: String {
    switch self {
    case .tooLarge(let limit): "gzip: more than \(limit) bytes when decompressed"
    case .truncated: "gzip: unexpected EOF"
    case .corrupt(let reason): "gzip: \(reason)"
    }
  }
}

/// Reads a gzip stream of one or more members as it arrives, up to a limit of decompressed bytes: the memory it takes
/// does not depend on what comes. Not for two threads at once.
public final class Gunzip {
  /// On the heap because zlib holds on to its address.
  private let stream: UnsafeMutablePointer<z_stream>
  private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  private let limit: Int
  /// Decompressed bytes so far.
  private var count = 0
  private var isBetweenMembers = false

  /// `limit`: decompressed bytes in all members together.
  public init(limit: Int) {
    self.limit = limit
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let status = inflateInit2_(stream, gzipWindow, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot set up a decompressor: out of memory, or a library of another version")
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    window.deallocate()
  }

  /// Decompresses the next bytes of the stream, and hands what comes of them to `output` in pieces of up to 64 KiB,
  /// which are valid as long as it runs. After an error the stream is of no more use.
  public func feed(_ bytes: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Void) throws(GunzipError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      rest = rest.dropFirst(piece.count)
      stream.pointee.next_in = piece.zlibInput
      stream.pointee.avail_in = UInt32(piece.count)
      try inflatePiece(output)
    }
  }

  /// The stream is at its end; throws `truncated` when it may not end here.
  public func finish() throws(GunzipError) {
    guard isBetweenMembers else { throw .truncated }
  }

  private func inflatePiece(_ output: (UnsafeRawBufferPointer) -> Void) throws(GunzipError) {
    repeat {
      if isBetweenMembers {
        inflateReset(stream)
        isBetweenMembers = false
      }
      stream.pointee.next_out = window.baseAddress!.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(window.count)
      let status = inflate(stream, Z_NO_FLUSH)
      let produced = window.count - Int(stream.pointee.avail_out)
      guard produced <= limit - count else { throw .tooLarge(limit: limit) }
      count += produced
      if produced > 0 { output(UnsafeRawBufferPointer(rebasing: window[..<produced])) }
      switch status {
      case Z_STREAM_END: isBetweenMembers = true
      case Z_OK, Z_BUF_ERROR: break  // Z_BUF_ERROR: nothing could be done, more input is needed
      default:
        throw .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)")
      }
      // A full window may leave more behind in zlib, even when all input was taken.
    } while stream.pointee.avail_in > 0 || (stream.pointee.avail_out == 0 && !isBetweenMembers)
  }
}

extension UnsafeRawBufferPointer {
  /// As zlib's `next_in`, which it only reads. Nil when empty: then `avail_in` is 0 and zlib does not look at it.
  fileprivate var zlibInput: UnsafeMutablePointer<UInt8>? {
    baseAddress.map { UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self)) }
  }
}
