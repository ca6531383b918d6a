import Configuration
import Exposition
import HTTPClient

/// What discovery found for one job, after the job's `relabel_configs`.
public struct JobTargets: Sendable {
  /// So many dropped targets are kept to be shown; all are counted.
  private static let shownDropped = 100

  public let jobName: String
  /// Of those with equal labels and URL, one.
  public private(set) var active: [Target] = []
  /// The discovered labels of some targets that the rules dropped.
  public private(set) var dropped: [LabelSet] = []
  public private(set) var droppedCount = 0
  /// Why targets can neither be scraped nor were dropped; each once.
  private(set) var faults: [String] = []

  /// - Parameter access: what the job's `httpClient` says, at work.
  public init(of job: ScrapeConfiguration, groups: [TargetGroup], access: HTTPAccess? = nil) {
    jobName = job.jobName
    var seen: Set<Identity> = []
    for group in groups {
      for labels in group.targets {
        let discovered = Target.discoveredLabels(job, labels, group.labels)
        do throws(TargetFault) {
          if var target = try Target(job, discovered) {
            target.access = access
            let identity = Identity(labels: target.labels, url: Array(target.scrapeURL.utf8))
            if seen.insert(identity).inserted { active.append(target) }
          } else {
            droppedCount += 1
            if dropped.count < Self.shownDropped { dropped.append(discovered) }
          }
        } catch {
          if !faults.contains(error.reason) { faults.append(error.reason) }
        }
      }
    }
  }

  private struct Identity: Hashable {
    let labels: LabelSet
    /// As bytes: a String equals what is canonically equivalent.
    let url: [UInt8]
  }
}
