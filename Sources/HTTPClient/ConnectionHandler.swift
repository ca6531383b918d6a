import Glibc
import NIOCore

/// The end of a connection's pipeline: it sends one request at a time, puts its answer together, and gives the
/// connection to the pool in between. Bytes go in and out, so that TLS may stand before it.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let origin: Origin
  private let pool: ConnectionPool
  private let isSecure: Bool
  /// Nil before and after the connection stands.
  private var context: ChannelHandlerContext?
  private var call: HTTPCall?
  private var answer = ResponseAssembly(isAnswerToHead: false, limit: 0)
  private var isRequestSent = true
  /// So many bytes must have come before the kernel wakes us.
  private var lowWaterMark = 1

  /// A rest of an answer that is worth waiting for.
  private static let leastRest = 16 << 10

  init(_ origin: Origin, _ pool: ConnectionPool, isSecure: Bool) {
    self.origin = origin
    self.pool = pool
    self.isSecure = isSecure
  }

  /// Sends a request for `call`; false when the connection has ended.
  func start(_ call: HTTPCall, _ request: PreparedRequest, limit: Int) -> Bool {
    guard let context, context.channel.isActive else { return false }
    self.call = call
    answer = ResponseAssembly(isAnswerToHead: request.isHead, limit: limit, stream: call.stream)
    context.write(wrapOutboundOut(request.head), promise: nil)
    if let lines = call.lines { context.write(wrapOutboundOut(lines), promise: nil) }
    guard let lengthLine = request.lengthLine else {
      context.flush()
      return true
    }
    isRequestSent = false
    let sent = context.eventLoop.makePromise(of: Void.self)
    sent.futureResult.assumeIsolated().whenSuccess { self.isRequestSent = true }
    context.write(wrapOutboundOut(lengthLine), promise: nil)
    context.writeAndFlush(wrapOutboundOut(request.body), promise: sent)
    return true
  }

  /// The call ended before its answer did: the connection is of no more use.
  func abandon() {
    call = nil
    context?.close(promise: nil)
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let data = unwrapInboundIn(data)
    defer { pool.buffers.giveReceiving(data) }
    guard let call else { return context.close(promise: nil) }
    if call.watchesSilence { call.heard() }
    do throws(ResponseFault) {
      guard let response = try answer.append(data, pool.buffers) else {
        return call.watchesSilence ? () : awaitRest(context)
      }
      finish(context, response)
    } catch {
      fail(context, error)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { end(error) }

  func channelInactive(context: ChannelHandlerContext) {
    pool.remove(self, origin)
    if call != nil, answer.hasBegun {
      do throws(ResponseFault) {
        finish(context, try answer.close(pool.buffers))
      } catch {
        fail(context, error)
      }
    }
    end(ChannelError.eof)
    context.fireChannelInactive()
  }

  private func finish(_ context: ChannelHandlerContext, _ response: HTTPResponse) {
    guard let call else { return }
    self.call = nil
    if lowWaterMark > 1 { setLowWaterMark(context, 1) }
    var answer = self.answer
    self.answer = ResponseAssembly(isAnswerToHead: false, limit: 0)
    // A server that answers before it has read the whole request is not given another one behind it.
    let isReusable = answer.isKeepAlive && isRequestSent && context.channel.isActive
    if !isReusable || !pool.put(self, origin) { context.close(promise: nil) }
    call.received(response)
    answer.recycle(pool.buffers)
  }

  private func fail(_ context: ChannelHandlerContext, _ fault: ResponseFault) {
    let call = self.call
    self.call = nil
    answer.recycle(pool.buffers)
    context.close(promise: nil)
    call?.failed(fault)
  }

  /// The connection broke.
  private func end(_ error: any Error) {
    let call = self.call
    self.call = nil
    context?.close(promise: nil)
    call?.connectionEnded(error, hasAnswerBegun: answer.hasBegun)
  }

  // MARK: - Few reads

  /// Large rests of answers wake the event loop once, not once for each packet: the kernel tells us when all is there,
  /// when its memory is full, or when the connection has ended.
  private func awaitRest(_ context: ChannelHandlerContext) {
    // Behind TLS it is not known how many bytes are on their way.
    guard call != nil, !isSecure, let rest = answer.missing else { return }
    if lowWaterMark == 1 {
      if rest > Self.leastRest { setLowWaterMark(context, min(rest, SpareBuffers.receiveCapacity)) }
    } else if rest < lowWaterMark {
      // More than the rest will not come.
      setLowWaterMark(context, max(rest, 1))
    }
  }

  private func setLowWaterMark(_ context: ChannelHandlerContext, _ bytes: Int) {
    let option = ChannelOptions.Types.SocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: SO_RCVLOWAT))
    // A channel of another kind has none; then there are a few more reads.
    guard (try? context.channel.syncOptions?.setOption(option, value: bytes)) != nil else { return }
    lowWaterMark = bytes
  }
}
