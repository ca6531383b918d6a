import Configuration

/// The pods behind the endpoints of a service, as the roles `endpoints` and `endpointslice` find them: their labels for
/// the endpoints' targets, and a target for each of their ports that no endpoint has.
struct BackingPods {
  private var seen: [ObjectReference: (pod: Pod, ports: Set<Int64>)] = [:]
  /// In the order in which they were found.
  private var order: [ObjectReference] = []

  /// Adds the labels of a pod to the target of an endpoint that stands for it.
  ///
  /// - Parameter protocol: of the endpoint's port, where the role shows it instead of the container's.
  mutating func add(
    _ pod: Pod, port: Int64?, protocol: String? = nil, to target: inout [ConfiguredLabel], _ context: TargetContext
  ) {
    target += pod.labels(context)
    // As Prometheus has it: the last container with the port counts, and of its ports the first.
    let match = pod.containers.reversed().lazy.compactMap { container in
      container.ports.first { port != nil && $0.number == port }.map { (container, $0) }
    }.first
    if let (container, containerPort) = match {
      target += Pod.labels(container, containerPort, protocol: `protocol` ?? containerPort.protocol)
    }
    if seen[pod.reference] == nil {
      order.append(pod.reference)
      seen[pod.reference] = (pod, [])
    }
    if let port { seen[pod.reference]?.ports.insert(port) }
  }

  /// The targets of the ports that no endpoint has.
  func otherTargets(_ context: TargetContext) -> [[ConfiguredLabel]] {
    order.compactMap { seen[$0] }.filter { !$0.pod.ip.isEmpty }.flatMap { pod, ports in
      pod.containers.flatMap { container in
        container.ports.filter { port in !ports.contains(port.number ?? 0) }.map { port in
          pod.target(container, port) + pod.labels(context)
        }
      }
    }
  }
}
