import NIOCore
import NIOSSL

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
  /// What the access adds to the head.
  private(set) var lines: ByteBuffer?

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

  /// When the request's credentials are at hand.
  private func send() {
    if let fault = request.fault { return refuse(fault) }
    lines = nil
    guard request.takesLines, let access = request.request.access else { return sendComplete() }
    switch access.lines(authorized: request.takesAuthorization, hasLength: request.hasLength) {
    case .lines(let bytes):
      lines = bytes
      sendComplete()
    case .fault(let fault): refuse(fault.description)
    case .needsToken:
      access.fetchToken(pool) { [pool] fault in
        pool.eventLoop.execute {
          guard !self.isFinished else { return }
          if let fault { self.refuse(fault.description) } else { self.send() }
        }
      }
    }
  }

  /// On a kept connection, or on a new one.
  private func sendComplete(mayUseKept: Bool = true) {
    do throws(HTTPAccessError) {
      let (origin, tls) = try request.route()
      if mayUseKept, let kept = pool.take(origin) {
        isKeptConnection = true
        send(on: kept)
      } else {
        isKeptConnection = false
        try connect(origin, tls)
      }
    } catch {
      refuse(error.description)
    }
  }

  private func refuse(_ reason: String) { finish(.failure(.invalidRequest(attempt, reason: reason))) }

  private func connect(_ origin: Origin, _ tls: NIOSSLContext?) throws(HTTPAccessError) {
    let connector = try Connector(request, origin, tls)
    connector.connect(
      pool, attempt, timeout: end - .now(),
      onChannel: { channel in
        guard !self.isFinished else { throw ChannelError.alreadyClosed }
        self.connecting.append(channel)
      },
      completion: { result in
        self.connecting = []
        switch result {
        case .success(let connection): self.send(on: connection)
        case .failure(let error): self.fail(error)
        }
      })
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
      guard followsRedirects, let next = try request.request.redirected(by: response) else {
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

  private var followsRedirects: Bool {
    limits.redirects > 0 && request.request.access?.options.followsRedirects != false
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
    if isKeptConnection, !hasAnswerBegun, error.isEndOfConnection {
      sendComplete(mayUseKept: false)
    } else {
      finish(.failure(HTTPClientError(exchanging: attempt, error)))
    }
  }

  // MARK: - The end

  private func fail(_ error: HTTPClientError) {
    guard !isFinished else { return }
    let (connection, connecting) = (self.connection, self.connecting)
    // First, so that what the closing makes of it is not taken for the reason.
    finish(.failure(error))
    connection?.abandon()
    for channel in connecting { channel.close(promise: nil) }
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

extension Error {
  fileprivate var isEndOfConnection: Bool {
    self is ChannelError || self is IOError || self as? NIOSSLError == .uncleanShutdown
  }
}
