import Compression
import NIOCore

/// Where the body of a 200 goes as it comes. Nothing is read from the connection while a part is handed on.
///
/// `@unchecked Sendable`: used on the event loop of its call only.
final class BodyStream: @unchecked Sendable {
  let onHead: (HTTPResponse) -> Void
  let onPart: (ByteBuffer) -> Void
  /// The call has ended: nothing is handed on any more.
  var isStopped = false

  /// Decompressed bytes that go out at a time, and compressed ones that are taken at a time: an answer of a few bytes
  /// may come to a thousand times as many.
  private static let partCapacity = 64 << 10
  private static let pieceCapacity = 16 << 10

  init(onHead: @escaping (HTTPResponse) -> Void, onPart: @escaping (ByteBuffer) -> Void) {
    self.onHead = onHead
    self.onPart = onPart
  }

  /// Hands on what comes of `content`.
  func pass(_ content: RawSpan, _ gunzip: Gunzip, _ buffers: SpareBuffers) throws(GunzipError) {
    var part = buffers.takeCollecting(BodyStream.partCapacity)
    defer { buffers.giveCollecting(part) }
    var start = 0
    while start < content.byteCount, !isStopped {
      let end = min(content.byteCount, start + BodyStream.pieceCapacity)
      try gunzip.feed(content.extracting(start..<end)) { fill in
        part.writeWithUnsafeMutableBytes(minimumWritableBytes: Gunzip.room, fill)
        if part.writableBytes < Gunzip.room { self.handOn(&part) }
      }
      start = end
    }
    handOn(&part)
  }

  private func handOn(_ part: inout ByteBuffer) {
    if part.readableBytes > 0, !isStopped { onPart(part) }
    part.clear()
  }
}
