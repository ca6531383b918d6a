import NIOCore
import NIOPosix

/// A request under way: its connection, deadline, redirects, and the one who waits.
///
/// `@unchecked Sendable`: used on its event loop only.
public final class HTTPCall: @unchecked Sendable {
  typealias Outcome = Result<HTTPResponse, HTTPClientError>

  /// As it is sent now: redirects change it.
  private var request: PreparedRequest
  private let limits: HTTPLimits
  let stream: BodyStream?
  private let end: NIODeadline
  private let idleTimeout: TimeAmount?
  /// When the server sent something last.
  private var lastSign: NIODeadline
  /// Where `Deadlines` has this call.
  var place = 0
  private let pool: ConnectionPool

  private var completion: ((Outcome) -> Void)?
  private var isStarting = false
  private var isFinished = false
  /// Channels on which a connection is being made.
  private var connecting: [any Channel] = []
  private var connection: ConnectionHandler?
  /// Whether the connection was used before: the server may have closed it while the request was under way.
  private var isKeptConnection = false
  private var redirects = 0

  init(_ request: PreparedRequest, _ limits: HTTPLimits, _ pool: ConnectionPool, _ stream: BodyStream? = nil) {
    self.request = request
    self.limits = limits
    self.pool = pool
    self.stream = stream
    lastSign = .now()
    end = lastSign + TimeAmount(clamping: limits.timeout)
    idleTimeout = limits.idleTimeout.map { TimeAmount(clamping: $0) }
  }

  /// When the call fails; it moves when the server may be silent for a time only.
  var deadline: NIODeadline { idleTimeout.map { min(end, lastSign + $0) } ?? end }

  /// Whether the server must be heard of now and then.
  var watchesSilence: Bool { idleTimeout != nil }

  func heard() { lastSign = .now() }

  /// Closes the connection and completes the call with `.cancelled`. Nothing happens when it is done. To be called on
  /// its event loop.
  public func cancel() { fail(.cancelled(attempt)) }

  func timeOut() { fail(.timeout(attempt)) }

  private var attempt: HTTPClientError.Attempt { HTTPClientError.Attempt(request.request) }

  func start(_ completion: @escaping (Outcome) -> Void) {
    self.completion = completion
    isStarting = true
    if isFinished {
      finish(.failure(.cancelled(attempt)))
    } else if pool.isShutDown || !pool.deadlines.add(self) {
      finish(.failure(.shutdown(attempt)))
    } else {
      send()
    }
    isStarting = false
  }

  /// On a kept connection, or on a new one.
  private func send() {
    if let fault = request.fault {
      finish(.failure(.invalidRequest(attempt, reason: fault)))
    } else if let kept = pool.take(request.origin) {
      isKeptConnection = true
      send(on: kept)
    } else {
      isKeptConnection = false
      connect()
    }
  }

  // MARK: - Connecting

  private func connect() {
    let url = request.request.url
    let bootstrap = ClientBootstrap(group: pool.eventLoop)
      .connectTimeout(max(end - .now(), .milliseconds(1)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.recvAllocator, value: ReceiveAllocator(pool.buffers))
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard !self.isFinished else { throw ChannelError.alreadyClosed }
          self.connecting.append(channel)
          let handler = ConnectionHandler(self.request.origin, self.pool)
          try channel.pipeline.syncOperations.addHandler(handler)
        }
      }
    connected(to: bootstrap, url).whenComplete { result in
      self.connecting = []
      switch result {
      case .success(let channel): self.send(on: channel)
      case .failure(let error): self.fail(HTTPClientError(connecting: self.attempt, to: url, error))
      }
    }
  }

  private func connected(to bootstrap: ClientBootstrap, _ url: HTTPURL) -> EventLoopFuture<any Channel> {
    guard url.hostKind != .name, let address = try? SocketAddress(ipAddress: url.host, port: url.port) else {
      return bootstrap.connect(host: url.host, port: url.port)
    }
    // No resolver, and no thread for it.
    return bootstrap.connect(to: address)
  }

  private func send(on channel: any Channel) {
    do {
      send(on: try channel.pipeline.syncOperations.handler(type: ConnectionHandler.self))
    } catch {
      channel.close(promise: nil)
      connectionEnded(error, hasAnswerBegun: false)
    }
  }

  // MARK: - On a connection

  private func send(on connection: ConnectionHandler) {
    guard !isFinished else { return connection.abandon() }
    self.connection = connection
    if !connection.start(self, request, limit: limits.bodyBytes) {
      connectionEnded(ChannelError.eof, hasAnswerBegun: false)
    }
  }

  func received(_ response: HTTPResponse) {
    connection = nil
    do throws(HTTPClientError) {
      guard limits.redirects > 0, let next = try request.request.redirected(by: response) else {
        return finish(.success(response))
      }
      guard redirects < limits.redirects else {
        throw .redirect(attempt, reason: "stopped after \(limits.redirects) redirects")
      }
      redirects += 1
      request = PreparedRequest(next)
      send()
    } catch {
      finish(.failure(error))
    }
  }

  func failed(_ fault: ResponseFault) {
    connection = nil
    finish(.failure(HTTPClientError(answering: attempt, fault, limit: limits.bodyBytes)))
  }

  /// The connection ended or failed before there was an answer. A kept one on which not a byte came back is most
  /// likely one that the server had just closed: then the request goes once more, on a fresh one.
  func connectionEnded(_ error: any Error, hasAnswerBegun: Bool) {
    connection = nil
    guard !isFinished else { return }
    if isKeptConnection, !hasAnswerBegun, error is ChannelError || error is IOError {
      isKeptConnection = false
      connect()
    } else {
      finish(.failure(HTTPClientError(exchanging: attempt, error)))
    }
  }

  // MARK: - The end

  private func fail(_ error: HTTPClientError) {
    guard !isFinished else { return }
    connection?.abandon()
    for channel in connecting { channel.close(promise: nil) }
    finish(.failure(error))
  }

  private func finish(_ outcome: Outcome) {
    isFinished = true
    stream?.isStopped = true
    pool.deadlines.remove(self)
    connection = nil
    connecting = []
    guard let completion else { return }
    self.completion = nil
    if isStarting {
      pool.eventLoop.assumeIsolated().execute { completion(outcome) }
    } else {
      completion(outcome)
    }
  }
}
