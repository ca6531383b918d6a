/// The one HTTP/1.1 client (RFC 9110, RFC 9112) that scraping and remote write share: connections are kept and used
/// again, and every answer is bounded in time and in bytes.
import NIOCore
import Synchronization

public final class HTTPClient: Sendable {
  private struct Weak {
    weak var access: HTTPAccess?
  }

  private struct State {
    var pools: [ObjectIdentifier: ConnectionPool] = [:]
    var accesses: [HTTPClientOptions: Weak] = [:]
    var isShutDown = false
  }

  private let eventLoops: [any EventLoop]
  private let connectionsPerHost: Int
  private let idleTimeout: TimeAmount
  private let state = Mutex(State())

  /// `idleConnectionsPerHost`: how many connections without a request stay open for each host and port, on each event
  /// loop; `idleTimeout`: how long they do, roughly. Its default is that of Prometheus.
  public init(
    eventLoopGroup: any EventLoopGroup, idleConnectionsPerHost: Int = 8, idleTimeout: Duration = .seconds(300)
  ) {
    eventLoops = Array(eventLoopGroup.makeIterator())
    connectionsPerHost = idleConnectionsPerHost
    self.idleTimeout = TimeAmount(clamping: idleTimeout)
  }

  /// The access for these options; those who state the same share one as long as somebody holds it. Nil: they state
  /// nothing.
  public func access(_ options: HTTPClientOptions) -> HTTPAccess? {
    guard options != HTTPClientOptions() else { return nil }
    return state.withLock { state in
      if let access = state.accesses[options]?.access { return access }
      let access = HTTPAccess(options)
      state.accesses = state.accesses.filter { $0.value.access != nil }
      state.accesses[options] = Weak(access: access)
      return access
    }
  }

  /// Sends a request from `eventLoop`, on a connection of that event loop, and calls `completion` on it once, after
  /// this call has returned. To be called on that event loop.
  ///
  /// The answer is given whatever its status is. A body with `Content-Encoding: gzip` is decompressed; whether a server
  /// may send one is the caller's header `Accept-Encoding`. Requests must bear repetition: one that went out on a kept
  /// connection just as the server closed it is sent once more.
  ///
  /// The memory of the answer's body is used again when nobody holds it: who is done with a body when `completion`
  /// returns saves an allocation of its size.
  @discardableResult
  public func send(
    _ request: HTTPRequest, limits: HTTPLimits, on eventLoop: any EventLoop,
    completion: @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
  ) -> HTTPCall {
    send(PreparedRequest(request), limits: limits, on: eventLoop, completion: completion)
  }

  /// The same for a request whose head is written down already.
  @discardableResult
  public func send(
    _ request: PreparedRequest, limits: HTTPLimits, on eventLoop: any EventLoop,
    completion: @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
  ) -> HTTPCall {
    eventLoop.preconditionInEventLoop()
    let call = HTTPCall(request, limits, pool(of: eventLoop))
    call.start(completion)
    return call
  }

  /// The same, but the body of a 200 is not gathered: `onPart` is called on the event loop with bytes of it as they
  /// come, decompressed and in order; the answer of `completion` has no body then. Before the first part, `onHead` gets
  /// that answer. Other answers are gathered, up to 1 MiB.
  ///
  /// The connection is not read while `onPart` runs, so that a large body takes little memory. A part that nobody
  /// holds when `onPart` returns saves an allocation. `limits.bodyBytes` bounds all parts together.
  @discardableResult
  public func send(
    _ request: PreparedRequest, limits: HTTPLimits, on eventLoop: any EventLoop,
    onHead: @escaping (HTTPResponse) -> Void = { _ in }, onPart: @escaping (ByteBuffer) -> Void,
    completion: @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
  ) -> HTTPCall {
    eventLoop.preconditionInEventLoop()
    let call = HTTPCall(request, limits, pool(of: eventLoop), BodyStream(onHead: onHead, onPart: onPart))
    call.start(completion)
    return call
  }

  /// Sends a request and gathers the answer, as the other `send` does. When the task is cancelled, the connection is
  /// closed and the call throws at once. Requests for one server share the connections of one event loop.
  public func send(_ request: HTTPRequest, limits: HTTPLimits) async throws(HTTPClientError) -> HTTPResponse {
    try await send(request, limits, nil)
  }

  /// Sends a request and gives the body of a 200 as it comes: `onPart` is called on an event loop with bytes of it,
  /// decompressed, in order; the answer's own body is empty then. `limits.bodyBytes` bounds all parts together. When
  /// the task is cancelled, the connection is closed.
  public func send(
    _ request: HTTPRequest, limits: HTTPLimits, onPart: @escaping @Sendable (ByteBuffer) -> Void
  ) async throws(HTTPClientError) -> HTTPResponse {
    try await send(request, limits, BodyStream(onHead: { _ in }, onPart: onPart))
  }

  private func send(
    _ request: HTTPRequest, _ limits: HTTPLimits, _ stream: BodyStream?
  ) async throws(HTTPClientError) -> HTTPResponse {
    let eventLoop = eventLoops[Int(UInt(bitPattern: Origin(request.url).hashValue) % UInt(eventLoops.count))]
    let call = HTTPCall(PreparedRequest(request), limits, pool(of: eventLoop), stream)
    return try await withTaskCancellationHandler {
      await withCheckedContinuation { waiter in
        eventLoop.execute { call.start { waiter.resume(returning: $0) } }
      }
    } onCancel: {
      eventLoop.execute { call.cancel() }
    }.get()
  }

  /// Closes the connections that are kept for requests as this one: there will be no more of them. To be called on the
  /// event loop.
  public func closeIdleConnections(of request: PreparedRequest, on eventLoop: any EventLoop) {
    eventLoop.preconditionInEventLoop()
    guard let (origin, _) = try? request.route() else { return }
    pool(of: eventLoop).close(origin)
  }

  /// Closes the idle connections. Requests under way still get their answers; new ones are refused.
  public func shutdown() async {
    let pools = state.withLock { state in
      state.isShutDown = true
      return Array(state.pools.values)
    }
    for pool in pools {
      // An event loop that has ended has no connections any more.
      try? await pool.eventLoop.submit { pool.shutdown() }.get()
    }
  }

  private func pool(of eventLoop: any EventLoop) -> ConnectionPool {
    state.withLock { state in
      if let pool = state.pools[ObjectIdentifier(eventLoop)] { return pool }
      let pool = ConnectionPool(
        eventLoop, connectionsPerHost: connectionsPerHost, idleTimeout: idleTimeout, isShutDown: state.isShutDown)
      state.pools[ObjectIdentifier(eventLoop)] = pool
      return pool
    }
  }
}

extension TimeAmount {
  /// At most a year, so that sums with it do not overflow.
  init(clamping duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let clamped = min(max(seconds, 0), 365 * 86_400)
    self = .nanoseconds(clamped * 1_000_000_000 + max(attoseconds, 0) / 1_000_000_000)
  }
}
