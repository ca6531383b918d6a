import NIOCore
import Synchronization

/// A server: what a connection leads to.
struct Origin: Hashable, Sendable {
  let host: String
  let port: Int

  init(_ url: HTTPURL) {
    host = url.host
    port = url.port
  }
}

/// A connection as it is handed between threads; its handler is used on the channel's event loop only.
struct Connection: Sendable {
  let channel: any Channel
  let handler: NIOLoopBound<ConnectionHandler>
}

/// The connections on which no request is under way, by server; the one used last is taken first.
final class ConnectionPool: Sendable {
  private struct Idle {
    let connection: Connection
    let since: NIODeadline
  }

  private struct State {
    var idle: [Origin: [Idle]] = [:]
    var isSweepScheduled = false
    var isShutDown = false
  }

  private let connectionsPerHost: Int
  private let idleTimeout: TimeAmount
  private let state = Mutex(State())

  init(connectionsPerHost: Int, idleTimeout: TimeAmount) {
    self.connectionsPerHost = connectionsPerHost
    self.idleTimeout = idleTimeout
  }

  var isShutDown: Bool { state.withLock { $0.isShutDown } }

  func take(_ origin: Origin) -> Connection? {
    state.withLock { $0.idle[origin]?.popLast()?.connection }
  }

  /// False when there is no room: the caller closes the connection.
  func put(_ connection: Connection, _ origin: Origin) -> Bool {
    let (isKept, isFirst) = state.withLock { state in
      guard !state.isShutDown, state.idle[origin, default: []].count < connectionsPerHost else {
        return (false, false)
      }
      state.idle[origin, default: []].append(Idle(connection: connection, since: .now()))
      defer { state.isSweepScheduled = true }
      return (true, !state.isSweepScheduled)
    }
    if isFirst { scheduleSweep(on: connection.channel.eventLoop) }
    return isKept
  }

  /// The connection has ended.
  func remove(_ channel: any Channel, _ origin: Origin) {
    state.withLock { state in
      state.idle[origin]?.removeAll { $0.connection.channel === channel }
      if state.idle[origin]?.isEmpty == true { state.idle[origin] = nil }
    }
  }

  /// Closes the idle connections and keeps none from now on; returns when they are closed.
  func shutdown() async {
    let idle = state.withLock { state in
      state.isShutDown = true
      defer { state.idle = [:] }
      return state.idle.values.joined().map(\.connection.channel)
    }
    for channel in idle {
      channel.close(promise: nil)
      // The future of a close cannot fail.
      try? await channel.closeFuture.get()
    }
  }

  /// One sweep is due as long as there are idle connections, so that none stays open for more than twice the timeout.
  private func scheduleSweep(on eventLoop: any EventLoop) {
    eventLoop.scheduleTask(in: idleTimeout) { [weak self] in self?.sweep(on: eventLoop) }
  }

  private func sweep(on eventLoop: any EventLoop) {
    let oldest = NIODeadline.now() - idleTimeout
    let (expired, isEmpty) = state.withLock { state in
      var expired: [any Channel] = []
      for (origin, idle) in state.idle {
        let kept = idle.filter { $0.since > oldest }
        expired += idle.lazy.filter { $0.since <= oldest }.map(\.connection.channel)
        state.idle[origin] = kept.isEmpty ? nil : kept
      }
      state.isSweepScheduled = !state.idle.isEmpty
      return (expired, state.idle.isEmpty)
    }
    for channel in expired { channel.close(promise: nil) }
    if !isEmpty { scheduleSweep(on: eventLoop) }
  }
}
