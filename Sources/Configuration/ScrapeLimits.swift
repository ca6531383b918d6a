import YAML

/// What a job takes of its targets at most; zero: no limit. A job that sets none has that of `global`.
public struct ScrapeLimits: Sendable, Hashable {
  /// Bytes of an answer, uncompressed: `body_size_limit`. One that is as long fails the scrape.
  public var bodySize = 0
  /// Samples of a scrape that are left by the metric rules: `sample_limit`. More fail the scrape.
  public var samples = 0
  /// Targets of the job: `target_limit`. More fail all of its scrapes.
  public var targets = 0
  /// Labels of a sample: `label_limit`. More fail the scrape, as do the next two.
  public var labels = 0
  /// Bytes of a label's name: `label_name_length_limit`.
  public var labelNameLength = 0
  /// Bytes of a label's value: `label_value_length_limit`.
  public var labelValueLength = 0
  /// Dropped targets of which the labels are kept, to be shown: `keep_dropped_targets`.
  public var droppedTargets = 0

  static let keys = ["body_size_limit"] + counts.map(\.key)

  private static let counts: [(key: String, field: WritableKeyPath<ScrapeLimits, Int> & Sendable)] = [
    ("sample_limit", \.samples), ("target_limit", \.targets), ("label_limit", \.labels),
    ("label_name_length_limit", \.labelNameLength), ("label_value_length_limit", \.labelValueLength),
    ("keep_dropped_targets", \.droppedTargets),
  ]

  public init() {}

  /// - Parameter inherited: what stands in for a limit that the block does not give, or gives as zero.
  init(_ block: BlockReader, inherited: ScrapeLimits = ScrapeLimits()) {
    self = inherited
    if let size = block.byteSize("body_size_limit"), size > 0 { bodySize = size }
    for (key, field) in Self.counts {
      if let count = block.unsigned(key), count > 0 { self[keyPath: field] = Int(clamping: count) }
    }
  }
}
