import Exposition

/// Writes containers as cAdvisor shows them: each sample with `id`, `image` and `name`, and with the runtime's labels as
/// `container_label_NAME`. A label that only some of the containers have is empty with the others.
public struct ContainerWriter {
  /// A family with the labels of the containers that were written last.
  private struct Entry {
    let source: ContainerFamily
    let family: MetricFamily
    let slots: [Slot]
  }

  /// Where the value of a label comes from.
  private enum Slot {
    /// The container's identity, at this place.
    case identity(Int)
    /// What the family adds, at this place.
    case own(Int)
  }

  private var labelNames: [String]?
  private var entries: [Entry] = []

  public init() {}

  /// - Parameter containers: each with an `id` of its own.
  public mutating func write(_ containers: [ContainerStatistics], to writer: MetricWriter) {
    let labels = containers.map { Self.sanitized($0.labels) }
    prepare(Set(labels.flatMap(\.keys)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    let names = labelNames ?? []
    let identities = zip(containers, labels).map { container, labels in
      [container.id, container.image, container.name] + names.map { labels[$0] ?? "" }
    }
    for entry in entries {
      for (container, identity) in zip(containers, identities) {
        for value in entry.source.values(container) {
          writer.begin(entry.family)
          for slot in entry.slots {
            switch slot {
            case .identity(let index): writer.label(identity[index])
            case .own(let index): writer.label(value.labels[index])
            }
          }
          writer.end(value.value)
        }
      }
    }
  }

  /// Makes the families for containers with these labels.
  private mutating func prepare(_ names: [String]) {
    guard names != labelNames else { return }
    labelNames = names
    let identity = (["id", "image", "name"] + names).enumerated().map { (name: $1, slot: Slot.identity($0)) }
    entries = ContainerFamily.all.map { source in
      let own = source.labels.enumerated().map { (name: $1, slot: Slot.own($0)) }
      let labels = (identity + own).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      return Entry(
        source: source,
        family: MetricFamily(
          source.name, source.isCounter ? .counter : .gauge, source.help, labels: labels.map(\.name)),
        slots: labels.map(\.slot))
    }
  }

  /// Labels by the names that they have as a metric's. Of two that become the same, that stays whose own name comes
  /// first; cAdvisor keeps one of them by chance.
  private static func sanitized(_ labels: [ContainerStatistics.Label]) -> [String: String] {
    let named = labels.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.map { label in
      let name = label.name.unicodeScalars.map { $0.isPartOfLabelName ? String($0) : "_" }.joined()
      return ("container_label_" + name, label.value)
    }
    return Dictionary(named) { first, _ in first }
  }
}

extension Unicode.Scalar {
  fileprivate var isPartOfLabelName: Bool {
    switch self {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: false
    }
  }
}
