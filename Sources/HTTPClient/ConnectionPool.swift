import NIOCore

/// What a connection leads to, and how.
struct Origin: Hashable, Sendable {
  let host: String
  let port: Int
  /// `TLSContext.Loaded.number`; 0: no TLS.
  var tls = 0
  /// `HTTPAccess.number` of a tunnel through its proxy; 0: none.
  var tunnel = 0

  init(_ url: HTTPURL) {
    host = url.host
    port = url.port
  }

  init(_ proxy: ProxyServer) {
    host = proxy.host
    port = proxy.port
  }
}

/// What the requests of one event loop share: the connections on which no request is under way, by server, the
/// timer of the deadlines, and spare memory.
///
/// `@unchecked Sendable`: used on `eventLoop` only, once it is made.
final class ConnectionPool: @unchecked Sendable {
  private struct Idle {
    let connection: ConnectionHandler
    let since: NIODeadline
  }

  let eventLoop: any EventLoop
  let deadlines: Deadlines
  let buffers = SpareBuffers()
  private let connectionsPerHost: Int
  private let idleTimeout: TimeAmount
  private var idle: [Origin: [Idle]] = [:]
  private var isSweepScheduled = false
  private(set) var isShutDown: Bool

  init(_ eventLoop: any EventLoop, connectionsPerHost: Int, idleTimeout: TimeAmount, isShutDown: Bool) {
    self.eventLoop = eventLoop
    self.connectionsPerHost = connectionsPerHost
    self.idleTimeout = idleTimeout
    self.isShutDown = isShutDown
    deadlines = Deadlines(eventLoop)
  }

  /// The connection that was used last.
  func take(_ origin: Origin) -> ConnectionHandler? { idle[origin]?.popLast()?.connection }

  /// False when there is no room: the caller closes the connection.
  func put(_ connection: ConnectionHandler, _ origin: Origin) -> Bool {
    guard !isShutDown, idle[origin, default: []].count < connectionsPerHost else { return false }
    idle[origin, default: []].append(Idle(connection: connection, since: .now()))
    scheduleSweep()
    return true
  }

  /// The connection has ended.
  func remove(_ connection: ConnectionHandler, _ origin: Origin) {
    idle[origin]?.removeAll { $0.connection === connection }
    if idle[origin]?.isEmpty == true { idle[origin] = nil }
  }

  /// Closes the idle connections to a server.
  func close(_ origin: Origin) {
    for idle in idle.removeValue(forKey: origin) ?? [] { idle.connection.abandon() }
  }

  /// Closes the idle connections and keeps none from now on.
  func shutdown() {
    isShutDown = true
    close { _ in true }
  }

  private func close(_ isClosed: (Idle) -> Bool) {
    var closed: [ConnectionHandler] = []
    for (origin, connections) in idle {
      closed += connections.lazy.filter(isClosed).map(\.connection)
      let kept = connections.filter { !isClosed($0) }
      idle[origin] = kept.isEmpty ? nil : kept
    }
    for connection in closed { connection.abandon() }
  }

  /// One sweep is due as long as there are idle connections, so that none stays open for more than twice the timeout.
  private func scheduleSweep() {
    guard !isSweepScheduled else { return }
    isSweepScheduled = true
    eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { [weak self] in
      guard let self else { return }
      isSweepScheduled = false
      let oldest = NIODeadline.now() - idleTimeout
      close { $0.since <= oldest }
      if !idle.isEmpty { scheduleSweep() }
    }
  }
}
