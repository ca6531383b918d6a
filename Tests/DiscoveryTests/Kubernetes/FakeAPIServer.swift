import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An API server on loopback: lists in pages, watches from a version on, bookmarks, and what else a test tells it.
final class FakeAPIServer: Sendable {
  struct Request: Sendable {
    let path: String
    let query: [String: String]
    let authorization: String?
    var isWatch: Bool { query["watch"] == "true" }
  }

  struct Answer: Sendable {
    var status = 200
    var body = ""
  }

  fileprivate struct Key: Hashable {
    let resource: String
    let namespace: String
    let name: String
  }

  private struct Watcher {
    let channel: any Channel
    let resource: String
    let namespace: String?
  }

  private struct State {
    var version = 10
    /// Older versions are forgotten.
    var oldest = 0
    var objects: [Key: String] = [:]
    var history: [(version: Int, key: Key, line: String)] = []
    var watchers: [ObjectIdentifier: Watcher] = [:]
    var requests: [Request] = []
    /// For the next requests that are not for a watch, or are.
    var lists: [Answer] = []
    var watches: [Answer] = []
  }

  let port: Int
  private let channel: any Channel
  private let state: Box

  private final class Box: Sendable { let value = Mutex(State()) }

  init() async throws {
    let state = Box()
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(Handler(state))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    port = channel.localAddress?.port ?? 0
    self.state = state
  }

  deinit { channel.close(promise: nil) }

  var url: String { "http://127.0.0.1:\(port)" }
  var requests: [Request] { state.value.withLock { $0.requests } }
  var watchers: Int { state.value.withLock { $0.watchers.count } }

  // MARK: What happens in the cluster

  /// - Parameters:
  ///   - metadata: further members of `metadata`, each behind a comma.
  ///   - rest: further members of the object, each behind a comma.
  func put(_ resource: String, _ namespace: String, _ name: String, metadata: String = "", _ rest: String = "") {
    change(Key(resource: resource, namespace: namespace, name: name)) { version in
      let place = namespace.isEmpty ? "" : #""namespace":"\#(namespace)","#
      return #"{"metadata":{\#(place)"name":"\#(name)","resourceVersion":"\#(version)"\#(metadata)}\#(rest)}"#
    }
  }

