import Flags

extension Host {
  /// Warns that node_exporter is about to drop the collector.
  func warnAboutDeprecation(of collector: any Collector.Type) {
    logger.warning(
      "This collector is deprecated and will be removed in the next major version release.",
      metadata: ["collector": "\(collector.name)"])
  }

  /// The pattern of a flag that once had another name, which is still taken, with a warning.
  func pattern(_ flag: Flag<String>, onceCalled old: Flag<String>) throws(CollectorConfigurationError) -> String {
    let former = flags[old]
    guard !former.isEmpty else { return flags[flag] }
    let (oldName, newName) = (old.definition.name, flag.definition.name)
    guard !flags.isGiven(flag) else {
      throw CollectorConfigurationError("--\(oldName) and --\(newName) are mutually exclusive")
    }
    logger.warning("--\(oldName) is DEPRECATED and will be removed in 2.0.0, use --\(newName)")
    return former
  }

  /// A filter by an including and an excluding flag; the excluding one's default does not count beside an including one.
  func filter(
    include: Flag<String>, exclude: Flag<String>, onceCalled old: Flag<String>, named flagNames: String
  ) throws(CollectorConfigurationError) -> NameFilter {
    let included = flags[include]
    let isExcludeChosen = flags.isGiven(exclude) || !flags[old].isEmpty
    let excluded = try pattern(exclude, onceCalled: old)
    return try NameFilter(
      include: included, exclude: included.isEmpty || isExcludeChosen ? excluded : "", flags: flagNames)
  }
}
