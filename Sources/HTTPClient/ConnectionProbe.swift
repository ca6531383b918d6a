import NIOCore
import NIOPosix

/// The first stages of a request by themselves, for those who look for what is wrong: the name, then TCP.
public struct ConnectionProbe: Sendable {
  /// Who is connected to: the URL's host, or the proxy before it.
  public let host: String
  public let port: Int
  public let isProxy: Bool
  /// Whether there is a name to look up.
  public let isName: Bool
  private let attempt: HTTPClientError.Attempt

  /// - Throws: when the proxy that `access` names cannot be used.
  public init(_ url: HTTPURL, _ access: HTTPAccess?) throws(HTTPAccessError) {
    let proxy = try access?.proxy(for: url)
    (host, port, isProxy) = (proxy?.host ?? url.host, proxy?.port ?? url.port, proxy != nil)
    isName = (proxy?.hostKind ?? url.hostKind) == .name
    attempt = HTTPClientError.Attempt(HTTPRequest(url: url))
  }

  /// The host's addresses, in the order in which they are tried.
  public func addresses(within timeout: Duration) async throws(HTTPClientError) -> [SocketAddress] {
    let (answers, signal) = AsyncStream<NameResolver.Answer>.makeStream()
    NameResolver.shared.addresses(of: host, port: port) { answer in
      signal.yield(answer)
      signal.finish()
    }
    let alarm = Task { () -> Void in
      try? await Task.sleep(for: timeout)
      signal.finish()
    }
    defer { alarm.cancel() }
    for await answer in answers {
      switch answer {
      case .success(let addresses): return addresses
      case .failure(let failure):
        let reason = failure.isTemporary ? "temporary failure in name resolution" : "no such host"
        throw .connect(attempt, reason: "lookup \(host): \(reason)")
      }
    }
    throw .timeout(attempt)
  }

  /// Opens a connection and closes it.
  public func connect(
    to address: SocketAddress, on group: any EventLoopGroup, within timeout: Duration
  ) async throws(HTTPClientError) {
    do {
      let channel = try await ClientBootstrap(group: group).connectTimeout(TimeAmount(clamping: timeout))
        .connect(to: address).get()
      try? await channel.close().get()
    } catch {
      throw HTTPClientError(connecting: attempt, to: address.ipAddress ?? host, address.port ?? port, error)
    }
  }
}
