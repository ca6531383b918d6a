import Scraping

/// What a workspace is billed for the samples of one agent: figures, without prices.
public struct CostReport: Sendable, Equatable {
  /// Series, and the samples that they give in a day at their scrape intervals.
  public struct Amount: Sendable, Equatable {
    public var series = 0.0
    public var samplesPerDay = 0.0

    public init(series: Double = 0, samplesPerDay: Double = 0) {
      self.series = series
      self.samplesPerDay = samplesPerDay
    }

    mutating func add(_ series: Double, _ samplesPerDay: Double) {
      self.series += series
      self.samplesPerDay += series * samplesPerDay
    }

    public var samplesPerMonth: Double { samplesPerDay * AMPPrices.daysPerMonth }
  }

  /// A job, a target or a metric name, and what is sent of it.
  public struct Row: Sendable, Equatable {
    /// The job's name, the target's `instance`, or the metric's name.
    public var name: String
    /// Of targets: their job.
    public var job = ""
    /// Of targets: without a password.
    public var url = ""
    public var amount = Amount()
  }

  /// Rows, those with the most samples first.
  public struct Table: Sendable, Equatable {
    public var rows: [Row] = []
    /// How many rows there are, if not all are here.
    public var count = 0

    init() {}

    init(_ rows: [Row]) {
      self.rows = rows.sorted { a, b in
        (b.amount.samplesPerDay, a.name, a.job) < (a.amount.samplesPerDay, b.name, b.job)
      }
      count = rows.count
    }
  }

  /// What one of a remote's write_relabel_configs keeps away.
  public struct Rule: Sendable, Equatable {
    /// Its place in the list, from 0.
    public var index: Int
    public var text: String
    public var dropped = Amount()
  }

  /// What one remote_write is sent; each is a bill of its own.
  public struct Remote: Sendable, Equatable {
    public var name: String
    /// Without a password.
    public var url: String
    public var total = Amount()
    public var jobs = Table()
    public var targets = Table()
    public var metrics = Table()
    /// All its rules, in their order.
    public var rules: [Rule] = []
  }

  /// How a job stands with the guard.
  public struct Refusal: Sendable, Equatable {
    public var job: String
    public var series = 0.0
    public var samplesPerDay = 0.0
    public var maxSeries: Double?
    public var maxSamplesPerDay: Double?
    /// Series that are kept out at present, and those refused since the agent's start.
    public var refusing = 0.0
    public var refused = 0.0
    /// Some names of those refused, with how many they were.
    public var metrics: [Name] = []

    public struct Name: Sendable, Equatable {
      public var name: String
      public var refused: Double
    }
  }

  /// In the order of the configuration. Without any: what one would be sent.
  public var remotes: [Remote]
  /// Series that the targets have, and how many of them were looked at; the others are taken to be like those.
  public var series: Int
  public var examined: Int
  /// What `cluster` is in external_labels when `__replica__` is there as well: of such replicas AMP keeps, and bills,
  /// one.
  public var cluster: String?
  /// What the guard keeps out; nil: there is no guard.
  public var refusals: [Refusal]?

  /// The one that is shown when none is asked for: the first workspace of AMP, else the first remote.
  public func remote(named name: String?) -> Remote? {
    if let name { return remotes.first { $0.name == name } }
    return remotes.first { $0.url.contains("://aps-workspaces") } ?? remotes.first
  }
}

extension CostReport.Refusal {
  public init(_ standing: SeriesGuard.Standing) {
    self.init(
      job: standing.job, series: Double(standing.series), samplesPerDay: standing.samplesPerDay,
      maxSeries: standing.ceiling.series.map { Double($0) }, maxSamplesPerDay: standing.ceiling.samplesPerDay,
      refusing: Double(standing.refusing), refused: Double(standing.refused),
      metrics: standing.metrics.map { Name(name: $0.name, refused: Double($0.series)) })
  }
}
