import Bytes
import Exposition
import Flags
import Kernel
import Logging

/// One of node_exporter's collectors: reads the kernel, writes `node_*` samples.
///
/// A collector keeps what saves work at the next scrape (open files, buffers, counters that must not go back). It is
/// used by one thread at a time.
public protocol Collector: AnyObject, SendableMetatype {
  /// As in `--collector.NAME`, `collect[]=NAME` and `node_scrape_collector_success{collector="NAME"}`.
  static var name: String { get }
  static var isEnabledByDefault: Bool { get }
  /// The collector's own flags, which stand in its own file.
  static var flags: [FlagDefinition] { get }

  /// - Throws: when the flags contradict each other or a pattern is none; the process does not start then.
  init(_ host: Host) throws(CollectorConfigurationError)

  /// Writes the present values.
  ///
  /// - Throws: `NoData` when this machine has nothing of the kind; any other error when it cannot be read. What was
  ///   written before is kept.
  func collect(into writer: MetricWriter) throws
}

extension Collector {
  public static var isEnabledByDefault: Bool { true }
  public static var flags: [FlagDefinition] { [] }
}

/// This machine has nothing of what the collector reads; not a fault.
public struct NoData: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// A file of the kernel that does not read as it should.
public struct MalformedFile: Error, CustomStringConvertible {
  public let description: String

  /// - Parameter what: the part that was expected there.
  public init(_ path: String, _ what: String) { description = "\(path): \(what)" }

  /// - Parameter line: where it was expected; at most 100 bytes of it are shown.
  public init(_ path: String, _ what: String, in line: RawSpan) {
    self.init(path, "\(what): \(String(utf8: line.extracting(0..<min(line.byteCount, 100))))")
  }
}

/// Flags that a collector cannot work with.
public struct CollectorConfigurationError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// The host as a collector sees it: where the kernel's trees are mounted, and what the command line says.
public struct Host: Sendable {
  public static let procFlag = Flag("path.procfs", "/proc", "procfs mountpoint.")
  public static let sysFlag = Flag("path.sysfs", "/sys", "sysfs mountpoint.")
  public static let rootFlag = Flag("path.rootfs", "/", "rootfs mountpoint.")
  public static let udevFlag = Flag("path.udev.data", "/run/udev/data", "udev data path.")
  public static let flags = [procFlag.definition, sysFlag.definition, rootFlag.definition, udevFlag.definition]

  public let flags: FlagValues
  public let logger: Logger

  public init(flags: FlagValues, logger: Logger) {
    self.flags = flags
    self.logger = logger
  }

  /// A path below procfs; `proc("stat")` is /proc/stat.
  public func proc(_ path: String) -> String { Self.join(flags[Self.procFlag], path) }
  /// A path below sysfs.
  public func sys(_ path: String) -> String { Self.join(flags[Self.sysFlag], path) }
  /// A path below the root file system of the host.
  public func root(_ path: String) -> String { Self.join(flags[Self.rootFlag], path) }
  /// A path below udev's data.
  public func udev(_ path: String) -> String { Self.join(flags[Self.udevFlag], path) }

  private static func join(_ base: String, _ path: String) -> String {
    base.hasSuffix("/") || path.hasPrefix("/") ? base + path : base + "/" + path
  }
}
