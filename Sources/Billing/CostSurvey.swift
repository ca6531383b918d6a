import Bytes
import Exposition
import Relabeling
import Scraping

/// Works out what remotes are sent, from the series that the last scrapes showed: each gives a sample at each interval.
///
/// Nothing is counted where samples pass. Of many series only a part is looked at, so that time and memory are bounded.
public struct CostSurvey: Sendable {
  /// What is known of a target without a look at its series' labels.
  public struct Source: Sendable {
    public var job: String
    public var instance: String
    /// Without a password.
    public var url: String
    public var interval: Duration
    public var series: [SeriesID]

    public init(job: String, instance: String, url: String, interval: Duration, series: [SeriesID]) {
      self.job = job
      self.instance = instance
      self.url = url
      self.interval = interval
      self.series = series
    }
  }

  public struct Remote: Sendable {
    public var name: String
    /// Without a password.
    public var url: String
    /// `write_relabel_configs`.
    public var rules: RelabelRules
    /// What each rule is shown as.
    public var texts: [String]

    public init(name: String, url: String, rules: RelabelRules, texts: [String]) {
      self.name = name
      self.url = url
      self.rules = rules
      self.texts = texts
    }
  }

  /// Series that are looked at, about; a few more when there are more targets.
  static let mostSeries = 200_000
  /// Metric names that are told apart for one remote.
  static let mostNames = 50_000
  static let otherNames = "(other names)"
  /// So many series are looked up at a time: the lock that scrapes need is held meanwhile.
  private static let batch = 256

  private let labels: any SeriesLabels
  private let mostSeries: Int

  /// - Parameter labels: where the series were registered.
  public init(labels: any SeriesLabels) { self.init(labels: labels, mostSeries: Self.mostSeries) }

  init(labels: any SeriesLabels, mostSeries: Int) {
    self.labels = labels
    self.mostSeries = mostSeries
  }

  /// What is added up for one remote.
  private struct Ledger {
    let remote: Remote
    var total = CostReport.Amount()
    var jobs: [String: CostReport.Amount] = [:]
    var targets: [CostReport.Row] = []
    var metrics: [String: CostReport.Amount] = [:]
    var dropped: [CostReport.Amount]
    /// Of the target that is looked at.
    var kept = 0

    init(_ remote: Remote) {
      self.remote = remote
      dropped = Array(repeating: CostReport.Amount(), count: remote.rules.rules.count)
    }

    /// - Parameters:
    ///   - weight: how many series this one stands for.
    ///   - samples: a day, of each.
    mutating func take(_ labels: LabelSet, weight: Double, samples: Double) {
      var sent = labels
      if !remote.rules.isEmpty, !remote.rules.apply(to: &sent) {
        if let rule = remote.rules.firstDrop(labels), rule < dropped.count { dropped[rule].add(weight, samples) }
        return
      }
      kept += 1
      let name = sent.index(of: "__name__").map { String(utf8: sent.value(at: $0)) } ?? ""
      let isShown = metrics.count < CostSurvey.mostNames || metrics[name] != nil
      metrics[isShown ? name : CostSurvey.otherNames, default: CostReport.Amount()].add(weight, samples)
    }

    mutating func end(_ source: Source, examined: Int, samples: Double) {
      let series = examined == 0 ? 0 : Double(source.series.count) * Double(kept) / Double(examined)
      kept = 0
      total.add(series, samples)
      jobs[source.job, default: CostReport.Amount()].add(series, samples)
      var row = CostReport.Row(name: source.instance, job: source.job, url: source.url)
      row.amount.add(series, samples)
      targets.append(row)
    }

    var report: CostReport.Remote {
      var report = CostReport.Remote(name: remote.name, url: remote.url, total: total)
      report.jobs = CostReport.Table(jobs.map { CostReport.Row(name: $0.key, amount: $0.value) })
      report.targets = CostReport.Table(targets)
      report.metrics = CostReport.Table(metrics.map { CostReport.Row(name: $0.key, amount: $0.value) })
      report.rules = zip(remote.texts, dropped).enumerated().map {
        CostReport.Rule(index: $0.offset, text: $0.element.0, dropped: $0.element.1)
      }
      return report
    }
  }

  /// One of each so many, each time another one of them: exposed series repeat themselves at regular distances.
  private static func choice(of series: [SeriesID], _ step: Int) -> [SeriesID] {
    stride(from: 0, to: series.count, by: step).map { start in
      let length = UInt64(min(step, series.count - start))
      let mixed = (UInt64(start) &+ 1) &* 0x9e37_79b9_7f4a_7c15
      return series[start + Int(((mixed >> 32) &* length) >> 32)]
    }
  }

  /// Looks at all targets; without remotes for one that takes everything.
  public func report(_ sources: [Source], _ remotes: [Remote]) async -> CostReport {
    let all = remotes.isEmpty ? [Remote(name: "", url: "", rules: RelabelRules(), texts: [])] : remotes
    var ledgers = all.map(Ledger.init)
    let series = sources.reduce(0) { $0 + $1.series.count }
    let step = max((series + mostSeries - 1) / mostSeries, 1)
    var examined = 0
    for source in sources {
      let chosen = step == 1 ? source.series : Self.choice(of: source.series, step)
      let weight = chosen.isEmpty ? 0 : Double(source.series.count) / Double(chosen.count)
      let samples = 86_400 / max(source.interval / .seconds(1), 0.001)
      var known = 0
      for start in stride(from: 0, to: chosen.count, by: Self.batch) {
        var sets: [LabelSet] = []
        labels.forEachLabels(of: chosen[start..<min(start + Self.batch, chosen.count)]) { sets.append($0) }
        // A series that has ended meanwhile has no labels.
        for labels in sets where !labels.isEmpty {
          known += 1
          for index in ledgers.indices { ledgers[index].take(labels, weight: weight, samples: samples) }
        }
        // Others want this thread as well.
        await Task.yield()
      }
      for index in ledgers.indices { ledgers[index].end(source, examined: known, samples: samples) }
      examined += known
    }
    return CostReport(remotes: ledgers.map(\.report), series: series, examined: examined)
  }
}
