import Bytes
import Compression
import NIOCore

/// Puts one answer together from what a connection receives: decompressed, and within the limit.
///
/// With a `BodyStream`, the body of a 200 is not put together but goes out as it comes.
struct ResponseAssembly {
  private var reader: ResponseReader
  private let limit: Int
  private let stream: BodyStream?
  /// Whether the body of this answer goes out as it comes.
  private var isStreamed = false
  private var streamedBytes = 0
  private var status = 0
  /// What came and is no whole line yet.
  private var unread = ByteBuffer()
  /// The lines of the header fields, then the body.
  private var collected = ByteBuffer()
  private var fieldBytes = 0
  private var gunzip: Gunzip?

  /// Whether there was any byte.
  private(set) var hasBegun = false
  /// Whether the server stays on the line after this answer, and has sent nothing behind it.
  private(set) var isKeepAlive = false

  /// A server's `Content-Length` is believed up to here when room is made; beyond, the room grows with what comes.
  private static let maximumReserve = 1 << 20

  init(isAnswerToHead: Bool, limit: Int, stream: BodyStream? = nil) {
    reader = ResponseReader(isAnswerToHead: isAnswerToHead)
    self.limit = max(limit, 0)
    self.stream = stream
  }

  /// Bytes that are still to come; nil when that is not known.
  var missing: Int? { reader.missing }

  /// The answer, when `data` completes it. If all of it is in `data`, its parts stay there and are not copied.
  mutating func append(_ data: ByteBuffer, _ buffers: SpareBuffers) throws(ResponseFault) -> HTTPResponse? {
    hasBegun = true
    let isContinued = unread.readableBytes > 0
    if isContinued { unread.writeImmutableBuffer(data) }
    let input = isContinued ? unread : data
    if isContinued { unread = ByteBuffer() }

    let bytes = input.readableBytesSpan
    var position = 0
    while let part = try reader.next(in: bytes, at: &position) {
      switch part {
      case .head(let head):
        status = head.status
        isKeepAlive = head.isKeepAlive
        isStreamed = stream != nil && status == 200
        if isStreamed {
          stream?.onHead(HTTPResponse(status: status, fields: input.part(head.fields), body: ByteBuffer()))
        }
        if let length = reader.missing, !head.isGzip {
          guard length <= bodyLimit else { throw .tooLarge(status: status) }
          if !isStreamed, length <= bytes.byteCount - position {
            if position + length < bytes.byteCount { isKeepAlive = false }
            return HTTPResponse(
              status: status, fields: input.part(head.fields), body: input.part(position..<position + length))
          }
        }
        collect(bytes.extracting(head.fields), head, buffers)
      case .content(let range):
        if isStreamed, gunzip == nil {
          try pass(input.part(range))
        } else {
          try append(bytes.extracting(range), buffers)
        }
        // What comes now is for nobody.
        if stream?.isStopped == true { return nil }
      case .end:
        if position < bytes.byteCount { isKeepAlive = false }
        return try finish(buffers)
      }
    }
    if position == 0, isContinued {
      unread = input
    } else if position < bytes.byteCount {
      unread.writeBytes(bytes.extracting(position..<bytes.byteCount))
    }
    return nil
  }

  /// The answer, when the end of the connection completes it.
  mutating func close(_ buffers: SpareBuffers) throws(ResponseFault) -> HTTPResponse {
    guard reader.isCompleteAtClose else { throw .truncated }
    isKeepAlive = false
    return try finish(buffers)
  }

  /// The answer is no longer needed here: its memory may be used again.
  mutating func recycle(_ buffers: SpareBuffers) {
    buffers.giveCollecting(collected)
    if let gunzip { buffers.giveGunzip(gunzip) }
    (collected, unread, gunzip) = (ByteBuffer(), ByteBuffer(), nil)
  }

  private mutating func collect(_ fields: RawSpan, _ head: ResponseHead, _ buffers: SpareBuffers) {
    if head.isGzip { gunzip = buffers.takeGunzip(limit: bodyLimit) }
    let reserve = isStreamed ? 0 : min(reader.missing ?? 0, ResponseAssembly.maximumReserve)
    collected = buffers.takeCollecting(fields.byteCount + reserve)
    collected.writeBytes(fields)
    fieldBytes = fields.byteCount
  }

  /// The limit of this answer's body: one that is no part of a stream need not be longer than a few words.
  private var bodyLimit: Int {
    stream == nil || isStreamed ? limit : min(limit, ResponseAssembly.maximumReserve)
  }

  private mutating func append(_ content: RawSpan, _ buffers: SpareBuffers) throws(ResponseFault) {
    guard let gunzip else {
      guard content.byteCount <= bodyLimit - (collected.readableBytes - fieldBytes) else {
        throw .tooLarge(status: status)
      }
      collected.writeBytes(content)
      return
    }
    do throws(GunzipError) {
      if isStreamed, let stream {
        try stream.pass(content, gunzip, buffers)
      } else {
        try gunzip.feed(content) { fill in
          collected.writeWithUnsafeMutableBytes(minimumWritableBytes: Gunzip.room, fill)
        }
      }
    } catch {
      throw ResponseFault(error, status: status)
    }
  }

  private mutating func pass(_ content: ByteBuffer) throws(ResponseFault) {
    guard content.readableBytes <= limit - streamedBytes else { throw .tooLarge(status: status) }
    streamedBytes += content.readableBytes
    if let stream, !stream.isStopped { stream.onPart(content) }
  }

  private mutating func finish(_ buffers: SpareBuffers) throws(ResponseFault) -> HTTPResponse {
    do throws(GunzipError) {
      try gunzip?.finish()
    } catch {
      throw ResponseFault(error, status: status)
    }
    return HTTPResponse(
      status: status, fields: collected.part(0..<fieldBytes), body: collected.part(fieldBytes..<collected.readableBytes)
    )
  }
}

extension ByteBuffer {
  /// Readable bytes, in the same memory.
  fileprivate func part(_ range: Range<Int>) -> ByteBuffer {
    getSlice(at: readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
  }
}
