import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP/1.1 server. It answers the paths of its routes, and 404 for all others.
public final class WebServer: Sendable {
  /// What a client may take of the server.
  public struct Limits: Sendable {
    /// Connections at once; further ones are closed.
    public var connections = 512
    /// Bytes of a request's body; a longer one is refused.
    public var bodyBytes = 64 << 10
    /// From the first byte of a request to the end of its body.
    public var requestTime: TimeAmount = .seconds(10)
    /// Between two requests of one connection.
    public var idleTime: TimeAmount = .minutes(5)

    public init() {}
  }

  private let channels: [any Channel]
  private let connections: ConnectionCount

  /// The addresses that the server listens on, with the ports that it got.
  public let addresses: [String]

  private init(channels: [(channel: any Channel, address: String)], connections: ConnectionCount) {
    self.channels = channels.map(\.channel)
    addresses = channels.map(\.address)
    self.connections = connections
  }

  /// Listens on all addresses, or on none.
  ///
  /// - Parameter access: what the web configuration file asks for; nil: plain HTTP for everybody.
  /// - Throws: for the first address that cannot be listened on.
  public static func start(
    _ addresses: [ListenAddress], routes: WebRoutes, access: WebAccess? = nil, group: any EventLoopGroup,
    limits: Limits = Limits()
  ) async throws(WebServerError) -> WebServer {
    let handler = access?.guarding(routes.handler) ?? routes.handler
    let connections = ConnectionCount(limit: limits.connections)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(connections.makeHandler())
          if let access, access.usesTLS { try pipeline.addHandler(TLSStart(access: access)) }
          try pipeline.addHandler(HTTPResponseEncoder())
          try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
          try pipeline.addHandler(ConnectionHandler(handler: handler, limits: limits))
        }
      }
    var channels: [(channel: any Channel, address: String)] = []
    for address in addresses {
      do {
        let channel = try await address.bind(bootstrap)
        channels.append((channel, address.text(of: channel)))
      } catch {
        for bound in channels { try? await bound.channel.close() }
        throw address.fault(error)
      }
    }
    return WebServer(channels: channels, connections: connections)
  }

  /// Takes no more connections, lets running answers end within the time, then closes what is left.
  public func stop(within time: TimeAmount) async {
    for channel in channels { try? await channel.close() }
    await connections.close(within: time)
  }
}
