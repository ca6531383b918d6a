import Configuration

/// `static_configs`: the targets stand in the configuration.
public enum StaticDiscovery {
  public static func groups(of job: ScrapeConfiguration) -> [TargetGroup] {
    job.staticConfigs.enumerated().map { index, entry in
      TargetGroup(
        source: "\(index)", targets: entry.targets.map { [ConfiguredLabel(name: "__address__", value: $0)] },
        labels: entry.labels)
    }
  }
}
