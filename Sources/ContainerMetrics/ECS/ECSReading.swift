/// What one look at a task gave, ready to be written.
public struct ECSReading: Sendable {
  let task: ECSTask
  /// The containers that run, and the task as the cgroup above them.
  public let containers: [ContainerStatistics]
  /// The interfaces of the task: those that its containers share, or the sums of theirs by name.
  let interfaces: [ContainerStatistics.NetworkInterface]
}

/// What is known of a task's networks from one reading to the next.
///
/// The statistics of containers that share a network are taken at different moments, and a container that stops takes
/// its counters along; a counter of the task goes back in neither case.
struct NetworkLedger {
  private typealias Interfaces = [String: ContainerStatistics.NetworkInterface]
  /// By container; all in one where the network is shared.
  private var networks: [String: Interfaces] = [:]

  mutating func read(_ task: ECSTask) -> ECSReading {
    let containers = task.containers.compactMap(\.statistics)
    var whole = task.whole
    guard !containers.isEmpty else { return ECSReading(task: task, containers: [whole], interfaces: []) }
    if task.sharesNetwork {
      var shared = networks[""] ?? [:]
      for interface in containers.flatMap(\.networks) {
        let known = shared[interface.name] ?? interface
        shared[interface.name] = known.combined(with: interface) { $0.advanced(to: $1) }
      }
      networks = ["": shared]
      whole.networks = shared.values.sorted { $0.name < $1.name }
      let own = containers.map { container in
        var container = container
        container.networks = []
        return container
      }
      return ECSReading(task: task, containers: own + [whole], interfaces: whole.networks)
    }
    let listed = Set(task.containers.map(\.identity.id))
    networks = networks.filter { listed.contains($0.key) }
    for container in containers {
      networks[container.id] = Dictionary(container.networks.map { ($0.name, $0) }) { _, last in last }
    }
    let sums = networks.values.reduce(into: Interfaces()) { sums, interfaces in
      sums.merge(interfaces) { a, b in a.combined(with: b) { $0 + $1 } }
    }
    return ECSReading(
      task: task, containers: containers + [whole], interfaces: sums.values.sorted { $0.name < $1.name })
  }
}

extension ContainerStatistics.NetworkInterface {
  fileprivate func combined(
    with other: Self,
    by combine: (ContainerStatistics.Traffic, ContainerStatistics.Traffic) -> ContainerStatistics.Traffic
  ) -> Self {
    var result = self
    result.received = combine(received, other.received)
    result.transmitted = combine(transmitted, other.transmitted)
    return result
  }
}
