import Exposition

/// How near the limit of memory is.
enum CeilingMetrics {
  private static let limit = MetricFamily.gauge("pilotfish_memory_limit_bytes", "What the process is to stay below.")
  private static let pressure = MetricFamily.gauge(
    "pilotfish_memory_pressure", "0: there is room; 1: the newest samples take less room; 2: new series are refused.")

  static func write(_ ceiling: MemoryCeiling, to writer: MetricWriter) {
    writer.sample(limit, Double(ceiling.limit))
    writer.sample(pressure, Double(ceiling.pressure.rawValue))
  }
}

/// What came in, for all remotes together.
enum IntakeMetrics {
  private static let table: [(family: MetricFamily, value: @Sendable (Intake.Counts, Int) -> Double)] = [
    (
      .counter(
        "prometheus_remote_storage_samples_in_total",
        "Samples in to remote storage, compare to samples out for queue managers."),
      { counts, _ in Double(counts.samples) }
    ),
    (
      .counter("prometheus_agent_samples_appended_total", "Total number of samples appended to the storage."),
      { counts, _ in Double(counts.samples) }
    ),
    (
      .gauge(
        "prometheus_remote_storage_highest_timestamp_in_seconds",
        "Highest timestamp that has come into the remote storage via the Appender interface, in seconds since epoch. "
          + "Initialized to 0 when no data has been received yet."),
      { counts, _ in Double(counts.highestTimestamp) / 1000 }
    ),
    (
      .gauge("prometheus_agent_active_series", "Number of active series being tracked by the WAL storage"),
      { _, series in Double(series) }
    ),
    (
      .counter("prometheus_agent_deleted_series", "Number of series pending deletion from the WAL"),
      { counts, _ in Double(counts.deletedSeries) }
    ),
    (
      .counter(
        "pilotfish_series_refused_total",
        "Series refused because a label is not valid, too long, or there are too many."),
      { counts, _ in Double(counts.refusedSeries) }
    ),
    (
      .counter("pilotfish_series_refused_for_memory_total", "New series refused because memory was short."),
      { counts, _ in Double(counts.refusedForMemory) }
    ),
    (
      .counter(
        "pilotfish_samples_unknown_series_total", "Samples dropped because their series is not registered."),
      { counts, _ in Double(counts.unknownSeries) }
    ),
    (
      .counter(
        "pilotfish_samples_unlogged_total", "Samples that were kept in memory only, as the log could not be written."),
      { counts, _ in Double(counts.unlogged) }
    ),
  ]

  static func write(_ counts: Intake.Counts, series: Int, to writer: MetricWriter) {
    for (family, value) in table { writer.sample(family, value(counts, series)) }
  }
}
