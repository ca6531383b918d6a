import NIOCore
import NIOHTTP1
import NIOPosix

/// One request on its way to its answer: connection, deadline, and the one who waits.
///
/// `@unchecked Sendable`: everything that changes is touched on `eventLoop` only.
final class Exchange: @unchecked Sendable, NIOScheduledCallbackHandler {
  typealias Outcome = Result<HTTPResponse, HTTPClientError>

  let eventLoop: any EventLoop
  private let request: HTTPRequest
  private let head: HTTPRequestHead
  private let limits: HTTPLimits
  private let deadline: NIODeadline
  private let pool: ConnectionPool

  private var waiter: CheckedContinuation<Outcome, Never>?
  private var isFinished = false
  private var timer: NIOScheduledCallback?
  /// Channels on which a connection is being made.
  private var connecting: [any Channel] = []
  private var connection: ConnectionHandler?
  /// Whether the connection was used before: the server may have closed it while the request was under way.
  private var isKeptConnection = false
  private var hasHead = false
  private var response: ResponseCollector

  init(
    _ request: HTTPRequest, _ head: HTTPRequestHead, limits: HTTPLimits, deadline: NIODeadline,
    eventLoop: any EventLoop, pool: ConnectionPool
  ) {
    self.request = request
    self.head = head
    self.limits = limits
    self.deadline = deadline
    self.eventLoop = eventLoop
    self.pool = pool
    response = ResponseCollector(request, limit: limits.bodyBytes)
  }

  /// The answer; a cancelled task gets its error at once.
  func run(on kept: Connection?) async -> Outcome {
    await withTaskCancellationHandler {
      await withCheckedContinuation { waiter in
        eventLoop.execute { self.start(on: kept, waiter) }
      }
    } onCancel: {
      eventLoop.execute { self.fail(.cancelled(self.attempt)) }
    }
  }

  private var attempt: HTTPClientError.Attempt { HTTPClientError.Attempt(request) }

  private func start(on kept: Connection?, _ waiter: CheckedContinuation<Outcome, Never>) {
    self.waiter = waiter
    guard !isFinished else {
      kept?.channel.close(promise: nil)
      return finish(.failure(.cancelled(attempt)))
    }
    do {
      timer = try eventLoop.scheduleCallback(at: deadline, handler: self)
    } catch {
      return finish(.failure(.shutdown(attempt)))
    }
    if let kept {
      isKeptConnection = true
      send(on: kept.handler.value)
    } else {
      connect()
    }
  }

  func handleScheduledCallback(eventLoop: some EventLoop) { fail(.timeout(attempt)) }

  // MARK: - Connecting

  private func connect() {
    let origin = Origin(request.url)
    let pool = pool
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(max(deadline - .now(), .milliseconds(1)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.recvAllocator, value: ReceiveAllocator())
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard !self.isFinished else { throw ChannelError.alreadyClosed }
          self.connecting.append(channel)
          let decoder = HTTPResponseDecoder(
            leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop,
            limitConfiguration: .ofResponses)
          try channel.pipeline.syncOperations.addHandlers([
            HTTPRequestEncoder(), ByteToMessageHandler(decoder), ConnectionHandler(origin, pool),
          ])
        }
      }
    connected(to: bootstrap).whenComplete { result in
      self.connecting = []
      switch result {
      case .success(let channel): self.send(on: channel)
      case .failure(let error):
        self.fail(HTTPClientError(connecting: self.attempt, to: self.request.url, error))
      }
    }
  }

  private func connected(to bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
    let url = request.url
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
      connectionEnded(error)
    }
  }

  // MARK: - On a connection

  private func send(on connection: ConnectionHandler) {
    guard !isFinished else { return connection.abandon() }
    self.connection = connection
    if !connection.start(self, head, request.body) { connectionEnded(ChannelError.eof) }
  }

  var isKeepAlive: Bool { response.isKeepAlive }

  func received(_ head: HTTPResponseHead) {
    hasHead = true
    do { try response.append(head) } catch { fail(error) }
  }

  func received(_ part: ByteBuffer) {
    do { try response.append(part) } catch { fail(error) }
  }

  func receivedEnd() {
    connection = nil
    do { finish(.success(try response.end())) } catch { finish(.failure(error)) }
  }

  /// The connection ended or failed before the answer was complete. A kept one on which not a byte came back is most
  /// likely one that the server had just closed: then the request goes once more, on a fresh one.
  func connectionEnded(_ error: any Error) {
    connection = nil
    guard !isFinished else { return }
    if isKeptConnection, !hasHead, error is ChannelError || error is IOError {
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
    timer?.cancel()
    timer = nil
    connection = nil
    connecting = []
    waiter?.resume(returning: outcome)
    waiter = nil
  }
}

extension NIOHTTPDecoderLimitConfiguration {
  /// No exporter or receiver comes near.
  fileprivate static var ofResponses: Self {
    var limits = Self()
    limits.maxHeaderFieldSize = 64 << 10
    limits.maxHeaderListSize = 256 << 10
    limits.maxHeaderFieldCount = 256
    return limits
  }
}
