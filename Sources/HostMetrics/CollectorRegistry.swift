import Flags
import Logging

/// The collectors there are, and which of them the command line switches on.
public enum CollectorRegistry {
  /// One line a collector, by name; the textfile collector last, since of two equal series the earlier stays and the
  /// kernel's own shall win.
  static let all: [any Collector.Type] = [
    ARPCollector.self,
    BcacheCollector.self,
    BcachefsCollector.self,
    BondingCollector.self,
    BtrfsCollector.self,
    BuddyinfoCollector.self,
    CgroupsCollector.self,
    ConntrackCollector.self,
    CPUCollector.self,
    CpufreqCollector.self,
    CPUVulnerabilitiesCollector.self,
    DiskstatsCollector.self,
    DMICollector.self,
    DMMultipathCollector.self,
    DRBDCollector.self,
    DRMCollector.self,
    EDACCollector.self,
    EntropyCollector.self,
    EthtoolCollector.self,
    FibrechannelCollector.self,
    FilefdCollector.self,
    FilesystemCollector.self,
    HwmonCollector.self,
    InfinibandCollector.self,
    InterruptsCollector.self,
    IPVSCollector.self,
    KernelHungCollector.self,
    KsmdCollector.self,
    LnstatCollector.self,
    LoadavgCollector.self,
    LogindCollector.self,
    MdadmCollector.self,
    MeminfoCollector.self,
    MeminfoNumaCollector.self,
    MountstatsCollector.self,
    NetclassCollector.self,
    NetdevCollector.self,
    NetstatCollector.self,
    NetworkRouteCollector.self,
    NFSCollector.self,
    NfsdCollector.self,
    NTPCollector.self,
    NvmeCollector.self,
    NvmesubsystemCollector.self,
    OSCollector.self,
    PcideviceCollector.self,
    PerfCollector.self,
    PowersupplyclassCollector.self,
    PressureCollector.self,
    ProcessesCollector.self,
    QdiscCollector.self,
    RAPLCollector.self,
    RunitCollector.self,
    SchedstatCollector.self,
    SelinuxCollector.self,
    SlabinfoCollector.self,
    SockstatCollector.self,
    SoftirqsCollector.self,
    SoftnetCollector.self,
    StatCollector.self,
    SupervisordCollector.self,
    SwapCollector.self,
    SysctlCollector.self,
    SystemdCollector.self,
    TapestatsCollector.self,
    TcpstatCollector.self,
    ThermalZoneCollector.self,
    TimeCollector.self,
    TimexCollector.self,
    UDPQueuesCollector.self,
    UnameCollector.self,
    VmstatCollector.self,
    WatchdogCollector.self,
    WifiCollector.self,
    XfrmCollector.self,
    XFSCollector.self,
    ZFSCollector.self,
    ZoneinfoCollector.self,
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

  /// The collectors' own flags, those that several share, then one to switch each on or off.
  public static var flags: [FlagDefinition] {
    all.flatMap { $0.flags } + NetworkDeviceFilter.flags + all.map { enableFlag($0).definition }
      + [disableDefaultsFlag.definition]
  }

  /// The names of all collectors, on or off.
  public static var names: Set<String> { Set(all.map { $0.name }) }

  /// Makes the collectors that are switched on.
  ///
  /// - Throws: when a collector cannot work with its flags.
  public static func makeRunner(_ host: Host) throws(CollectorConfigurationError) -> CollectorRunner {
    var collectors: [(name: String, collector: any Collector)] = []
    host.warnAboutContainer()
    for type in all where isOn(type, host.flags) { collectors.append((type.name, try type.init(host))) }
    return CollectorRunner(collectors, logger: host.logger)
  }

  /// Whether the command line switches the collector on.
  static func isOn(_ collector: any Collector.Type, _ flags: FlagValues) -> Bool {
    let flag = enableFlag(collector)
    return flags.isGiven(flag) ? flags[flag] : collector.isEnabledByDefault && !flags[disableDefaultsFlag]
  }
}
