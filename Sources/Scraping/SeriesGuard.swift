import Configuration
import Exposition
import Synchronization

/// Keeps floods of series out: counts the series of each job and of each metric name in it, and refuses new ones over
/// a ceiling. Series that were taken stay; one that ends makes room.
///
/// It is asked once for each new series of a target, never for a sample. What it remembers is bounded by the series
/// that were taken: of those that were refused it has counts, and a few names.
public final class SeriesGuard: Sendable {
  /// What the log is told of a job, at most once a minute.
  public struct Refusals: Sendable, Equatable {
    public var job: String
    /// Series that were refused since the last report.
    public var series: Int
    /// Series that are kept out at present.
    public var present: Int
    /// Which ceilings were reached, in words.
    public var ceilings: [String]
    /// Some metric names of those series, with how many they were; the most first.
    public var metrics: [(name: String, series: Int)]

    public static func == (a: Self, b: Self) -> Bool {
      a.job == b.job && a.series == b.series && a.present == b.present && a.ceilings == b.ceilings
        && a.metrics.elementsEqual(b.metrics, by: ==)
    }
  }

  /// How a job stands.
  public struct Standing: Sendable {
    public var job: String
    public var series: Int
    public var samplesPerDay: Double
    public var ceiling: SeriesCeiling
    /// Series that the last scrapes showed and that were kept out.
    public var refusing: Int
    /// Series refused since the start.
    public var refused: UInt64
    /// Some metric names of the series refused since the start, with how many they were; the most first.
    public var metrics: [(name: String, series: Int)]
  }

  /// Series, and what they give at their intervals: thousandths of samples a day.
  struct Tally {
    var series = 0
    var load = 0

    mutating func add(_ load: Int) {
      series &+= 1
      self.load &+= load
    }

    mutating func remove(_ load: Int) {
      series &-= 1
      self.load &-= load
    }

    /// Which ceiling one more series would be over; nil for none.
    func fault(adding load: Int, to ceiling: SeriesCeiling) -> String? {
      if let most = ceiling.series, series >= most { return "\(most) series" }
      if let most = ceiling.samplesPerDay, Double(self.load &+ load) / 1000 > most {
        return "\(Int(clamping: most)) samples a day"
      }
      return nil
    }
  }

  private struct Metric {
    var name: String
    var job: String
    var tally = Tally()
    var ceiling: SeriesCeiling
  }

  private final class Job {
    var tally = Tally()
    var ceiling: SeriesCeiling
    /// Numbers of the names that have series.
    var metrics: [String: UInt32] = [:]
    /// Counts series that ended: there may be room.
    var ended: UInt64 = 0
    var refused: UInt64 = 0
    var refusing = 0
    var named = Names()
    /// Since the last report.
    var unreported = 0
    var unreportedNames = Names()
    var unreportedCeilings: [String] = []
    /// Milliseconds since the epoch.
    var lastReport = Int64.min

    init(ceiling: SeriesCeiling) { self.ceiling = ceiling }
  }

  /// A few names, and how often each was met.
  private struct Names {
    private static let limit = 20
    /// A name may be as long as a target likes.
    private static let mostScalars = 100
    private var counts: [String: Int] = [:]

    mutating func count(_ name: String) {
      let name = name.utf8.count <= Self.mostScalars ? name : String(name.unicodeScalars.prefix(Self.mostScalars)) + "…"
      if counts.count < Self.limit || counts[name] != nil { counts[name, default: 0] += 1 }
    }

    var sorted: [(name: String, series: Int)] {
      counts.map { (name: $0.key, series: $0.value) }.sorted { ($1.series, $0.name) < ($0.series, $1.name) }
    }
  }

  private struct State {
    var configuration: GuardConfiguration
    var jobs: [String: Job] = [:]
    var metrics: [Metric] = []
    var free: [UInt32] = []
    /// Counts configurations.
    var round: UInt64 = 0

    init(_ configuration: GuardConfiguration) { self.configuration = configuration }

