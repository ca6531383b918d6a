/// Collectors that node_exporter is about to drop.
enum DeprecatedCollector {
  static func warn(_ name: String, _ host: Host) {
    host.logger.warning(
      "This collector is deprecated and will be removed in the next major version release.",
      metadata: ["collector": "\(name)"])
  }
}
