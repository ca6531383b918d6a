import NIOCore
import Synchronization

/// Counts a server's connections, refuses those beyond the limit, and closes them all at the end.
final class ConnectionCount: Sendable {
  private let limit: Int
  private let open = Mutex(Open())

  private struct Open {
    var channels: [ObjectIdentifier: any Channel] = [:]
    /// No further connection is taken.
    var isEnding = false
  }

  init(limit: Int) { self.limit = limit }

  func makeHandler() -> some ChannelInboundHandler & Sendable { Handler(count: self) }

  /// Asks every connection to end after its present answer; closes after `time` what has not ended.
  func close(within time: TimeAmount) async {
    let channels = open.withLock { open in
      open.isEnding = true
      return Array(open.channels.values)
    }
    for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ServerIsStopping()) }
    let deadline = ContinuousClock.now + .nanoseconds(time.nanoseconds)
    while ContinuousClock.now < deadline, open.withLock({ !$0.channels.isEmpty }) {
      try? await Task.sleep(for: .milliseconds(10))
    }
    for channel in open.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
  }

  private func add(_ channel: any Channel) -> Bool {
    open.withLock { open in
      guard open.channels.count < limit, !open.isEnding else { return false }
      open.channels[ObjectIdentifier(channel)] = channel
      return true
    }
  }

  private func remove(_ channel: any Channel) {
    open.withLock { _ = $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
  }

  private final class Handler: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let count: ConnectionCount
    init(count: ConnectionCount) { self.count = count }

    func channelActive(context: ChannelHandlerContext) {
      guard count.add(context.channel) else { return context.close(promise: nil) }
      context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
      count.remove(context.channel)
      context.fireChannelInactive()
    }
  }
}

/// Tells a connection that the server is about to end.
struct ServerIsStopping: Sendable {}