    mutating func job(_ name: String) -> Job {
      if let known = jobs[name] { return known }
      let job = Job(ceiling: configuration.ceiling(ofJob: name))
      jobs[name] = job
      return job
    }
  }

  private static let reportInterval: UInt64 = 60_000
  private static let mostCeilings = 3

  private let state: Mutex<State>
  private let report: @Sendable (Refusals) -> Void

  /// - Parameter report: called at the end of a scrape when series of its job were refused.
  public init(_ configuration: GuardConfiguration, report: @escaping @Sendable (Refusals) -> Void = { _ in }) {
    state = Mutex(State(configuration))
    self.report = report
  }

  /// From now on these are the ceilings. What is there stays, even where there is more than may be.
  public func apply(_ configuration: GuardConfiguration) {
    state.withLock { state in
      guard configuration != state.configuration else { return }
      state.configuration = configuration
      state.round += 1
      for (name, job) in state.jobs { job.ceiling = configuration.ceiling(ofJob: name) }
      for index in state.metrics.indices {
        let metric = state.metrics[index]
        state.metrics[index].ceiling = configuration.ceiling(ofMetric: metric.name, in: metric.job)
      }
    }
  }

  // MARK: For targets

  /// What a series gives at an interval: thousandths of samples a day.
  static func load(at interval: Duration) -> Int {
    Int(clamping: 86_400_000 / max(interval / .seconds(1), 0.001))
  }

  /// Takes one more series of the name, and gives the number to `giveBack` by; or says which ceiling it would be over.
  func take(_ name: String, of job: String, load: Int) -> Result<UInt32, Full> {
    state.withLock { state in
      let known = state.job(job)
      if let fault = known.tally.fault(adding: load, to: known.ceiling) {
        return .failure(Full(ceiling: "\(fault) of the job"))
      }
      let metric =
        known.metrics[name].map { state.metrics[Int($0)] }
        ?? Metric(name: name, job: job, ceiling: state.configuration.ceiling(ofMetric: name, in: job))
      if let fault = metric.tally.fault(adding: load, to: metric.ceiling) {
        return .failure(Full(ceiling: "\(fault) of \(name)"))
      }
      return .success(Self.add(name, job, load, &state))
    }
  }

  /// Which ceiling has no room.
  struct Full: Error { let ceiling: String }

  /// Takes a series back that has ended.
  func giveBack(_ number: UInt32, load: Int) { state.withLock { Self.remove(number, load, &$0) } }

  /// The series are another job's from now on, or are scraped at another interval; gives their new numbers. Those that
  /// are there stay, so no ceiling is in the way.
  func move(_ numbers: [UInt32], load: Int, to job: String, load newLoad: Int) -> [UInt32] {
    state.withLock { state in
      numbers.map { number in
        guard number != SeriesQuota.none else { return number }
        let name = state.metrics[Int(number)].name
        Self.remove(number, load, &state)
        return Self.add(name, job, newLoad, &state)
      }
    }
  }

  private static func add(_ name: String, _ job: String, _ load: Int, _ state: inout State) -> UInt32 {
    let known = state.job(job)
    known.tally.add(load)
    let number = known.metrics[name] ?? newMetric(name, job, &state)
    known.metrics[name] = number
    state.metrics[Int(number)].tally.add(load)
    return number
  }

  private static func newMetric(_ name: String, _ job: String, _ state: inout State) -> UInt32 {
    let metric = Metric(name: name, job: job, ceiling: state.configuration.ceiling(ofMetric: name, in: job))
    if let free = state.free.popLast() {
      state.metrics[Int(free)] = metric
      return free
    }
    state.metrics.append(metric)
    return UInt32(truncatingIfNeeded: state.metrics.count - 1)
  }

