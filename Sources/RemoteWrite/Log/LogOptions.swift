/// Where the log is kept, and how much of it.
public struct LogOptions: Sendable {
  /// The folder; made if need be.
  public var path: String
  /// A segment is ended when it is this long, in bytes.
  public var segmentBytes = 64 << 20
  /// What was written is on the disk after this time at the latest: what a loss of power can cost.
  public var syncInterval = Duration.seconds(1)
  /// Segments whose samples all remotes have taken are kept at least this long.
  public var retentionMinimum = Duration.zero
  /// Older samples are dropped, sent or not.
  public var retentionMaximum = Duration.seconds(4 * 3600)
  /// Bytes of all segments, beyond which the oldest is dropped, sent or not; 0: no limit.
  public var retentionBytes = 8 << 30
  /// Whether a second process is kept from using the folder.
  public var isLocked = true

  /// Samples in memory while the log works, and while it does not; 24 bytes each.
  var samplesInMemory = 1 << 18
  var samplesInMemoryWithoutLog = 1 << 19
  /// Unsent samples in the log from which on series without such do not wait for them.
  var longBacklog: Ordinal = 1 << 20
  /// After a failure, writing begins again when there is this much room.
  var leastFreeBytes: UInt64 = 4 << 20
  /// How long after a failure.
  var retryInterval = Duration.seconds(5)

  public init(path: String) { self.path = path }
}
