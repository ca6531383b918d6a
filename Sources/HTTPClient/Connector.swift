import NIOCore
import NIOPosix
import NIOSSL

/// Makes a connection that is fit for requests: to a server or a proxy, through a tunnel, by TLS with a server whose
/// certificate is good, as the request wants it.
struct Connector {
  private let origin: Origin
  private let host: String
  private let port: Int
  private let hostKind: HTTPURL.HostKind
  private let isProxy: Bool
  /// Of a CONNECT; nil: no tunnel.
  private let tunnelHead: ByteBuffer?
  private let tls: NIOSSLContext?
  private let identity: PeerIdentity
  private let verifies: Bool
  private let isSpread: Bool

  /// - Parameters:
  ///   - origin: what the pool knows the connection by.
  ///   - tls: nil for plain HTTP.
  /// - Throws: when what the proxy is to be told cannot be read.
  init(_ request: PreparedRequest, _ origin: Origin, _ tls: NIOSSLContext?) throws(HTTPAccessError) {
    let url = request.request.url
    let options = request.request.access?.options
    self.origin = origin
    self.tls = tls
    isProxy = request.proxy != nil
    host = request.proxy?.host ?? url.host
    port = request.proxy?.port ?? url.port
    hostKind = request.proxy?.hostKind ?? url.hostKind
    identity = PeerIdentity(options?.tls.serverName ?? url.host)
    verifies = options?.tls.skipsVerification != true
    isSpread = options?.spreadsConnections == true
    do {
      tunnelHead = try request.tunnel.map { proxy in
        let headers = try CredentialLines.Material.lines(of: options?.proxy.connectHeaders ?? [])
        let place = url.hostAndPort
        return ByteBuffer(
          string: "CONNECT \(place) HTTP/1.1\r\nHost: \(place)\r\n\(proxy.authorization)\(headers)\r\n")
      }
    } catch {
      throw HTTPAccessError("\(error)")
    }
  }

  /// Calls `completion` on the pool's event loop, once.
  ///
  /// - Parameter onChannel: takes each channel that is made, of which one may become the connection.
  func connect(
    _ pool: ConnectionPool, _ attempt: HTTPClientError.Attempt, timeout: TimeAmount,
    onChannel: @escaping (any Channel) throws -> Void,
    completion: @escaping (Result<ConnectionHandler, HTTPClientError>) -> Void
  ) {
    let bound = NIOLoopBound((onChannel, completion), eventLoop: pool.eventLoop)
    let bootstrap = ClientBootstrap(group: pool.eventLoop)
      .connectTimeout(max(timeout, .milliseconds(1)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.recvAllocator, value: ReceiveAllocator(pool.buffers))
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try bound.value.0(channel)
          try addHandlers(to: channel.pipeline.syncOperations, pool)
        }
      }
    connected(bootstrap, on: pool.eventLoop).assumeIsolated().whenComplete { result in
      switch result {
      case .success(let channel): prepare(channel, attempt, completion)
      case .failure(let error):
        let error = HTTPClientError(connecting: attempt, to: host, port, error)
        completion(.failure(isProxy ? error.prefixed("proxyconnect tcp: ") : error))
      }
    }
  }

  private func addHandlers(to pipeline: ChannelPipeline.SynchronousOperations, _ pool: ConnectionPool) throws {
    if let tls {
      let client = try NIOSSLClientHandler(context: tls, serverHostname: identity.indication)
      if let tunnelHead {
        try pipeline.addHandler(ProxyTunnel(head: tunnelHead, tls: client))
      } else {
        try pipeline.addHandler(client)
      }
      try pipeline.addHandler(TLSGuard(identity, verifies: verifies))
    }
    try pipeline.addHandler(ConnectionHandler(origin, pool, isSecure: tls != nil))
  }

  private func connected(
    _ bootstrap: ClientBootstrap, on eventLoop: any EventLoop
  ) -> EventLoopFuture<any Channel> {
    guard hostKind != .name, let address = try? SocketAddress(ipAddress: host, port: port) else {
      return bootstrap.resolver(NameQuery(host, port, takesAny: isSpread, on: eventLoop)).connect(
        host: host, port: port)
    }
    // No resolver, and no thread for it.
    return bootstrap.connect(to: address)
  }

  /// Waits until it is certain who the server is.
  private func prepare(
    _ channel: any Channel, _ attempt: HTTPClientError.Attempt,
    _ completion: @escaping (Result<ConnectionHandler, HTTPClientError>) -> Void
  ) {
    let pipeline = channel.pipeline.syncOperations
    func finish() {
      do {
        completion(.success(try pipeline.handler(type: ConnectionHandler.self)))
      } catch {
        channel.close(promise: nil)
        completion(.failure(HTTPClientError(exchanging: attempt, ChannelError.eof)))
      }
    }
    guard let guardian = try? pipeline.handler(type: TLSGuard.self) else { return finish() }
    guardian.whenReady { outcome in
      switch outcome {
      case .success: finish()
      case .failure(let fault): completion(.failure(.connect(attempt, reason: fault.reason)))
      }
    }
  }
}
