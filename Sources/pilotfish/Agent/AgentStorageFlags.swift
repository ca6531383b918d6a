import Flags
import Kernel
import RemoteWrite

/// The agent's flags for what it keeps on disk and in memory; named as Prometheus' where it has them.
enum AgentStorageFlags {
  static let path = Flag("storage.agent.path", "data-agent/", "Base path for metrics storage.")
  static let segmentSize = Flag(
    "storage.agent.wal-segment-size", ByteSize(64 << 20), "Size at which to split log segment files. Example: 64MB.")
  static let syncInterval = Flag(
    "storage.agent.wal-sync-interval", Duration.seconds(1),
    "How often the log is brought to the disk: what a loss of power can cost. A crash or kill -9 costs nothing.")
  static let retentionMinimum = Flag(
    "storage.agent.retention.min-time", Duration.seconds(0),
    "Minimum age of samples that all receivers have taken before they may be deleted.")
  static let retentionMaximum = Flag(
    "storage.agent.retention.max-time", Duration.seconds(4 * 3600),
    "Maximum age of samples before they are deleted, sent or not.")
  static let retentionSize = Flag(
    "storage.agent.retention.size", ByteSize(8 << 30),
    "Size of the log at which the oldest samples are deleted, sent or not; 0 is no limit.")
  static let noLockfile = Flag("storage.agent.no-lockfile", false, "Do not create lockfile in data directory.")
  static let memoryLimit = Flag(
    "agent.memory-limit", ByteSize(0),
    "Memory to stay below: near it new series are refused, and nothing else is lost. 0 is the limit of the cgroup, if "
      + "it has one.")
  static let flushDeadline = Flag(
    "storage.remote.flush-deadline", Duration.seconds(20), "How long to wait flushing samples on shutdown.")

  static let definitions = [
    path.definition, segmentSize.definition, syncInterval.definition, retentionMinimum.definition,
    retentionMaximum.definition, retentionSize.definition, noLockfile.definition, memoryLimit.definition,
    flushDeadline.definition,
  ]

  /// Bytes; nil: none.
  static func memoryLimit(_ flags: FlagValues) -> Int? {
    flags[memoryLimit].bytes > 0 ? flags[memoryLimit].bytes : ProcessMemory.cgroupLimit()
  }

  static func logOptions(_ flags: FlagValues) -> LogOptions {
    var options = LogOptions(path: flags[path])
    options.segmentBytes = flags[segmentSize].bytes
    options.syncInterval = flags[syncInterval]
    options.retentionMinimum = flags[retentionMinimum]
    options.retentionMaximum = flags[retentionMaximum]
    options.retentionBytes = flags[retentionSize].bytes
    options.isLocked = !flags[noLockfile]
    return options
  }
}
