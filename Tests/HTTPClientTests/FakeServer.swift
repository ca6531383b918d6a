import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A server on loopback that does what a test tells it, byte by byte: no HTTP library stands between.
final class FakeServer: Sendable {
  enum Step: Sendable {
    case send([UInt8])
    /// One byte at a time, without an end in sight.
    case drip([UInt8])
    /// Zeros, until the client has had enough.
    case flood
    case close
    /// A close that the client sees as "connection reset by peer".
    case reset

    static func send(_ text: String) -> Step { .send(Array(text.utf8)) }
  }

  struct Request: Sendable {
    /// Counted from 0, in the order in which they were accepted.
    let connection: Int
    /// Counted from 0 on this connection.
    let number: Int
    /// Head and body as they came.
    let text: String
  }

  enum Event: Sendable {
    case request(Request)
    case closed(connection: Int)
  }

  typealias Script = @Sendable (Request) -> [Step]

  let port: Int
  /// For one reader.
  let events: AsyncStream<Event>
  private let channel: any Channel
  private let log: Log
  private let scheme: String

  /// - Parameter tls: speaks TLS with it; nil: plain.
  init(tls: NIOSSLContext? = nil, _ script: @escaping Script) async throws {
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    let log = Log(events: continuation)
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
          try channel.pipeline.syncOperations.addHandler(ScriptHandler(script, log))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
    self.events = events
    self.log = log
    scheme = tls == nil ? "http" : "https"
  }

  var requests: [Request] { log.state.withLock { $0.requests } }
  var connections: Int { log.state.withLock { $0.connections } }

  func url(_ target: String = "/metrics", userinfo: String = "", host: String = "127.0.0.1") -> String {
    "\(scheme)://\(userinfo)\(host):\(port)\(target)"
  }

  func close() async { try? await channel.close() }

  final class Log: Sendable {
    let state = Mutex((connections: 0, requests: [Request]()))
    let events: AsyncStream<Event>.Continuation
    init(events: AsyncStream<Event>.Continuation) { self.events = events }
  }
}

private final class ScriptHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let script: FakeServer.Script
  private let log: FakeServer.Log
  private var connection = 0
  private var requests = 0
  private var received = ""
  private var isFlooding = false

  init(_ script: @escaping FakeServer.Script, _ log: FakeServer.Log) {
    self.script = script
    self.log = log
  }

  func channelActive(context: ChannelHandlerContext) {
    connection = log.state.withLock { state in
      defer { state.connections += 1 }
      return state.connections
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    isFlooding = false
    log.events.yield(.closed(connection: connection))
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    received += String(buffer: unwrapInboundIn(data))
    guard let end = received.firstRange(of: "\r\n\r\n") else { return }
    let length = received.firstRange(of: "Content-Length: ").flatMap {
      Int(received[$0.upperBound...].prefix { $0.isNumber })
    }
    guard received[end.upperBound...].utf8.count >= length ?? 0 else { return }
    let request = FakeServer.Request(connection: connection, number: requests, text: received)
    received = ""
    requests += 1
    log.state.withLock { $0.requests.append(request) }
    log.events.yield(.request(request))
    for step in script(request) { perform(step, context) }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) { flood(context) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func perform(_ step: FakeServer.Step, _ context: ChannelHandlerContext) {
    switch step {
    case .send(let bytes): write(bytes, context)
    case .drip(let bytes): drip(bytes[...], context)
    case .flood:
      isFlooding = true
      flood(context)
    case .close: context.close(promise: nil)
    case .reset:
      let now = linger(l_onoff: 1, l_linger: 0)
      (context.channel as? any SocketOptionProvider)?.setSoLinger(now).assumeIsolated().whenComplete { _ in
        context.close(promise: nil)
      }
    }
  }

  private func write(_ bytes: some Collection<UInt8>, _ context: ChannelHandlerContext) {
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
  }

  private func drip(_ bytes: ArraySlice<UInt8>, _ context: ChannelHandlerContext) {
    guard context.channel.isActive, !bytes.isEmpty else { return }
    write(bytes.prefix(1), context)
    context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(20)) { self.drip(bytes.dropFirst(), context) }
  }

  private func flood(_ context: ChannelHandlerContext) {
    while isFlooding, context.channel.isActive, context.channel.isWritable {
      write([UInt8](repeating: 0, count: 64 << 10), context)
    }
  }
}
