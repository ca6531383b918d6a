import Glibc
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
  public var addresses: [String] {
    channels.map { channel in
      guard let address = channel.localAddress, let port = address.port else { return "?" }
      let host = address.ipAddress ?? ""
      return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }

  private init(channels: [any Channel], connections: ConnectionCount) {
    self.channels = channels
    self.connections = connections
  }

  /// Listens on all addresses, or on none.
  ///
  /// - Throws: for the first address that cannot be listened on.
  public static func start(
    _ addresses: [ListenAddress], routes: WebRoutes, group: any EventLoopGroup, limits: Limits = Limits()
  ) async throws(WebServerError) -> WebServer {
    let connections = ConnectionCount(limit: limits.connections)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(connections.makeHandler())
          try pipeline.addHandler(HTTPResponseEncoder())
          try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
          try pipeline.addHandler(ConnectionHandler(routes: routes, limits: limits))
        }
      }
    var channels: [any Channel] = []
    for address in addresses {
      do {
        channels.append(try await bind(address, bootstrap))
      } catch {
        for channel in channels { try? await channel.close() }
        throw .listen("\(address)", "bind: \(reason(error))")
      }
    }
    return WebServer(channels: channels, connections: connections)
  }

  /// An address without a host is every interface: IPv6 and IPv4 by one socket, IPv4 where there is no IPv6.
  private static func bind(_ address: ListenAddress, _ bootstrap: ServerBootstrap) async throws -> any Channel {
    guard address.host.isEmpty else { return try await bootstrap.bind(host: address.host, port: address.port).get() }
    do {
      return try await bootstrap.bind(host: "::", port: address.port).get()
    } catch let error as IOError where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode) {
      return try await bootstrap.bind(host: "0.0.0.0", port: address.port).get()
    }
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? IOError, let text = strerror(error.errnoCode) else { return "\(error)" }
    let reason = String(cString: text)
    return reason.prefix(1).lowercased() + reason.dropFirst()
  }

  /// Takes no more connections, lets running answers end within the time, then closes what is left.
  public func stop(within time: TimeAmount) async {
    for channel in channels { try? await channel.close() }
    await connections.close(within: time)
  }
}
