/// The one HTTP/1.1 client (RFC 9110, RFC 9112) that scraping and remote write share: connections are kept and used
/// again, and every answer is bounded in time and in bytes.
import NIOCore
import NIOHTTP1

public final class HTTPClient: Sendable {
  private let group: any EventLoopGroup
  private let pool: ConnectionPool

  /// `idleConnectionsPerHost`: how many connections without a request stay open for each host and port;
  /// `idleTimeout`: how long they do, roughly.
  public init(
    eventLoopGroup: any EventLoopGroup, idleConnectionsPerHost: Int = 8, idleTimeout: Duration = .seconds(90)
  ) {
    group = eventLoopGroup
    pool = ConnectionPool(connectionsPerHost: idleConnectionsPerHost, idleTimeout: TimeAmount(clamping: idleTimeout))
  }

  /// Sends a request and gathers the answer, whatever its status is.
  ///
  /// A body with `Content-Encoding: gzip` is decompressed; whether a server may send one is the caller's header
  /// `Accept-Encoding`. Requests must bear repetition: one that went out on a kept connection just as the server
  /// closed it is sent once more. When the task is cancelled, the connection is closed and the call throws at once.
  public func send(_ request: HTTPRequest, limits: HTTPLimits) async throws(HTTPClientError) -> HTTPResponse {
    let deadline = NIODeadline.now() + TimeAmount(clamping: limits.timeout)
    var request = request
    var redirects = 0
    while true {
      let response = try await answer(request, limits, deadline)
      guard limits.redirects > 0, let next = try request.redirected(by: response) else { return response }
      guard redirects < limits.redirects else {
        throw .redirect(HTTPClientError.Attempt(request), reason: "stopped after \(limits.redirects) redirects")
      }
      redirects += 1
      request = next
    }
  }

  /// Closes the idle connections. Requests under way still get their answers; new ones are refused.
  public func shutdown() async { await pool.shutdown() }

  private func answer(
    _ request: HTTPRequest, _ limits: HTTPLimits, _ deadline: NIODeadline
  ) async throws(HTTPClientError) -> HTTPResponse {
    guard !pool.isShutDown else { throw .shutdown(HTTPClientError.Attempt(request)) }
    let head = try request.head()
    let kept = pool.take(Origin(request.url))
    let exchange = Exchange(
      request, head, limits: limits, deadline: deadline, eventLoop: kept?.channel.eventLoop ?? group.next(),
      pool: pool)
    return try await exchange.run(on: kept).get()
  }
}

extension TimeAmount {
  /// At most a year, so that sums with it do not overflow.
  fileprivate init(clamping duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let clamped = min(max(seconds, 0), 365 * 86_400)
    self = .nanoseconds(clamped * 1_000_000_000 + max(attoseconds, 0) / 1_000_000_000)
  }
}
