import Compression
import NIOCore

/// Memory that the connections of one event loop take turns with, so that one on which nothing happens has none, and
/// an answer costs no allocation of its size.
///
/// A buffer comes back while somebody may still hold what was in it: it is used again only if nobody does by then.
/// `@unchecked Sendable`: used on the event loop only.
final class SpareBuffers: @unchecked Sendable {
  /// Enough for most answers in one read; memory that is never written to costs nothing.
  static let receiveCapacity = 256 << 10
  private static let maximumCapacity = 1 << 20
  private static let maximumCount = 4

  private var receiving: ByteBuffer?
  private var collecting: [ByteBuffer] = []
  private var gunzips: [Gunzip] = []

  /// An empty buffer for the next read of any connection.
  func takeReceiving() -> ByteBuffer {
    if var buffer = receiving.take(), Self.empty(&buffer, 0) { return buffer }
    return ByteBufferAllocator().buffer(capacity: Self.receiveCapacity)
  }

  func giveReceiving(_ buffer: ByteBuffer) {
    if buffer.capacity == Self.receiveCapacity { receiving = buffer }
  }

  /// An empty buffer with room for `capacity` bytes.
  func takeCollecting(_ capacity: Int) -> ByteBuffer {
    while var buffer = collecting.popLast() {
      if Self.empty(&buffer, capacity) { return buffer }
    }
    return ByteBufferAllocator().buffer(capacity: capacity)
  }

  func giveCollecting(_ buffer: ByteBuffer) {
    if collecting.count < Self.maximumCount, 1...Self.maximumCapacity ~= buffer.capacity { collecting.append(buffer) }
  }

  /// False when somebody else holds its memory.
  private static func empty(_ buffer: inout ByteBuffer, _ capacity: Int) -> Bool {
    buffer.modifyIfUniquelyOwned { $0.clear(minimumCapacity: capacity) } != nil
  }

  func takeGunzip(limit: Int) -> Gunzip {
    guard let spare = gunzips.popLast() else { return Gunzip(limit: limit) }
    spare.reset(limit: limit)
    return spare
  }

  func giveGunzip(_ gunzip: Gunzip) {
    if gunzips.count < Self.maximumCount { gunzips.append(gunzip) }
  }
}

/// Reads of a connection go to the buffer that it shares with the others.
///
/// NIO keeps the first buffer that a channel's allocator made for as long as the channel lives, and with
/// `maxMessagesPerRead` 1 no other one: so the first is tiny.
struct ReceiveAllocator: RecvByteBufferAllocator {
  private let buffers: SpareBuffers
  private var hasRead = false

  init(_ buffers: SpareBuffers) { self.buffers = buffers }

  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
    hasRead ? buffers.takeReceiving() : allocator.buffer(capacity: 16)
  }

  /// True, "the next buffer may be larger", keeps NIO from using the first one again.
  mutating func record(actualReadBytes: Int) -> Bool {
    hasRead = true
    return true
  }
}
