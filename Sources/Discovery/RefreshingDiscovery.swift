import Exposition

/// A mechanism that asks for all there is, at intervals.
///
/// `run` asks at once, then at every interval, and publishes what has changed. When a refresh fails, what was there
/// stays; why is logged once for as long as it is so, and every failure is counted.
protocol RefreshingDiscovery: Discovery {
  /// As Prometheus' metrics name it: `http`, `dns`.
  static var mechanism: StaticString { get }
  var refreshInterval: Duration { get }
  var environment: DiscoveryEnvironment { get }

  /// All target groups there are now; each has a source of its own. One call at a time.
  ///
  /// - Throws: why that cannot be told; its description is fit for logs.
  mutating func refresh() async throws -> [TargetGroup]
}

extension RefreshingDiscovery {
  func run(_ publish: @escaping @Sendable ([TargetGroup]) -> Void) async {
    var discovery = self
    var changes = GroupChanges()
    var hasPublished = false
    var fault = ""
    let metrics = RefreshMetrics(Self.mechanism, environment)
    let clock = ContinuousClock()
    var due = clock.now
    repeat {
      let start = clock.now
      do {
        let groups = try await discovery.refresh()
        let changed = changes.take(groups)
        if !hasPublished || !changed.isEmpty { publish(changed) }
        hasPublished = true
        fault = ""
      } catch {
        if Task.isCancelled { return }
        metrics.countFailure()
        let reason = "\(error)"
        if reason != fault {
          environment.log.error(
            "Unable to refresh target groups, the last ones stay",
            metadata: [
              "discovery": "\(Self.mechanism)", "config": "\(environment.jobName)", "err": "\(reason)",
            ])
        }
        fault = reason
      }
      metrics.observe(clock.now - start)
      // As a ticker has it: what took longer than the interval is not made up for.
      due = max(due + refreshInterval, clock.now)
    } while (try? await clock.sleep(until: due)) != nil
  }
}

/// What of all target groups differs from those of last time.
struct GroupChanges {
  /// By the bytes of the source: a String equals what is canonically equivalent.
  private var known: [[UInt8]: TargetGroup] = [:]

  /// The groups that are new or other than they were, and those that are gone, without targets.
  mutating func take(_ groups: [TargetGroup]) -> [TargetGroup] {
    var changed: [TargetGroup] = []
    var gone = known
    for group in groups {
      let source = Array(group.source.utf8)
      gone[source] = nil
      guard known[source] != group else { continue }
      known[source] = group
      changed.append(group)
    }
    for (source, group) in gone {
      known[source] = nil
      changed.append(group.withoutTargets)
    }
    return changed
  }
}

/// How the refreshes of one job's mechanism fare.
struct RefreshMetrics: Sendable {
  private static let failures = MetricFamily.counter(
    "prometheus_sd_refresh_failures_total", "Number of refresh failures for the given SD mechanism.",
    ["config", "mechanism"])
  private static let duration = MetricFamily(
    "prometheus_sd_refresh_duration_seconds", .summary,
    "The duration of a refresh in seconds for the given SD mechanism.", labels: ["config", "mechanism"])

  private let metrics: DiscoveryMetrics
  private let labels: [String]

  init(_ mechanism: StaticString, _ environment: DiscoveryEnvironment) {
    metrics = environment.metrics
    labels = [environment.jobName, "\(mechanism)"]
    metrics.count(Self.failures, labels, by: 0)
  }

  func countFailure() { metrics.count(Self.failures, labels) }
  func observe(_ time: Duration) { metrics.observe(Self.duration, labels, time) }
}
