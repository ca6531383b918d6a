import NIOCore
import NIOPosix
import Synchronization

/// A proxy on loopback that makes tunnels for whoever asks.
final class TunnelServer: Sendable {
  let port: Int
  private let channel: any Channel
  private let seen: Seen

  final class Seen: Sendable {
    let heads = Mutex<[String]>([])
  }

  init() async throws {
    let seen = Seen()
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.autoRead, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(TunnelEntrance(seen))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
    self.seen = seen
  }

  /// Of the requests for tunnels.
  var heads: [String] { seen.heads.withLock { $0 } }

  func close() async { try? await channel.close() }
}

/// The client's end of a tunnel.
private final class TunnelEntrance: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let seen: TunnelServer.Seen
  private var received = ByteBuffer()
  private var server: (any Channel)?

  init(_ seen: TunnelServer.Seen) { self.seen = seen }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if let server { return server.writeAndFlush(unwrapInboundIn(data), promise: nil) }
    received.writeImmutableBuffer(unwrapInboundIn(data))
    let head = String(buffer: received)
    guard head.hasSuffix("\r\n\r\n") else { return }
    seen.heads.withLock { $0.append(head) }
    let port = Int(head.split(separator: " ")[1].split(separator: ":").last ?? "") ?? 0
    let client = context.channel
    ClientBootstrap(group: context.eventLoop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(TunnelExit(client))
        }
      }
      .connect(host: "127.0.0.1", port: port).assumeIsolated().whenSuccess { server in
        self.server = server
        client.writeAndFlush(ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n"), promise: nil)
      }
  }

  func channelInactive(context: ChannelHandlerContext) { server?.close(promise: nil) }
}

/// The server's end.
private final class TunnelExit: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let client: any Channel

  init(_ client: any Channel) { self.client = client }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    client.writeAndFlush(unwrapInboundIn(data), promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }
}
