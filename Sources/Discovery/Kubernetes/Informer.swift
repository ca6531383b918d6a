import Bytes
import Exposition
import Logging
import NIOCore
import Synchronization

/// How far an informer has come.
enum InformerPhase: Sendable {
  /// Nothing is known yet.
  case starting
  /// Nothing is known yet, and the last try failed.
  case failed
  /// All objects were known at some time, and changes are followed.
  case synced
}

/// Knows all objects of a query, and follows their changes: a list, then watches from its version on. A watch that ends
/// is followed by one from the version of the last event; when the server does not know that version any more, by a
/// list. (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes)
final class Informer<Object: KubernetesObject>: Sendable {
  /// Called with what has changed; with nothing when the phase has.
  typealias Observer = @Sendable ([ObjectChange]) -> Void

  private struct State {
    var store = ObjectStore<Object>()
    var phase = InformerPhase.starting
    var observers: [Int: Observer] = [:]
    var lastObserver = 0
  }

  private let client: KubernetesClient
  private let log: Logger
  private let onFailure: @Sendable () -> Void
  private let state = Mutex(State())

  /// - Parameter onFailure: called for each list or watch that fails.
  init(_ client: KubernetesClient, log: Logger, onFailure: @escaping @Sendable () -> Void) {
    self.client = client
    self.onFailure = onFailure
    var log = log
    log[metadataKey: "resource"] = "\(client.query.resource.rawValue)"
    if !client.query.namespace.isEmpty { log[metadataKey: "namespace"] = "\(client.query.namespace)" }
    self.log = log
  }

  // MARK: Observers

  var phase: InformerPhase { state.withLock { $0.phase } }
  var references: [ObjectReference] { state.withLock { $0.store.references } }
  func object(_ reference: ObjectReference) -> Object? { state.withLock { $0.store[reference] } }

  /// The number is for `removeObserver`.
  func addObserver(_ observer: @escaping Observer) -> Int {
    state.withLock { state in
      state.lastObserver += 1
      state.observers[state.lastObserver] = observer
      return state.lastObserver
    }
  }

  func removeObserver(_ number: Int) { state.withLock { $0.observers[number] = nil } }

  private func tell() {
    let (changes, observers) = state.withLock { state in
      (state.store.takeChanges(), Array(state.observers.values))
    }
    for observer in observers { observer(changes) }
  }

  private func enter(_ phase: InformerPhase) {
    let isNew = state.withLock { state in
      guard state.phase != phase, state.phase != .synced else { return false }
      state.phase = phase
      return true
    }
    if isNew { tell() }
  }

  // MARK: Lists and watches

  /// Follows the objects until the task is cancelled.
  func run() async {
    var pause = Backoff()
    var version = ListVersion.cached
    var mustList = true
    // In a row, without an event.
    var failedWatches = 0
    var reported = ""
    while !Task.isCancelled {
      var retryAfter = Duration.zero
      do throws(KubernetesFailure) {
        if mustList {
          try await list(version)
          mustList = false
          failedWatches = 0
        }
        if !reported.isEmpty { log.info("Kubernetes answers again") }
        reported = ""
        let began = ContinuousClock.now
        try await watch()
        failedWatches = 0
        if ContinuousClock.now - began > .seconds(5) {
          pause.reset()
          continue
        }
      } catch {
        if Task.isCancelled { return }
        onFailure()
        enter(.failed)
        if error.reason != reported {
          log.error("Objects of Kubernetes cannot be followed", metadata: ["error": "\(error.reason)"])
        }
        reported = error.reason
        retryAfter = error.retryAfter
        failedWatches += 1
        version = error.isGone ? .newest : .cached
        mustList = mustList || error.isGone || failedWatches >= 3
      }
      guard (try? await Task.sleep(for: max(pause.next(), retryAfter))) != nil else { return }
    }
  }

  /// How new a list must be.
  private enum ListVersion {
    /// At least as new as what is known; the server answers from memory.
    case cached
    /// What the database holds now.
    case newest
  }

  private static var pageSize: Int { 500 }

  private func list(_ version: ListVersion) async throws(KubernetesFailure) {
    let known = state.withLock { state in
      state.store.beginList()
      return state.store.resourceVersion
    }
    var continuation = ""
    var pages = 0
    let began = ContinuousClock.now
    repeat {
      state.withLock { $0.store.beginPage() }
      var parameters = [(name: "limit", value: "\(Self.pageSize)"), (name: "continue", value: continuation)]
      if continuation.isEmpty, version == .cached {
        parameters.append((name: "resourceVersion", value: known.isEmpty ? "0" : known))
      }
      try await client.stream(parameters, timeout: .seconds(120), idleTimeout: .seconds(30)) { [self] part in
        let goesOn = state.withLock { $0.store.takeListPart(part) }
        tell()
        return goesOn
      }
      continuation = try state.withLock { state throws(KubernetesFailure) in try state.store.endPage() }
      pages += 1
      // As many as the objects need, and a few that are empty.
      guard pages <= 2 * ObjectStore<Object>.limit / Self.pageSize else {
        throw KubernetesFailure(reason: "an endless list")
      }
    } while !continuation.isEmpty
    client.observe(ContinuousClock.now - began)
    let unreadable = state.withLock { $0.store.endList() }
    if unreadable > 0 {
      log.warning("Objects of Kubernetes that cannot be read are left out", metadata: ["count": "\(unreadable)"])
    }
    enter(.synced)
    tell()
  }

  /// Until the server ends it, which it does after five to ten minutes; not all at once.
  private func watch() async throws(KubernetesFailure) {
    let seconds = Int.random(in: 300...600)
    let version = state.withLock { state in
      state.store.beginWatch()
      return state.store.resourceVersion
    }
    let parameters = [
      (name: "watch", value: "true"), (name: "allowWatchBookmarks", value: "true"),
      (name: "resourceVersion", value: version), (name: "timeoutSeconds", value: "\(seconds)"),
    ]
    // The server sends a bookmark about every minute, most of them; a dead connection is found by silence.
    try await client.stream(parameters, timeout: .seconds(seconds + 30), idleTimeout: .seconds(180)) { [self] part in
      let goesOn = state.withLock { $0.store.takeWatchPart(part) }
      tell()
      return goesOn
    }
    if let fault = state.withLock({ $0.store.fault }) { throw fault }
  }
}

/// Pauses between tries: twice as long each time, up to half a minute, and never the same for all who wait.
struct Backoff {
  private static let first = Duration.milliseconds(800)
  private static let longest = Duration.seconds(30)
  private var pause = first

  mutating func next() -> Duration {
    defer { pause = min(pause * 2, Self.longest) }
    return pause * Double.random(in: 0.5...1)
  }

  mutating func reset() { pause = Self.first }
}
