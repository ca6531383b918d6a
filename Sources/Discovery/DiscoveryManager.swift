import Configuration
import Exposition
import Synchronization

/// Runs the mechanisms of all jobs and tells what the targets are, as often as that changes.
///
/// Changes that come together are told together: the first is waited for, then `settling`, in which others may come.
public final class DiscoveryManager: Sendable {
  private struct Key: Hashable {
    /// As bytes: a String equals what is canonically equivalent.
    let job: [UInt8]
    let mechanism: Mechanism
  }

  /// A mechanism at work.
  private struct Running {
    /// Tells its updates from those of one that had the same key before.
    let number: Int
    let task: Task<Void, Never>
    /// By the bytes of the source. Until the first update those of the job's mechanisms before a reload, so that their
    /// targets go on meanwhile.
    var groups: [[UInt8]: TargetGroup]
    var hasPublished = false
  }

  private struct State {
    var jobs: [ScrapeConfiguration] = []
    var running: [Key: Running] = [:]
    var started = 0
    /// Whether something has changed since it was told.
    var mustTell = false
    /// What was told last, without the active targets.
    var told: [DroppedTargets] = []
    var isStopped = false
  }

  private let environment: DiscoveryEnvironment
  private let state = Mutex(State())
  private let changed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  private let teller: Mutex<Task<Void, Never>?> = Mutex(nil)

  /// - Parameters:
  ///   - settling: how long a change waits for others.
  ///   - onChange: takes what all jobs have now; called one at a time.
  public init(
    settling: Duration = .milliseconds(100), environment: DiscoveryEnvironment,
    onChange: @escaping @Sendable ([JobTargets]) -> Void
  ) {
    self.environment = environment
    let changes = changed.stream
    let task = Task { [weak self] in
      var faults: Set<String> = []
      for await _ in changes {
        guard (try? await Task.sleep(for: settling)) != nil, let self else { return }
        guard let targets = changedTargets() else { continue }
        logNew(targets, &faults)
        state.withLock { $0.told = targets.map(DroppedTargets.init) }
        onChange(targets)
      }
    }
    teller.withLock { $0 = task }
  }

  deinit { stop() }

  /// Makes these the jobs. Mechanisms whose configuration is as it was go on.
  public func apply(_ jobs: [ScrapeConfiguration]) {
    state.withLock { state in
      guard !state.isStopped else { return }
      let keys = jobs.map { job in
        (job, Mechanism.all(of: job).map { Key(job: Array(job.jobName.utf8), mechanism: $0) })
      }
      let wanted = Set(keys.flatMap(\.1))
      let ended = state.running.filter { !wanted.contains($0.key) }
      for (key, mechanism) in ended {
        mechanism.task.cancel()
        state.running[key] = nil
      }
      for key in wanted where state.running[key] == nil {
        let inherited = ended.filter { $0.key.job == key.job }.values.map(\.groups)
        state.started += 1
        let number = state.started
        let discovery = key.mechanism.start(environment.with(jobName: String(decoding: key.job, as: UTF8.self)))
        let task = Task { [weak self] in
          await discovery.run { [weak self] groups in self?.take(groups, from: key, number) }
        }
        state.running[key] = Running(
          number: number, task: task,
          groups: inherited.reduce(into: [:]) { all, groups in all.merge(groups) { _, new in new } })
      }
      state.jobs = jobs
      state.mustTell = true
    }
    changed.continuation.yield()
  }

  /// Ends all mechanisms; nothing is told any more.
  public func stop() {
    state.withLock { state in
      state.isStopped = true
      for mechanism in state.running.values { mechanism.task.cancel() }
      state.running = [:]
    }
    changed.continuation.finish()
    teller.withLock { $0 }?.cancel()
  }

  /// What the rules of the jobs dropped, as it was told last.
  public func dropped() -> [DroppedTargets] { state.withLock { $0.told } }

  private func take(_ groups: [TargetGroup], from key: Key, _ number: Int) {
    state.withLock { state in
      guard let mechanism = state.running[key], mechanism.number == number else { return }
      if !mechanism.hasPublished {
        state.running[key]?.hasPublished = true
        state.running[key]?.groups = [:]
      }
      for group in groups {
        state.running[key]?.groups[Array(group.source.utf8)] = group.targets.isEmpty ? nil : group
      }
      state.mustTell = true
    }
    changed.continuation.yield()
  }

  /// What all jobs have now; nil when that was told already.
  private func changedTargets() -> [JobTargets]? {
    let (jobs, running, mustTell) = state.withLock { state in
      defer { state.mustTell = false }
      return (state.jobs, state.running, state.mustTell)
    }
    guard mustTell else { return nil }
    return jobs.map { job in
      let name = Array(job.jobName.utf8)
      let found = Mechanism.all(of: job).flatMap { mechanism in
        (running[Key(job: name, mechanism: mechanism)]?.groups ?? [:]).sorted {
          $0.key.lexicographicallyPrecedes($1.key)
        }.map(\.value)
      }
      return JobTargets(
        of: job, groups: StaticDiscovery.groups(of: job) + found,
        access: environment.client.access(job.httpClient))
    }
  }

  /// Logs why targets cannot be scraped, when that was not so the last time.
  private func logNew(_ targets: [JobTargets], _ known: inout Set<String>) {
    var faults: Set<String> = []
    for job in targets {
      for fault in job.faults {
        let text = "\(job.jobName): \(fault)"
        faults.insert(text)
        if !known.contains(text) {
          environment.log.error(
            "Creating target failed", metadata: ["scrape_pool": "\(job.jobName)", "error": "\(fault)"])
        }
      }
    }
    known = faults
  }
}

/// What the rules of a job dropped.
public struct DroppedTargets: Sendable {
  public let jobName: String
  /// How many targets there are.
  public let count: Int
  /// The discovered labels of some of them.
  public let discoveredLabels: [LabelSet]

  fileprivate init(_ targets: JobTargets) {
    jobName = targets.jobName
    count = targets.droppedCount
    discoveredLabels = targets.dropped
  }
}
