import HTTPClient
import Synchronization

/// The informers at work. Jobs that need the same objects share one: a cluster is asked once for each kind of object,
/// however many jobs there are.
final class KubernetesWatches: Sendable {
  private struct Entry {
    let informer: any AnyObject & Sendable
    let task: Task<Void, Never>
    var users = 0
  }

  private struct State {
    var entries: [KubernetesQuery: Entry] = [:]
    /// One for each server, so that tokens and files are read once.
    var accesses: [KubernetesServer: HTTPAccess] = [:]
  }

  private let state = Mutex(State())

  init() {}

  /// How many informers there are.
  var count: Int { state.withLock { $0.entries.count } }

  /// Follows the objects of a query until the lease is gone.
  ///
  /// - Parameter observer: told of changes from now on; what is known already is asked of the informer.
  func lease<Object: KubernetesObject>(
    _ query: KubernetesQuery, _ environment: DiscoveryEnvironment, _ observer: @escaping Informer<Object>.Observer
  ) -> Lease<Object> {
    let informer = state.withLock { state in
      defer { state.entries[query]?.users += 1 }
      if let known = state.entries[query]?.informer as? Informer<Object> { return known }
      let access = state.accesses[query.server] ?? HTTPAccess(query.server.options)
      state.accesses[query.server] = access
      let metrics = environment.metrics
      let informer = Informer<Object>(KubernetesClient(query, access, environment), log: environment.log) {
        metrics.count(KubernetesDiscovery.failures)
      }
      state.entries[query] = Entry(informer: informer, task: Task { await informer.run() })
      return informer
    }
    return Lease(informer, informer.addObserver(observer)) { [weak self] in self?.release(query) }
  }

  private func release(_ query: KubernetesQuery) {
    state.withLock { state in
      state.entries[query]?.users -= 1
      guard let entry = state.entries[query], entry.users <= 0 else { return }
      entry.task.cancel()
      state.entries[query] = nil
      if !state.entries.keys.contains(where: { $0.server == query.server }) { state.accesses[query.server] = nil }
    }
  }
}

/// A share in an informer; given back with this object.
final class Lease<Object: KubernetesObject>: Sendable {
  let informer: Informer<Object>
  private let observer: Int
  private let release: @Sendable () -> Void

  fileprivate init(_ informer: Informer<Object>, _ observer: Int, release: @escaping @Sendable () -> Void) {
    self.informer = informer
    self.observer = observer
    self.release = release
  }

  deinit {
    informer.removeObserver(observer)
    release()
  }
}
