import Compression
import NIOCore
import NIOHTTP1

/// Gathers the parts of one answer, decompressed, within the limit.
struct ResponseCollector {
  private let request: HTTPRequest
  private let limit: Int
  private var head: HTTPResponseHead?
  private var body = ByteBuffer()
  private var gunzip: Gunzip?

  /// A server's `Content-Length` is believed up to here when room is made; beyond, the room grows with what comes.
  private static let reservedBytes = 1 << 20

  init(_ request: HTTPRequest, limit: Int) {
    self.request = request
    self.limit = max(limit, 0)
  }

  /// Whether the server stays on the line after this answer.
  var isKeepAlive: Bool { head.map { $0.isKeepAlive && $0.status.code != 101 } ?? false }

  mutating func append(_ head: HTTPResponseHead) throws(HTTPClientError) {
    self.head = head
    guard request.method != "HEAD", head.status.code != 204, head.status.code != 304 else { return }
    if head.headers["Content-Encoding"].contains(where: { ["gzip", "x-gzip"].contains($0.lowercased()) }) {
      gunzip = Gunzip(limit: limit)
    } else if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }) {
      guard length <= limit else { throw tooLarge }
      body.reserveCapacity(min(length, ResponseCollector.reservedBytes))
    }
  }

  mutating func append(_ part: ByteBuffer) throws(HTTPClientError) {
    guard let gunzip else {
      guard part.readableBytes <= limit - body.readableBytes else { throw tooLarge }
      body.writeImmutableBuffer(part)
      return
    }
    do throws(GunzipError) {
      try gunzip.feed(part, into: &body)
    } catch {
      throw HTTPClientError(decompressing: HTTPClientError.Attempt(request), error)
    }
  }

  /// The answer is complete.
  mutating func end() throws(HTTPClientError) -> HTTPResponse {
    do throws(GunzipError) {
      try gunzip?.finish()
    } catch {
      throw HTTPClientError(decompressing: HTTPClientError.Attempt(request), error)
    }
    guard let head else { throw .connection(HTTPClientError.Attempt(request), reason: "unexpected EOF") }
    return HTTPResponse(
      status: Int(head.status.code), headers: head.headers.map { (name: $0.name, value: $0.value) }, body: body)
  }

  private var tooLarge: HTTPClientError { .bodyTooLarge(HTTPClientError.Attempt(request), limit: limit) }
}

extension Gunzip {
  fileprivate func feed(_ part: ByteBuffer, into body: inout ByteBuffer) throws(GunzipError) {
    // withUnsafeReadableBytes does not carry the type of an error; a Result does.
    let result = part.withUnsafeReadableBytes { bytes -> Result<Void, GunzipError> in
      do throws(GunzipError) {
        try feed(bytes) { body.writeBytes($0) }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }
}
