import Configuration
import Exposition
import Synchronization

/// Runs the mechanisms of all jobs and tells what the targets are, as often as that changes.
///
/// Changes that come together are told together: the first is waited for, then `settling`, in which others may come.
/// What a change costs follows the groups that changed, not all that there are.
public final class DiscoveryManager: Sendable {
  private struct Key: Hashable {
    /// As bytes: a String equals what is canonically equivalent.
    let job: [UInt8]
    let mechanism: Mechanism
  }

  /// By the bytes of the source.
  private typealias Groups = [[UInt8]: TargetGroup]

  /// A mechanism at work.
  private struct Running {
    /// Tells its updates from those of one that had the same key before.
    let number: Int
    let task: Task<Void, Never>
    /// Until the first update those of the job's mechanisms before a reload, so that their targets go on meanwhile.
    var groups: Groups
    var hasPublished = false
  }

  /// What has changed since it was told.
  private struct Changes {
    /// When these are other ones: then `groups` has all groups.
    var jobs: [ScrapeConfiguration]?
    /// Nil: the group is gone.
    var groups: [Key: [[UInt8]: TargetGroup?]] = [:]
  }

  private struct State {
    var jobs: [ScrapeConfiguration] = []
    var running: [Key: Running] = [:]
    var started = 0
    var hasNewJobs = false
    var changes: [Key: [[UInt8]: TargetGroup?]] = [:]
    var told: [JobTargets] = []
    var isTelling = false
    var isStopped = false
    // What the metrics show.
    var received: UInt64 = 0
    var delayed: UInt64 = 0
    var updates: UInt64 = 0
  }

  private let environment: DiscoveryEnvironment
  private let inheritance: Duration
  private let state = Mutex(State())
  private let changed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  private let teller: Mutex<Task<Void, Never>?> = Mutex(nil)

  /// - Parameters:
  ///   - settling: how long a change waits for others.
  ///   - inheritance: how long a new mechanism that has not found anything yet has the groups of those that it may
  ///     stand for.
  ///   - onChange: takes what all jobs have now; called one at a time.
  public init(
    settling: Duration = .milliseconds(100), inheritance: Duration = .seconds(60), environment: DiscoveryEnvironment,
    onChange: @escaping @Sendable ([JobTargets]) -> Void
  ) {
    self.environment = environment
    self.inheritance = inheritance
    let changes = changed.stream
    let task = Task { [weak self] in
      var faults: Set<String> = []
      var pools: [JobPool] = []
      for await _ in changes {
        guard (try? await Task.sleep(for: settling)) != nil, let self else { return }
        guard let changes = takeChanges() else { continue }
        take(changes, into: &pools)
        let targets = pools.indices.map { pools[$0].targets() }
        logNew(targets, &faults)
        state.withLock { $0.told = targets }
        onChange(targets)
        state.withLock { state in
          state.isTelling = false
          state.updates += 1
        }
      }
    }
    teller.withLock { $0 = task }
  }

  deinit { stop() }

