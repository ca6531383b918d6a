/// What is known of one container at one time, wherever it comes from. Nil: not known, and so not shown. Numbers are
/// doubles, as samples are.
public struct ContainerStatistics: Sendable {
  /// The path of its cgroup, or what stands for one.
  public var id: String
  /// As the runtime calls it; empty for a cgroup that is no container.
  public var name = ""
  public var image = ""
  /// The runtime's, by their own names.
  public var labels: [Label] = []
  /// Seconds since the epoch: when these were read, and when it was made and started.
  public var lastSeen: Double?
  public var creationTime: Double?
  public var startTime: Double?
  /// Of the health check: 1 it passes, 0 it does not or not yet, -1 there is none.
  public var health: Double?
  public var limits = Limits()
  public var cpu = CPU()
  public var memory = Memory()
  public var networks: [NetworkInterface] = []
  public var disks: [Disk] = []
  public var threads: Double?
  /// 0: any number.
  public var threadsLimit: Double?

  public init(id: String) { self.id = id }

  public struct Label: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  public struct Limits: Sendable {
    /// The weight among others; 1024 is the default.
    public var cpuShares: Double?
    /// Microseconds of CPU time in each period; nil: as many as there are.
    public var cpuQuota: Double?
    /// Microseconds.
    public var cpuPeriod: Double?
    /// Bytes; 0: none.
    public var memory: Double?
  }

  /// Times in nanoseconds.
  public struct CPU: Sendable {
    public var usage: Double?
    public var user: Double?
    public var system: Double?
    /// Periods of the quota that have passed, those in which it was used up, and how long the container waited then.
    public var periods: Double?
    public var throttledPeriods: Double?
    public var throttledTime: Double?
  }

  /// Bytes, but for counts of faults and pages.
  public struct Memory: Sendable {
    public var usage: Double?
    public var maximumUsage: Double?
    /// What is in use but for files that nobody has used for long.
    public var workingSet: Double?
    public var cache: Double?
    public var rss: Double?
    public var swap: Double?
    public var mappedFile: Double?
    public var activeFile: Double?
    public var inactiveFile: Double?
    public var dirty: Double?
    public var writeback: Double?
    /// How often the limit was reached.
    public var limitHits: Double?
    public var pageFaults: Faults?
    public var majorPageFaults: Faults?
    public var pagesScanned: Double?
    public var pagesReclaimed: Double?
  }

  /// Of the container itself, and with the cgroups below it.
  public struct Faults: Sendable {
    public var own: Double
    public var hierarchical: Double
  }

  public struct NetworkInterface: Sendable, Equatable {
    public var name: String
    public var received = Traffic()
    public var transmitted = Traffic()

    public init(name: String) { self.name = name }
  }

  public struct Traffic: Sendable, Equatable {
    public var bytes: Double?
    public var packets: Double?
    public var errors: Double?
    public var dropped: Double?

    public init() {}
  }

  public struct Disk: Sendable {
    public var major: Int
    public var minor: Int
    /// Its path (`/dev/nvme0n1`), or its numbers (`259:0`) when that is not known.
    public var device: String
    public var readBytes: Double?
    public var writtenBytes: Double?
    public var reads: Double?
    public var writes: Double?
  }
}

extension ContainerStatistics.Traffic {
  /// The counters as metrics name them.
  static let counters: [(name: String, value: KeyPath<Self, Double?> & Sendable)] = [
    ("bytes", \.bytes), ("errors", \.errors), ("packets", \.packets), ("packets_dropped", \.dropped),
  ]

  /// The larger of each counter, of two readings of the same interface: counters never go back.
  func advanced(to other: Self) -> Self { combined(with: other, by: max) }

  /// The sum of each counter, of two interfaces.
  static func + (a: Self, b: Self) -> Self { a.combined(with: b, by: +) }

  private func combined(with other: Self, by combine: (Double, Double) -> Double) -> Self {
    func both(_ a: Double?, _ b: Double?) -> Double? {
      guard let a, let b else { return a ?? b }
      return combine(a, b)
    }
    var result = Self()
    result.bytes = both(bytes, other.bytes)
    result.packets = both(packets, other.packets)
    result.errors = both(errors, other.errors)
    result.dropped = both(dropped, other.dropped)
    return result
  }
}
