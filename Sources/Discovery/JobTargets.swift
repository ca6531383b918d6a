import Configuration
import Exposition

/// What discovery found for one job, after the job's `relabel_configs`.
public struct JobTargets: Sendable {
  /// So many dropped targets are kept to be shown where the job does not say; all are counted.
  private static let shownDropped = 100

  public let jobName: String
  /// Of those with equal labels and URL, one.
  public private(set) var active: [Target] = []
  /// The discovered labels of some targets that the rules dropped.
  public private(set) var dropped: [LabelSet] = []
  public private(set) var droppedCount = 0
  /// Why targets can neither be scraped nor were dropped; each once.
  private(set) var faults: [String] = []
  /// How many those are.
  public private(set) var faultCount = 0
  /// How many targets the job may have; 0 is no limit.
  public let targetLimit: Int
  /// How long it took to apply the rules.
  public private(set) var syncDuration = Duration.zero

  public init(of job: ScrapeConfiguration, groups: [TargetGroup]) {
    jobName = job.jobName
    targetLimit = job.limits.targets
    let shownDropped = job.limits.droppedTargets > 0 ? job.limits.droppedTargets : Self.shownDropped
    let start = ContinuousClock.now
    defer { syncDuration = .now - start }
    var seen: Set<Identity> = []
    for group in groups {
      for labels in group.targets {
        let discovered = Target.discoveredLabels(job, labels, group.labels)
        do throws(TargetFault) {
          if let target = try Target(job, discovered) {
            let identity = Identity(labels: target.labels, url: Array(target.scrapeURL.utf8))
            if seen.insert(identity).inserted { active.append(target) }
          } else {
            droppedCount += 1
            if dropped.count < shownDropped { dropped.append(discovered) }
          }
        } catch {
          faultCount += 1
          if !faults.contains(error.reason) { faults.append(error.reason) }
        }
      }
    }
  }

  /// The targets of a job that somebody else has found.
  public init(jobName: String, active: [Target], targetLimit: Int = 0) {
    self.jobName = jobName
    self.active = active
    self.targetLimit = targetLimit
  }

  private struct Identity: Hashable {
    let labels: LabelSet
    /// As bytes: a String equals what is canonically equivalent.
    let url: [UInt8]
  }
}
