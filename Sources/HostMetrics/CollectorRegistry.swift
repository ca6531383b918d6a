import Flags
import Logging

/// The collectors there are, and which of them the command line switches on.
public enum CollectorRegistry {
  /// One line a collector, by name; the textfile collector last, since of two equal series the earlier stays and the
  /// kernel's own shall win.
  static let all: [any Collector.Type] = [
    ConntrackCollector.self,
    CpuCollector.self,
    DiskstatsCollector.self,
    EntropyCollector.self,
    FilesystemCollector.self,
    InterruptsCollector.self,
    IpvsCollector.self,
    LnstatCollector.self,
    LoadavgCollector.self,
    MeminfoCollector.self,
    MountstatsCollector.self,
    NetdevCollector.self,
    NetstatCollector.self,
    NfsCollector.self,
    NfsdCollector.self,
    OsCollector.self,
    PressureCollector.self,
    SchedstatCollector.self,
    SockstatCollector.self,
    SoftirqsCollector.self,
    SoftnetCollector.self,
    StatCollector.self,
    ThermalZoneCollector.self,
    TimeCollector.self,
    UdpQueuesCollector.self,
    UnameCollector.self,
    VmstatCollector.self,
    XfrmCollector.self,
    TextfileCollector.self,
  ]

  private static let disableDefaultsFlag = Flag(
    "collector.disable-defaults", false, "Set all collectors to disabled by default.")

  /// The flag that switches a collector on or off.
  private static func enableFlag(_ collector: any Collector.Type) -> Flag<Bool> {
    let isOn = collector.isEnabledByDefault
    return Flag(
      "collector.\(collector.name)", isOn,
      "Enable the \(collector.name) collector (default: \(isOn ? "enabled" : "disabled")).")
  }

  /// The collectors' own flags, then one to switch each on or off.
  public static var flags: [FlagDefinition] {
    all.flatMap { $0.flags } + all.map { enableFlag($0).definition } + [disableDefaultsFlag.definition]
  }

  /// The names of all collectors, on or off.
  public static var names: Set<String> { Set(all.map { $0.name }) }

  /// Makes the collectors that are switched on.
  ///
  /// - Throws: when a collector cannot work with its flags.
  public static func makeRunner(_ host: Host) throws(CollectorConfigurationError) -> CollectorRunner {
    var collectors: [(name: String, collector: any Collector)] = []
    for type in all {
      let flag = enableFlag(type)
      let isOn =
        host.flags.isGiven(flag) ? host.flags[flag] : type.isEnabledByDefault && !host.flags[disableDefaultsFlag]
      if isOn { collectors.append((type.name, try type.init(host))) }
    }
    return CollectorRunner(collectors, logger: host.logger)
  }
}
