// Reads /proc/1/mountinfo (proc_pid_mountinfo(5)), or its own where that one is not allowed, and asks each mounted
// file system for its size by statfs(2).

import Bytes
import Exposition
import Flags
import Kernel

final class FilesystemCollector: Collector {
  static let name = "filesystem"

  private static let mountInclude = Flag(
    "collector.filesystem.mount-points-include", "",
    "Regexp of mount points to include for filesystem collector. (mutually exclusive to mount-points-exclude)")
  private static let mountExclude = Flag(
    "collector.filesystem.mount-points-exclude",
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "Regexp of mount points to exclude for filesystem collector. (mutually exclusive to mount-points-include)")
  private static let mountIgnored = Flag(
    "collector.filesystem.ignored-mount-points", "", "Regexp of mount points to ignore for filesystem collector.",
    isHidden: true)
  private static let typeInclude = Flag(
    "collector.filesystem.fs-types-include", "",
    "Regexp of filesystem types to include for filesystem collector. (mutually exclusive to fs-types-exclude)")
  private static let typeExclude = Flag(
    "collector.filesystem.fs-types-exclude",
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay"
      + "|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    "Regexp of filesystem types to exclude for filesystem collector. (mutually exclusive to fs-types-include)")
  private static let typeIgnored = Flag(
    "collector.filesystem.ignored-fs-types", "", "Regexp of filesystem types to ignore for filesystem collector.",
    isHidden: true)
  private static let mountTimeout = Flag(
    "collector.filesystem.mount-timeout", Duration.seconds(5),
    "how long to wait for a mount to respond before marking it as stale", isHidden: true)
  private static let workers = Flag(
    "collector.filesystem.stat-workers", 4, "how many stat calls to process simultaneously", isHidden: true)
  static let flags = [
    mountExclude.definition, mountInclude.definition, mountIgnored.definition, typeExclude.definition,
    typeInclude.definition, typeIgnored.definition, mountTimeout.definition, workers.definition,
  ]

  private static let labels = ["device", "device_error", "fstype", "mountpoint"]
  private static let deviceError = MetricFamily.gauge(
    "node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.", labels)
  private static let readonly = MetricFamily.gauge(
    "node_filesystem_readonly", "Filesystem read-only status.", labels)
  private static let mountInfo = MetricFamily.gauge(
    "node_filesystem_mount_info", "Filesystem mount information.", ["device", "major", "minor", "mountpoint"])
  private static let sizes: [(family: MetricFamily, value: @Sendable (FilesystemStatistics) -> Double)] = [
    (
      size("avail_bytes", "Filesystem space available to non-root users in bytes."),
      { $0.availableBlocks * $0.blockSize }
    ),
    (size("files", "Filesystem total file nodes."), { $0.files }),
    (size("files_free", "Filesystem total free file nodes."), { $0.freeFiles }),
    (size("free_bytes", "Filesystem free space in bytes."), { $0.freeBlocks * $0.blockSize }),
    (
      size("purgeable_bytes", "Filesystem space available including purgeable space (MacOS specific)."),
      { _ in 0 }
    ),
    (size("size_bytes", "Filesystem size in bytes."), { $0.blocks * $0.blockSize }),
  ]

  private static func size(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_filesystem_\(name)", help, labels)
  }

  /// A mount as it is shown.
  private struct ShownMount {
    let device: String
    let type: String
    let mountPoint: String
    let major: Int
    let minor: Int
    let isReadOnly: Bool
  }

  private let hostMounts: HostMounts
  private let mountFilter: NameFilter
  private let typeFilter: NameFilter
  private let statfs: StatfsWorkers
  private var buffer = ByteWriter()

  /// The mountinfo that `mounts` were made of.
  private var parsed: [UInt8] = []
  /// By the labels that they are shown with.
  private var mounts: [ShownMount] = []
  /// Where each of `mounts` is for this process.
  private var paths: [[UInt8]] = []

  convenience init(_ host: Host) throws(CollectorConfigurationError) {
    try self.init(host, probe: FilesystemStatistics.read)
  }

  /// - Parameter probe: stands in for statfs(2) in tests.
  init(_ host: Host, probe: @escaping StatfsWorkers.Probe) throws(CollectorConfigurationError) {
    mountFilter = try host.filter(
      include: Self.mountInclude, exclude: Self.mountExclude, onceCalled: Self.mountIgnored,
      named: "--collector.filesystem.mount-points-exclude and --collector.filesystem.mount-points-include")
    typeFilter = try host.filter(
      include: Self.typeInclude, exclude: Self.typeExclude, onceCalled: Self.typeIgnored,
      named: "--collector.filesystem.fs-types-exclude and --collector.filesystem.fs-types-include")
    hostMounts = HostMounts(host)
    statfs = StatfsWorkers(
      timeout: host.flags[Self.mountTimeout], threads: host.flags[Self.workers], probe: probe)
  }

  func collect(into writer: MetricWriter) throws {
    try hostMounts.read(into: &buffer)
    let last = parsed
    if last.span.bytes.compare(buffer.bytes) != 0 {
      parsed = buffer.bytes.array
      choose(Mount.all(in: buffer.bytes))
    }
    write(statfs.answers(for: paths), to: writer)
  }

  // MARK: Choosing

  /// Takes the mounts that the flags let through; of several with the same labels the last, which hides the others.
  private func choose(_ all: [Mount]) {
    var chosen: [[String]: (mount: ShownMount, path: [UInt8])] = [:]
    for mount in all {
      let path = withoutRoot(mount.mountPoint)
      guard !mountFilter.isIgnored(path.span.bytes), !typeFilter.isIgnored(mount.type.span.bytes) else { continue }
      let shown = ShownMount(
        device: String(decoding: mount.source, as: UTF8.self), type: String(decoding: mount.type, as: UTF8.self),
        mountPoint: String(decoding: path, as: UTF8.self), major: Int(clamping: mount.major),
        minor: Int(clamping: mount.minor), isReadOnly: mount.isReadOnly)
      chosen[[shown.device, shown.type, shown.mountPoint]] = (shown, hostMounts.rootPrefix + path)
    }
    let ordered = chosen.sorted { left, right in
      left.key.lexicographicallyPrecedes(right.key) { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
    mounts = ordered.map(\.value.mount)
    paths = ordered.map(\.value.path)
  }

  /// The mount point as the host sees it, whose root is mounted somewhere below this process's own.
  private func withoutRoot(_ path: [UInt8]) -> [UInt8] {
    guard path.starts(with: hostMounts.rootPrefix) else { return path }
    let rest = Array(path.dropFirst(hostMounts.rootPrefix.count))
    if rest.isEmpty { return [UInt8(ascii: "/")] }
    return rest.first == UInt8(ascii: "/") ? rest : path
  }

  // MARK: Writing

  private func write(_ answers: [StatfsWorkers.Answer], to writer: MetricWriter) {
    for (mount, answer) in zip(mounts, answers) {
      begin(Self.deviceError, mount, answer, writer)
      writer.end(answer.statistics == nil ? 1.0 : 0.0)
    }
    for (mount, answer) in zip(mounts, answers) {
      begin(Self.readonly, mount, answer, writer)
      writer.end(mount.isReadOnly ? 1.0 : 0.0)
    }
    for metric in Self.sizes {
      for (mount, answer) in zip(mounts, answers) {
        guard let statistics = answer.statistics else { continue }
        begin(metric.family, mount, answer, writer)
        writer.end(metric.value(statistics))
      }
    }
    for (mount, answer) in zip(mounts, answers) where answer.statistics != nil {
      writer.begin(Self.mountInfo)
      writer.label(mount.device)
      writer.label(mount.major)
      writer.label(mount.minor)
      writer.label(mount.mountPoint)
      writer.end(1.0)
    }
  }

  private func begin(
    _ family: MetricFamily, _ mount: ShownMount, _ answer: StatfsWorkers.Answer, _ writer: MetricWriter
  ) {
    writer.begin(family)
    writer.label(mount.device)
    writer.label(answer.problem)
    writer.label(mount.type)
    writer.label(mount.mountPoint)
  }
}

extension MountWorkers.Answer {
  /// As the label device_error has it; empty when there is none.
  fileprivate var problem: String {
    switch self {
    case .statistics: ""
    case .failure(let error): error.reason
    case .timedOut: "mountpoint timeout"
    }
  }
}
