import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server on loopback that answers as a test says: what stands for STS, for the container's endpoint or for the
/// instance's metadata.
final class FakeServices: Sendable {
  struct Request: Sendable {
    var method: String
    var target: String
    var headers: HTTPHeaders
    var body: String
  }

  typealias Answer = @Sendable (Request) -> (status: Int, body: String)

  let port: Int
  private let channel: any Channel
  private let log = RequestLog()

  init(_ answer: @escaping Answer) async throws {
    let log = log
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(AnswerHandler(answer, log))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var requests: [Request] { log.requests.withLock { $0 } }

  func close() async { try? await channel.close() }
}

private final class RequestLog: Sendable {
  let requests = Mutex<[FakeServices.Request]>([])
}

private final class AnswerHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let answer: FakeServices.Answer
  private let log: RequestLog
  private var request = FakeServices.Request(method: "", target: "", headers: [:], body: "")

  init(_ answer: @escaping FakeServices.Answer, _ log: RequestLog) {
    self.answer = answer
    self.log = log
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      request = FakeServices.Request(
        method: head.method.rawValue, target: head.uri, headers: head.headers, body: "")
    case .body(let bytes): request.body += String(buffer: bytes)
    case .end:
      log.requests.withLock { $0.append(request) }
      let (status, body) = answer(request)
      let head = HTTPResponseHead(
        version: .http1_1, status: HTTPResponseStatus(statusCode: status),
        headers: ["Content-Length": "\(body.utf8.count)"])
      context.write(wrapOutboundOut(.head(head)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }
}
