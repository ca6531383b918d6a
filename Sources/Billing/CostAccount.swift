/// Makes reports on request: one at a time, and none anew while the last one is fresh.
public actor CostAccount {
  /// How long a report is shown again.
  private static let freshness = Duration.seconds(5)

  private let survey: @Sendable () async -> CostReport
  private var latest: (report: CostReport, time: ContinuousClock.Instant)?
  private var running: Task<CostReport, Never>?

  /// - Parameter survey: makes a report.
  public init(survey: @escaping @Sendable () async -> CostReport) { self.survey = survey }

  public func report() async -> CostReport {
    if let latest, .now - latest.time < Self.freshness { return latest.report }
    if let running { return await running.value }
    let task = Task(priority: .low) { await survey() }
    running = task
    let report = await task.value
    running = nil
    latest = (report, .now)
    return report
  }
}
