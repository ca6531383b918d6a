import Configuration
import Exposition
import HTTPClient

/// What discovery found for one job, after the job's `relabel_configs`.
public struct JobTargets: Sendable {
  public let job: ScrapeConfiguration
  let groups: [GroupTargets]
  /// How long it took to make of groups that have changed what they are.
  public internal(set) var syncDuration = Duration.zero

  public var jobName: String { job.jobName }
  /// How many targets there are, those that the rules dropped and those that cannot be scraped among them.
  public var count: Int { groups.reduce(0) { $0 + $1.entries.count } }
  public var droppedCount: Int { groups.reduce(0) { $0 + $1.droppedCount } }
  /// How many are to be scraped, equal ones among them.
  public var activeCount: Int { groups.reduce(0) { $0 + $1.activeCount } }
  /// How many can neither be scraped nor were dropped.
  public var faultCount: Int { count - droppedCount - activeCount }
  /// How many targets the job may have; 0 is no limit.
  public var targetLimit: Int { job.limits.targets }

  /// All that are to be scraped; some may be equal.
  public var targets: [Target] {
    var targets: [Target] = []
    targets.reserveCapacity(activeCount)
    for group in groups {
      for case .active(let target) in group.entries { targets.append(target) }
    }
    return targets
  }

  /// The same; of those with equal labels and URL, one.
  public var active: [Target] {
    var seen: Set<Target.Identity> = []
    return targets.filter { seen.insert($0.identity).inserted }
  }

  /// The discovered labels of targets that the rules dropped, and why targets cannot be scraped.
  ///
  /// - Parameter limit: how many at most.
  public func inactive(limit: Int, _ isWanted: (LabelSet) -> Bool = { _ in true }) -> [InactiveTarget] {
    var found: [InactiveTarget] = []
    for group in groups where group.activeCount < group.entries.count {
      for (own, entry) in zip(group.group.targets, group.entries) {
        if found.count >= limit { return found }
        let fault: String?
        switch entry {
        case .active: continue
        case .dropped: fault = nil
        case .fault(let reason): fault = reason
        }
        let labels = Target.discoveredLabels(job, own, group.group.labels)
        if isWanted(labels) { found.append(InactiveTarget(discoveredLabels: labels, fault: fault)) }
      }
    }
    return found
  }

  /// Why targets can neither be scraped nor were dropped; each once.
  package var faults: Set<String> {
    groups.reduce(into: []) { faults, group in
      guard group.activeCount + group.droppedCount < group.entries.count else { return }
      for case .fault(let reason) in group.entries { faults.insert(reason) }
    }
  }

  init(_ job: ScrapeConfiguration, _ groups: [GroupTargets]) {
    self.job = job
    self.groups = groups
  }

  public init(of job: ScrapeConfiguration, groups: [TargetGroup]) {
    self.init(job, groups.map { GroupTargets($0, job, nil, before: nil) })
  }

  /// The targets of a job that somebody else has found.
  public init(jobName: String, active: [Target], targetLimit: Int = 0) {
    var job = ScrapeConfiguration(jobName: jobName)
    job.limits.targets = targetLimit
    self.init(job, [GroupTargets(active)])
  }
}

/// A target that is not scraped.
public struct InactiveTarget: Sendable {
  public let discoveredLabels: LabelSet
  /// Why it cannot be scraped; nil when a rule dropped it.
  public let fault: String?
}

/// One group of a job, after the job's rules.
final class GroupTargets: Sendable {
  enum Entry: Sendable {
    case active(Target)
    /// By a rule.
    case dropped
    /// Why it cannot be scraped.
    case fault(String)
  }

  let group: TargetGroup
  /// One for each target of the group, in its order.
  let entries: [Entry]
  let activeCount: Int
  let droppedCount: Int

  /// - Parameter before: the same group as it was: targets that were in it are not made again.
  init(_ group: TargetGroup, _ job: ScrapeConfiguration, _ access: HTTPAccess?, before: GroupTargets?) {
    self.group = group
    let before = before.flatMap { $0.group.labels == group.labels ? $0 : nil }
    var places: [[ConfiguredLabel]: Int]?
    func known(_ own: [ConfiguredLabel], _ index: Int) -> Entry? {
      guard let before else { return nil }
      // Most lists change in few places.
      if index < before.entries.count, before.group.targets[index] == own { return before.entries[index] }
      let all = places ?? Dictionary(zip(before.group.targets, 0...)) { first, _ in first }
      places = all
      return all[own].map { before.entries[$0] }
    }
    var (entries, active, dropped): ([Entry], Int, Int) = ([], 0, 0)
    entries.reserveCapacity(group.targets.count)
    for (index, own) in group.targets.enumerated() {
      let entry = known(own, index) ?? Self.entry(own, group.labels, job, access)
      switch entry {
      case .active: active += 1
      case .dropped: dropped += 1
      case .fault: break
      }
      entries.append(entry)
    }
    self.entries = entries
    activeCount = active
    droppedCount = dropped
  }

  /// Targets that are there already.
  fileprivate init(_ targets: [Target]) {
    group = TargetGroup(source: "", targets: targets.map { _ in [] }, labels: [])
    entries = targets.map(Entry.active)
    activeCount = targets.count
    droppedCount = 0
  }

  private static func entry(
    _ own: [ConfiguredLabel], _ group: [ConfiguredLabel], _ job: ScrapeConfiguration, _ access: HTTPAccess?
  ) -> Entry {
    do throws(TargetFault) {
      guard var target = try Target(job, Target.discoveredLabels(job, own, group)) else { return .dropped }
      target.access = access
      return .active(target)
    } catch {
      return .fault(error.reason)
    }
  }
}

/// The groups that one job has, and its targets: what has not changed is not made again.
struct JobPool {
  private struct Place: Hashable {
    /// Nil: the configuration itself.
    let mechanism: Mechanism?
    /// As bytes: a String equals what is canonically equivalent.
    let source: [UInt8]
  }

  let job: ScrapeConfiguration
  /// What the job's `httpClient` says, at work.
  private let access: HTTPAccess?
  /// Groups are in the order in which they came, so that of equal targets always the same one is kept.
  private var groups: [Place: (number: Int, targets: GroupTargets)] = [:]
  private var count = 0
  private var ordered: [GroupTargets]?
  private var syncDuration = Duration.zero

  init(_ job: ScrapeConfiguration, _ access: HTTPAccess?) {
    self.job = job
    self.access = access
    for group in StaticDiscovery.groups(of: job) { take(group, nil, Array(group.source.utf8)) }
  }

  /// - Parameter group: nil: it is gone.
  mutating func take(_ group: TargetGroup?, _ mechanism: Mechanism?, _ source: [UInt8]) {
    let start = ContinuousClock.now
    defer { syncDuration += .now - start }
    let place = Place(mechanism: mechanism, source: source)
    let before = groups[place]
    guard let group else {
      groups[place] = nil
      ordered = nil
      return
    }
    if before == nil { count += 1 }
    groups[place] = (before?.number ?? count, GroupTargets(group, job, access, before: before?.targets))
    ordered = nil
  }

  mutating func targets() -> JobTargets {
    let list = ordered ?? groups.values.sorted { $0.number < $1.number }.map(\.targets)
    ordered = list
    defer { syncDuration = .zero }
    var targets = JobTargets(job, list)
    targets.syncDuration = syncDuration
    return targets
  }
}
