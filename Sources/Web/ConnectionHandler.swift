import Bytes
import Compression
import NIOCore
import NIOHTTP1

/// One connection: takes its requests one after the other, hands each to the handler, writes the answer.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    /// Between requests.
    case idle
    /// A request is being read; its body's bytes so far.
    case reading(HTTPRequestHead, body: Int)
    /// A handler is at work on the request.
    case answering(HTTPRequestHead)
  }

  private let handler: WebHandler
  private let limits: WebServer.Limits
  private var state = State.idle
  /// Parts of requests that came while an answer was owed.
  private var waiting: CircularBuffer<HTTPServerRequestPart> = []
  private var timer: Scheduled<Void>?
  private var isStopping = false
  /// The client sends nothing more, but may still read.
  private var isInputClosed = false
  /// Behind what was taken stands something that is no request.
  private var isBroken = false
  private var lastAnswer: EventLoopFuture<Void>?
  private var isReadingPaused = false

  init(handler: @escaping WebHandler, limits: WebServer.Limits) {
    self.handler = handler
    self.limits = limits
  }

  // MARK: Events

  func channelActive(context: ChannelHandlerContext) {
    startTimer(limits.requestTime, context)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    if case .answering = state {
      waiting.append(part)
      // Nothing more is read until the answer is out: a client that sends ahead fills no memory.
      pauseReading(true, context)
    } else {
      take(part, context)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ServerIsStopping:
      isStopping = true
      if case .idle = state { closeWhenWritten(context) }
    case ChannelEvent.inputClosed:
      isInputClosed = true
      // Who has asked still gets the answer.
      if case .answering = state { break }
      closeWhenWritten(context)
    default: break
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    // A request that ends before it is complete; that the input is closed is told separately.
    case HTTPParserError.invalidEOFState: break
    case is HTTPParserError where !isBroken:
      isBroken = true
      // What came before it is answered first.
      if case .answering = state { break }
      refuseBroken(context)
    case is HTTPParserError: break
    default: context.close(promise: nil)
    }
  }

  private func refuseBroken(_ context: ChannelHandlerContext) {
    answer(.text(400, "400 Bad Request"), toHEAD: false, version: .http1_1, keepAlive: false, gzip: false, context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    context.fireChannelInactive()
  }

  // MARK: Requests

  private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    switch (part, state) {
    case (.head(let head), .idle):
      state = .reading(head, body: 0)
      startTimer(limits.requestTime, context)
    case (.body(let bytes), .reading(let head, let count)):
      let total = count + bytes.readableBytes
      state = .reading(head, body: total)
      if total > limits.bodyBytes {
        state = .answering(head)
        answer(
          .text(413, "413 Request Entity Too Large"), toHEAD: false, version: head.version, keepAlive: false,
          gzip: false, context)
      }
    case (.end, .reading(let head, _)):
      timer?.cancel()
      state = .answering(head)
      dispatch(head, context)
    default: break
    }
  }

  private func dispatch(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let (path, query) = RequestTarget.parse(head.uri)
    let request = WebRequest(
      method: head.method.rawValue, path: path, query: query, headers: head.headers.map { ($0.name, $0.value) })
    let allowsGzip = AcceptEncoding.allowsGzip(request.list("accept-encoding"))
    // An answer always comes from the loop, never from within `take`: requests in one piece would nest.
    let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let loop = context.eventLoop
    handler(request) { response in
      loop.execute {
        let (connection, context) = box.value
        connection.finish(response, gzip: allowsGzip, context)
      }
    }
  }

  private func finish(_ response: WebResponse, gzip: Bool, _ context: ChannelHandlerContext) {
    guard case .answering(let head) = state else { return }
    let isLast = isStopping || isInputClosed && waiting.isEmpty
    answer(
      response, toHEAD: head.method == .HEAD, version: head.version, keepAlive: head.isKeepAlive && !isLast,
      gzip: gzip, context)
  }

  // MARK: Answers

  private func answer(
    _ response: WebResponse, toHEAD: Bool, version: HTTPVersion, keepAlive: Bool, gzip: Bool,
    _ context: ChannelHandlerContext
  ) {
    guard context.channel.isActive else { return }
    var headers = HTTPHeaders()
    headers.add(name: "Content-Type", value: response.contentType)
    for header in response.headers { headers.add(name: header.name, value: header.value) }
    var body = response.body
    if gzip, body.readableBytes > 0 {
      body = Self.gzip(body, context.channel.allocator)
      headers.add(name: "Content-Encoding", value: "gzip")
      headers.add(name: "Vary", value: "Accept-Encoding")
    }
    headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    if !keepAlive { headers.add(name: "Connection", value: "close") }
    let head = HTTPResponseHead(version: version, status: .init(statusCode: response.status), headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !toHEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
    lastAnswer = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    // A client that does not read its answer is closed too.
    startTimer(limits.idleTime, context)
    guard keepAlive else { return closeWhenWritten(context) }
    state = .idle
    takeWaiting(context)
  }

  private func takeWaiting(_ context: ChannelHandlerContext) {
    while let part = waiting.popFirst() {
      take(part, context)
      if case .answering = state { return }
    }
    if isBroken { return refuseBroken(context) }
    if isInputClosed { return closeWhenWritten(context) }
    pauseReading(false, context)
  }

  private func closeWhenWritten(_ context: ChannelHandlerContext) {
    guard let lastAnswer else { return context.close(promise: nil) }
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    lastAnswer.whenComplete { _ in bound.value.close(promise: nil) }
  }

  private func pauseReading(_ pause: Bool, _ context: ChannelHandlerContext) {
    guard pause != isReadingPaused else { return }
    isReadingPaused = pause
    // It fails only when the connection is closed, and then nothing is read anyway.
    context.channel.setOption(.autoRead, value: !pause).whenFailure { _ in }
  }

  private static func gzip(_ body: ByteBuffer, _ allocator: ByteBufferAllocator) -> ByteBuffer {
    var output = ByteWriter(capacity: body.readableBytes / 4)
    let compressor = GzipCompressor(level: 1)
    compressor.compress(body.readableBytesSpan, into: &output)
    return output.withUnsafeBytes { allocator.buffer(bytes: $0) }
  }

  /// Closes the connection when nothing happens in time.
  private func startTimer(_ time: TimeAmount, _ context: ChannelHandlerContext) {
    timer?.cancel()
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleTask(in: time) { bound.value.close(promise: nil) }
  }
}