  /// Makes these the jobs. Mechanisms whose configuration is as it was go on.
  public func apply(_ jobs: [ScrapeConfiguration]) {
    state.withLock { state in
      guard !state.isStopped else { return }
      let wanted = Set(jobs.flatMap { job in Mechanism.all(of: job).map { Key(job: job.key, mechanism: $0) } })
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
        let task = Task { [weak self, inheritance] in
          await withTaskGroup { group in
            group.addTask { await discovery.run { [weak self] groups in self?.take(groups, from: key, number) } }
            if !inherited.isEmpty {
              group.addTask { [weak self] in
                if (try? await Task.sleep(for: inheritance)) != nil { self?.endInheritance(key, number) }
              }
            }
          }
        }
        state.running[key] = Running(
          number: number, task: task,
          groups: inherited.reduce(into: [:]) { all, groups in all.merge(groups) { _, new in new } })
      }
      let names = Set(jobs.map(\.key))
      for job in state.jobs where !names.contains(job.key) { environment.metrics.forget(jobName: job.jobName) }
      for key in ended.keys where names.contains(key.job) {
        guard let name = key.mechanism.name,
          !wanted.contains(where: { $0.job == key.job && $0.mechanism.name == name })
        else { continue }
        environment.metrics.forget(jobName: String(decoding: key.job, as: UTF8.self), mechanism: name)
      }
      state.jobs = jobs
      state.hasNewJobs = true
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

  /// What was told last, by the order of the jobs.
  public func snapshot() -> [JobTargets] { state.withLock { $0.told } }

  private func take(_ groups: [TargetGroup], from key: Key, _ number: Int) {
    state.withLock { state in
      guard var mechanism = state.running.removeValue(forKey: key) else { return }
      defer { state.running[key] = mechanism }
      guard mechanism.number == number else { return }
      state.received += 1
      if state.isTelling { state.delayed += 1 }
      var changes = state.changes.removeValue(forKey: key) ?? [:]
      if !mechanism.hasPublished {
        mechanism.hasPublished = true
        for source in mechanism.groups.keys { changes.updateValue(nil, forKey: source) }
        mechanism.groups = [:]
      }
      for group in groups {
        let source = Array(group.source.utf8)
        let group = group.targets.isEmpty ? nil : group
        mechanism.groups[source] = group
        changes.updateValue(group, forKey: source)
      }
      state.changes[key] = changes
    }
    changed.continuation.yield()
  }

  /// What was before a reload counts no more, if the mechanism has found nothing itself: it may never do.
  private func endInheritance(_ key: Key, _ number: Int) {
    let isOver = state.withLock { state in
      guard let mechanism = state.running[key] else { return false }
      return mechanism.number == number && !mechanism.hasPublished && !mechanism.groups.isEmpty
    }
    if isOver { take([], from: key, number) }
  }

  /// Nil when there are none.
  private func takeChanges() -> Changes? {
    state.withLock { state in
      guard state.hasNewJobs || !state.changes.isEmpty else { return nil }
      var changes = Changes(groups: state.changes)
      if state.hasNewJobs {
        changes.jobs = state.jobs
        changes.groups = state.running.mapValues { $0.groups.mapValues(Optional.some) }
      }
      state.hasNewJobs = false
      state.changes = [:]
      state.isTelling = true
      return changes
    }
  }

  private func take(_ changes: Changes, into pools: inout [JobPool]) {
    if let jobs = changes.jobs { pools = jobs.map { JobPool($0, environment.client.access($0.httpClient)) } }
    for index in pools.indices {
      let job = pools[index].job
      for mechanism in Mechanism.all(of: job) {
        for (source, group) in changes.groups[Key(job: job.key, mechanism: mechanism)] ?? [:] {
          pools[index].take(group, mechanism, source)
        }
      }
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

extension ScrapeConfiguration {
  /// Its name as bytes: a String equals what is canonically equivalent.
  fileprivate var key: [UInt8] { Array(jobName.utf8) }
}

extension DiscoveryManager: MetricSource {
  private static let discovered = MetricFamily.gauge(
    "prometheus_sd_discovered_targets", "Current number of discovered targets.", ["config", "name"])
  private static let failedConfigs = MetricFamily.gauge(
    "prometheus_sd_failed_configs", "Current number of service discovery configurations that failed to load.",
    ["name"])
  private static let received = MetricFamily.counter(
    "prometheus_sd_received_updates_total", "Total number of update events received from the SD providers.", ["name"])
  private static let delayed = MetricFamily.counter(
    "prometheus_sd_updates_delayed_total", "Total number of update events that couldn't be sent immediately.",
    ["name"])
  private static let updates = MetricFamily.counter(
    "prometheus_sd_updates_total", "Total number of update events sent to the SD consumers.", ["name"])

  public func write(to writer: MetricWriter) {
    let (told, received, delayed, updates) = state.withLock { ($0.told, $0.received, $0.delayed, $0.updates) }
    for job in told {
      writer.begin(Self.discovered)
      writer.label(job.jobName)
      writer.label("scrape")
      writer.end(Double(job.count))
    }
    // A configuration that is loaded at all has no part that failed.
    for (family, value) in [
      (Self.failedConfigs, 0), (Self.received, received), (Self.delayed, delayed), (Self.updates, updates),
    ] {
      writer.begin(family)
      writer.label("scrape")
      writer.end(value)
    }
    environment.metrics.write(to: writer)
  }
}
