import Exposition

extension SeriesCache {
  /// One series that the sink knows, or has refused, in 16 bytes. Two spellings of one label set share a record.
  struct Record {
    private struct Flags: OptionSet {
      let rawValue: UInt8
      static let wasTracked = Flags(rawValue: 1)
      static let isRefused = Flags(rawValue: 2)
      static let isDropped = Flags(rawValue: 4)
      static let isPinned = Flags(rawValue: 8)
      static let isFree = Flags(rawValue: 16)
      static let isHistogram = Flags(rawValue: 32)
    }

    let series: SeriesID
    /// The scrape that showed the series: the one that runs, the last one, or none.
    var seen = Generation.none
    /// The scrape that stored it at the scrape's own time: the one that runs, the last one, or none. It gets a staleness
    /// marker when the next does not.
    var tracked = Generation.none
    private var flags: Flags = []
    /// Milliseconds since the epoch; samples that are not later are not stored.
    var lastTimestamp = Int64.min

    init(series: SeriesID) { self.series = series }

    private subscript(_ flag: Flags) -> Bool {
      get { flags.contains(flag) }
      set { if newValue { flags.insert(flag) } else { flags.remove(flag) } }
    }

    /// Whether the scrape before `tracked` had stored it too.
    var wasTracked: Bool {
      get { self[.wasTracked] }
      set { self[.wasTracked] = newValue }
    }
    var isRefused: Bool {
      get { self[.isRefused] }
      set { self[.isRefused] = newValue }
    }
    /// Whether this is the one record of all series that rules drop, or of all that the guard refuses.
    var isDropped: Bool {
      get { self[.isDropped] }
      set { self[.isDropped] = newValue }
    }
    /// Whether this is a series about the scrape itself, which stays as long as the target.
    var isPinned: Bool {
      get { self[.isPinned] }
      set { self[.isPinned] = newValue }
    }
    var isFree: Bool {
      get { self[.isFree] }
      set { self[.isFree] = newValue }
    }
    /// Whether its last sample was a native histogram: then its staleness marker is one, too.
    var isHistogram: Bool {
      get { self[.isHistogram] }
      set { self[.isHistogram] = newValue }
    }
  }

  /// A scrape, among the last few: the numbers come again after 255.
  struct Generation: Equatable {
    static let none = Generation(number: 0)
    static let first = Generation(number: 1)
    private let number: UInt8

    var next: Generation { Generation(number: number == .max ? 1 : number + 1) }
  }
}