  private static func remove(_ number: UInt32, _ load: Int, _ state: inout State) {
    state.metrics[Int(number)].tally.remove(load)
    let metric = state.metrics[Int(number)]
    let job = state.job(metric.job)
    job.tally.remove(load)
    job.ended += 1
    guard metric.tally.series == 0 else { return }
    job.metrics[metric.name] = nil
    state.metrics[Int(number)].name = ""
    state.free.append(number)
  }

  /// Counts a new series that was refused.
  func countRefusal(of name: String, in job: String, _ full: Full) {
    state.withLock { state in
      let known = state.job(job)
      known.refused += 1
      known.named.count(name)
      known.unreported += 1
      known.unreportedNames.count(name)
      let ceilings = known.unreportedCeilings
      if ceilings.count < Self.mostCeilings, !ceilings.contains(full.ceiling) {
        known.unreportedCeilings.append(full.ceiling)
      }
    }
  }

  /// A target's scrape has ended.
  ///
  /// - Parameters:
  ///   - change: how many more of its series are kept out than after the scrape before.
  ///   - time: milliseconds since the epoch; nil: nothing is reported now.
  func settle(_ job: String, change: Int, at time: Int64?) {
    let refusals: Refusals? = state.withLock { state in
      let known = state.job(job)
      known.refusing += change
      // The clock may have been set back.
      guard let time, known.unreported > 0,
        known.lastReport == .min || (time &- known.lastReport).magnitude >= Self.reportInterval
      else { return nil }
      let refusals = Refusals(
        job: job, series: known.unreported, present: known.refusing, ceilings: known.unreportedCeilings,
        metrics: known.unreportedNames.sorted)
      known.lastReport = time
      known.unreported = 0
      known.unreportedNames = Names()
      known.unreportedCeilings = []
      return refusals
    }
    if let refusals { report(refusals) }
  }

  /// Whether there may be room that was not there before: then it is another one.
  struct Room: Equatable {
    var isFull: Bool
    /// Counts configurations, and series that ended.
    var round: UInt64
    var ended: UInt64
  }

  func room(in job: String, load: Int) -> Room {
    state.withLock { state in
      let known = state.job(job)
      let isFull = known.tally.fault(adding: load, to: known.ceiling) != nil
      return Room(isFull: isFull, round: state.round, ended: known.ended)
    }
  }

  // MARK: Showing

  /// How all jobs stand, by name.
  public func standings() -> [Standing] {
    state.withLock { state in
      state.jobs.map { name, job in
        Standing(
          job: name, series: job.tally.series, samplesPerDay: Double(job.tally.load) / 1000, ceiling: job.ceiling,
          refusing: job.refusing, refused: job.refused, metrics: job.named.sorted)
      }.sorted { $0.job < $1.job }
    }
  }
}

extension SeriesGuard: MetricSource {
  private static let families: [(family: MetricFamily, value: @Sendable (Standing) -> Double)] = [
    (
      .counter(
        "pilotfish_guard_refused_series_total",
        "New series refused because their job or metric name was at its ceiling.",
        ["scrape_job"]),
      { Double($0.refused) }
    ),
    (
      .gauge(
        "pilotfish_guard_refused_series", "Series that the last scrapes showed and that the guard kept out.",
        ["scrape_job"]),
      { Double($0.refusing) }
    ),
    (
      .gauge("pilotfish_guard_series", "Series that the guard counts for the job's ceiling.", ["scrape_job"]),
      { Double($0.series) }
    ),
    (
      .gauge(
        "pilotfish_guard_samples_per_day", "Samples a day that these series give at their scrape intervals.",
        ["scrape_job"]),
      { $0.samplesPerDay }
    ),
  ]

  public func write(to writer: MetricWriter) {
    for standing in standings() {
      for (family, value) in Self.families {
        writer.begin(family)
        writer.label(standing.job)
        writer.end(value(standing))
      }
    }
  }
}

extension Int {
  /// The nearest number there is; 0 for NaN.
  init(clamping value: Double) {
    self = value.isNaN ? 0 : value >= 0x1p63 ? .max : value <= -0x1p63 ? .min : Int(value)
  }
}
