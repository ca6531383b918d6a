// `consul_sd_configs`: the instances of services in a Consul catalog
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#consul_sd_config).

import Bytes
import Configuration
import Synchronization

/// Follows the catalog, and each service in it, by queries that wait for changes.
struct ConsulDiscovery: Discovery {
  private static let retryInterval = Duration.seconds(15)

  private let configuration: ConsulDiscoveryConfiguration
  private let environment: DiscoveryEnvironment
  private let client: ConsulClient
  private let retryInterval: Duration

  init(
    _ configuration: ConsulDiscoveryConfiguration, _ environment: DiscoveryEnvironment,
    retryInterval: Duration = ConsulDiscovery.retryInterval
  ) {
    self.configuration = configuration
    self.environment = environment
    self.retryInterval = retryInterval
    client = ConsulClient(configuration, environment)
  }

  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    guard let datacenter = await datacenter() else { return }
    let services = ConsulServices(publish)
    defer { services.stop() }
    let start = { (service: String) in
      Task { await follow(service, datacenter, services) }
    }
    // Only the catalog knows which services have the tags, or pass the filter.
    if !configuration.services.isEmpty, configuration.tags.isEmpty, configuration.filter.isEmpty {
      services.follow(Set(configuration.services), start: start)
      _ = try? await Task.sleep(for: .seconds(1 << 40))
      return
    }
    await watch("the list of services", client.services) { answer in
      services.follow(wanted(answer.value), start: start)
    }
  }

  /// Nil when the task is cancelled.
  private func datacenter() async -> String? {
    if !configuration.datacenter.isEmpty { return configuration.datacenter }
    var fault = ""
    while !Task.isCancelled {
      do {
        return try await client.datacenter()
      } catch {
        note(error, "the datacenter", &fault)
        guard (try? await Task.sleep(for: retryInterval)) != nil else { return nil }
      }
    }
    return nil
  }

  private func wanted(_ catalog: JSONValue) -> Set<String> {
    guard case .object(let members) = catalog else { return [] }
    return Set(
      members.filter { member in
        let tags = Set(member.value.texts)
        return (configuration.services.isEmpty || configuration.services.contains(member.name))
          && configuration.tags.allSatisfy(tags.contains)
      }.map(\.name))
  }

  private func follow(_ service: String, _ datacenter: String, _ services: ConsulServices) async {
    await watch("the service \(service)") { index in
      try await client.instances(of: service, after: index)
    } failed: {
      services.fail(service)
    } take: { answer in
      services.publish(
        ConsulGroup.make(service, datacenter, answer.value, tagSeparator: configuration.tagSeparator), of: service)
    }
  }

  /// Asks again and again, at most once a refresh interval, until the task is cancelled.
  private func watch(
    _ subject: String, _ query: (UInt64) async throws -> ConsulAnswer, failed: () -> Void = {},
    take: (ConsulAnswer) -> Void
  ) async {
    let clock = ContinuousClock()
    var due = clock.now
    var index: UInt64 = 0
    var fault = ""
    repeat {
      do {
        let answer = try await query(index)
        if Task.isCancelled { return }
        fault = ""
        if answer.index == 0 || answer.index != index { take(answer) }
        // An index that goes back is a new life of Consul's: it counts anew.
        index = answer.index < index ? 0 : answer.index
        due = max(due + configuration.refreshInterval, clock.now)
      } catch {
        if Task.isCancelled { return }
        failed()
        note(error, subject, &fault)
        due = clock.now + retryInterval
      }
    } while (try? await clock.sleep(until: due)) != nil
  }

  /// Logs a fault that is another one than the last.
  private func note(_ error: any Error, _ subject: String, _ last: inout String) {
    let reason = "\(error)"
    if reason != last, !Task.isCancelled {
      environment.log.error(
        "Error asking Consul for \(subject), the last targets stay",
        metadata: ["discovery": "consul", "config": "\(environment.jobName)", "err": "\(reason)"])
    }
    last = reason
  }
}

/// The services that are followed, and what they publish: at first all together.
private final class ConsulServices: Sendable {
  private struct State {
    var tasks: [String: Task<Void, Never>] = [:]
    /// Those of the first list that have not been found yet; nil once the first groups are published.
    var missing: Set<String>?
    var isFirst = true
    var first: [TargetGroup] = []
  }

  private let state = Mutex(State())
  private let send: @Sendable ([TargetGroup]) -> Void

  init(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) { send = publish }

  /// Makes these the services that are followed.
  func follow(_ names: Set<String>, start: (String) -> Task<Void, Never>) {
    state.withLock { state in
      var gone: [TargetGroup] = []
      for (name, task) in state.tasks where !names.contains(name) {
        task.cancel()
        state.tasks[name] = nil
        state.missing?.remove(name)
        gone.append(TargetGroup(source: name, targets: [], labels: []))
      }
      if state.isFirst { state.missing = names }
      state.isFirst = false
      for name in names where state.tasks[name] == nil { state.tasks[name] = start(name) }
      if state.missing == nil, !gone.isEmpty { send(gone) }
      sendFirst(&state)
    }
  }

  /// Nothing is published any more.
  func stop() {
    state.withLock { state in
      for task in state.tasks.values { task.cancel() }
      state = State(isFirst: false)
    }
  }

  func publish(_ group: TargetGroup, of service: String) {
    state.withLock { state in
      guard state.tasks[service] != nil, !Task.isCancelled else { return }
      guard state.missing != nil else { return send([group]) }
      state.first.removeAll { $0.source == service }
      state.first.append(group)
      state.missing?.remove(service)
      sendFirst(&state)
    }
  }

  /// The others do not wait for it.
  func fail(_ service: String) {
    state.withLock { state in
      state.missing?.remove(service)
      sendFirst(&state)
    }
  }

  private func sendFirst(_ state: inout State) {
    guard state.missing?.isEmpty == true else { return }
    send(state.first.filter { state.tasks[$0.source] != nil })
    state.missing = nil
    state.first = []
  }
}

extension JSONValue {
  /// The texts of an array.
  var texts: [String] {
    guard case .array(let values) = self else { return [] }
    return values.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }
}
