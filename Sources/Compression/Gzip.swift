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
  /// It is no gzip, or was damaged; the reason in the words of Go's compress/gzip.
  case corrupt(String)

  public var description: String {
    switch self {
    case .tooLarge(let limit): "gzip: more than \(limit) bytes when decompressed"
    case .truncated: "unexpected EOF"
    case .corrupt(let reason): reason
    }
  }

  /// The shortest header of a member.
  private static let headerLength = 10

  /// - Parameters:
  ///   - message: of zlib.
  ///   - length: bytes of the member that have come. What is shorter than a header has ended too early to Go.
  fileprivate init(_ message: String, length: Int) {
    switch message {
    case "incorrect header check", "unknown compression method", "unknown header flags set", "header crc mismatch":
      self = length < GunzipError.headerLength ? .truncated : .corrupt("gzip: invalid header")
    case "incorrect data check", "incorrect length check": self = .corrupt("gzip: invalid checksum")
    default: self = .corrupt("flate: corrupt input: \(message)")
    }
  }
}

/// Reads a gzip stream of one or more members as it arrives, up to a limit of decompressed bytes: the memory it takes
/// does not depend on what comes. Not for two threads at once.
public final class Gunzip {
  /// On the heap because zlib holds on to its address.
  private let stream: UnsafeMutablePointer<z_stream>
  private var limit: Int
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
  }

  /// Begins with another stream: cheaper than a new one.
  public func reset(limit: Int) {
    inflateReset(stream)
    self.limit = limit
    count = 0
    isBetweenMembers = false
  }

  /// The least room that `feed` is to be given each time.
  public static let room = 16 << 10

  /// Decompresses the next bytes of the stream. `output` is called with a function that writes what comes of them to
  /// the memory it is given, and returns how many bytes there are now. After an error the stream is of no more use.
  public func feed(
    _ bytes: RawSpan, _ output: ((UnsafeMutableRawBufferPointer) -> Int) -> Void
  ) throws(GunzipError) {
    var start = 0
    while start < bytes.byteCount {
      // zlib counts in 32 bits, so a very long input goes in by pieces.
      let end = start + min(1 << 30, bytes.byteCount - start)
      let fault = bytes.extracting(start..<end).withUnsafeBytes { piece in
        stream.pointee.next_in = piece.zlibInput
        stream.pointee.avail_in = UInt32(piece.count)
        return inflatePiece(output)
      }
      if let fault { throw fault }
      start = end
    }
  }

  /// The stream is at its end; throws `truncated` when it may not end here.
  public func finish() throws(GunzipError) {
    guard isBetweenMembers else { throw .truncated }
  }

  private func inflatePiece(_ output: ((UnsafeMutableRawBufferPointer) -> Int) -> Void) -> GunzipError? {
    var isFull = false
    repeat {
      if isBetweenMembers {
        inflateReset(stream)
        isBetweenMembers = false
      }
      var status = Z_OK
      output { memory in
        // One byte beyond the limit, to see that there are more.
        let allowed = limit - count
        let room = min(memory.count, min(allowed, 1 << 30) + 1)
        stream.pointee.next_out = memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room)
        status = inflate(stream, Z_NO_FLUSH)
        isFull = stream.pointee.avail_out == 0
        let produced = room - Int(stream.pointee.avail_out)
        count += produced
        return min(produced, allowed)
      }
      guard count <= limit else { return .tooLarge(limit: limit) }
      switch status {
      case Z_STREAM_END: isBetweenMembers = true
      case Z_OK, Z_BUF_ERROR: break  // Z_BUF_ERROR: nothing could be done, more input is needed
      default:
        return GunzipError(
          stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)",
          length: Int(stream.pointee.total_in) + Int(stream.pointee.avail_in))
      }
      // Where the room was filled, more may be left behind in zlib, even when all input was taken.
    } while stream.pointee.avail_in > 0 || (isFull && !isBetweenMembers)
    return nil
  }
}

extension UnsafeRawBufferPointer {
  /// As zlib's `next_in`, which it only reads. Nil when empty: then `avail_in` is 0 and zlib does not look at it.
  fileprivate var zlibInput: UnsafeMutablePointer<UInt8>? {
    baseAddress.map { UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self)) }
  }
}