  func putPod(_ namespace: String, _ name: String, ip: String, metadata: String = "") {
    put(
      "pods", namespace, name, metadata: metadata,
      #","spec":{"nodeName":"n1","containers":[{"name":"c"}]},"status":{"podIP":"\#(ip)","phase":"Running"}"#)
  }

  func delete(_ resource: String, _ namespace: String, _ name: String) {
    change(Key(resource: resource, namespace: namespace, name: name)) { _ in nil }
  }

  private func change(_ key: Key, _ object: (Int) -> String?) {
    let (line, watchers) = state.value.withLock { state in
      state.version += 1
      let before = state.objects[key]
      let after = object(state.version)
      state.objects[key] = after
      let type = after == nil ? "DELETED" : before == nil ? "ADDED" : "MODIFIED"
      let line = #"{"type":"\#(type)","object":\#(after ?? before ?? "{}")}"#
      state.history.append((state.version, key, line))
      let concerned = state.watchers.values.filter {
        $0.resource == key.resource && ($0.namespace == nil || $0.namespace == key.namespace)
      }
      return (line, concerned.map(\.channel))
    }
    for channel in watchers { Handler.write(line + "\n", channel) }
  }

  // MARK: What the server does

  /// Forgets all versions before now.
  func compact() {
    state.value.withLock { state in
      state.version += 1
      state.oldest = state.version
    }
  }

  /// Answers so to the next lists, or watches.
  func answer(lists: [Answer] = [], watches: [Answer] = []) {
    state.value.withLock { state in
      state.lists += lists
      state.watches += watches
    }
  }

  /// Sends a line to all watches.
  func sendToWatches(_ line: String) {
    for watcher in state.value.withLock({ Array($0.watchers.values) }) { Handler.write(line + "\n", watcher.channel) }
  }

  func sendBookmarks() {
    let version = state.value.withLock { $0.version }
    sendToWatches(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"\#(version)"}}}"#)
  }

  /// Ends all watches, as the server does when their time is over.
  func endWatches() {
    let watchers = state.value.withLock { state in
      defer { state.watchers = [:] }
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil) }
  }

  // MARK: HTTP

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    private let state: Box

    init(_ state: Box) { self.state = state }

    static func write(_ text: String, _ channel: any Channel) {
      channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
      state.value.withLock { $0.watchers[ObjectIdentifier(context.channel)] = nil }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      guard case .head(let head) = unwrapInboundIn(data) else { return }
      let parts = head.uri.split(separator: "?", maxSplits: 1)
      var query: [String: String] = [:]
      for pair in parts.count > 1 ? parts[1].split(separator: "&") : [] {
        let pair = pair.split(separator: "=", maxSplits: 1)
        query[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
      }
      let request = Request(
        path: String(parts[0]), query: query, authorization: head.headers.first(name: "authorization"))
      let path = request.path.split(separator: "/").map(String.init)
      let resource = path.last ?? ""
      let namespace = path.count > 2 && path[path.count - 3] == "namespaces" ? path[path.count - 2] : nil
      let channel = context.channel
      state.value.withLock { state in
        state.requests.append(request)
        if let answer = request.isWatch ? state.watches.first : state.lists.first {
          if request.isWatch { state.watches.removeFirst() } else { state.lists.removeFirst() }
          Self.answer(answer, channel)
        } else if request.isWatch {
          watch(&state, request, resource, namespace, channel)
        } else {
          Self.answer(Answer(body: list(state, request, resource, namespace)), channel)
        }
      }
    }

    private static func answer(_ answer: Answer, _ channel: any Channel) {
      let status = HTTPResponseStatus(statusCode: answer.status)
      let head = HTTPResponseHead(
        version: .http1_1, status: status, headers: ["content-length": "\(answer.body.utf8.count)"])
      channel.write(HTTPServerResponsePart.head(head), promise: nil)
      write(answer.body, channel)
      channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
    }

    private func list(_ state: State, _ request: Request, _ resource: String, _ namespace: String?) -> String {
      let all = state.objects.filter {
        $0.key.resource == resource && (namespace ?? $0.key.namespace) == $0.key.namespace
      }
      .sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }.map(\.value)
      let start = request.query["continue"].flatMap { Int($0) } ?? 0
      let limit = request.query["limit"].flatMap { Int($0) } ?? all.count
      let items = all.dropFirst(start).prefix(limit)
      let next = start + items.count < all.count ? #","continue":"\#(start + items.count)""# : ""
      return #"{"kind":"List","metadata":{"resourceVersion":"\#(state.version)"\#(next)},"items":["#
        + items.joined(separator: ",\n") + "]}\n"
    }

    private func watch(
      _ state: inout State, _ request: Request, _ resource: String, _ namespace: String?, _ channel: any Channel
    ) {
      channel.writeAndFlush(
        HTTPServerResponsePart.head(
          HTTPResponseHead(version: .http1_1, status: .ok, headers: ["transfer-encoding": "chunked"])), promise: nil)
      let version = request.query["resourceVersion"].flatMap { Int($0) } ?? 0
      if version < state.oldest {
        Self.write(
          #"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old resource version"}}"# + "\n",
          channel)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        return
      }
      for event in state.history
      where event.version > version && event.key.resource == resource
        && (namespace == nil || namespace == event.key.namespace)
      {
        Self.write(event.line + "\n", channel)
      }
      state.watchers[ObjectIdentifier(channel)] = Watcher(channel: channel, resource: resource, namespace: namespace)
    }
  }
}
