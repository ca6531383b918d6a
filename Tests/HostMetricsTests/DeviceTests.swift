import Glibc
import TestSupport
import Testing

@testable import HostMetrics

/// A collector of devices: two of them in its folder, and what is shown of the first and of the second.
private struct Example: Sendable, CustomTestStringConvertible {
  let collector: any Collector.Type
  /// The class' folder.
  let folder: String
  var arguments: [String] = []
  /// The devices' own folders, whose names begin the lines of their trees.
  var devices: (String, String)
  let trees: (String, String)
  let shown: ([String], [String])
  /// Whether a folder that is not there is an error: NoData.
  var needsFolder = true

  var testDescription: String { "\(collector.name) \(arguments)" }

  func make(_ root: TemporaryDirectory) throws -> any Collector {
    try HostMetricsTests.make(collector, over: root, arguments)
  }

  /// With the class' folder in the tree's files, of the second device.
  var secondFiles: [String] { TemporaryDirectory.files(trees.1).map { "\(folder)/\($0.name)" } }

  func tree() -> TemporaryDirectory {
    let root = TemporaryDirectory()
    root.writeTree(folder, trees.0)
    root.writeTree(folder, trees.1)
    return root
  }
}

private let examples = [
  Example(
    collector: EDACCollector.self, folder: "sys/devices/system/edac/mc", devices: ("mc0", "mc12"),
    trees: (
      """
      mc0/ce_count 1
      mc0/ue_count 2
      mc0/ce_noinfo_count 3
      mc0/ue_noinfo_count 4
      mc0/csrow0/ce_count 5
      mc0/csrow0/ue_count 6
      mc0/csrow0/ch0_ce_count 7
      mc0/csrow0/ch0_ue_count 8
      mc0/csrow0/ch0_dimm_label mc#0csrow#0channel#0
      mc0/csrow0/ch0_other 1
      mc0/csrowx/ce_count 1
      """,
      "mc12/ce_count 9\nmc12/csrow10/ch11_ce_count 10"
    ),
    shown: (
      [
        #"node_edac_channel_correctable_errors_total{channel="0",controller="0",csrow="0",dimm_label="mc0_csrow0_channel0"} 7"#,
        #"node_edac_channel_uncorrectable_errors_total{channel="0",controller="0",csrow="0",dimm_label="mc0_csrow0_channel0"} 8"#,
        #"node_edac_correctable_errors_total{controller="0"} 1"#,
        #"node_edac_csrow_correctable_errors_total{controller="0",csrow="0"} 5"#,
        #"node_edac_csrow_correctable_errors_total{controller="0",csrow="unknown"} 3"#,
        #"node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="0"} 6"#,
        #"node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="unknown"} 4"#,
        #"node_edac_uncorrectable_errors_total{controller="0"} 2"#,
      ],
      [
        #"node_edac_channel_correctable_errors_total{channel="11",controller="12",csrow="10",dimm_label="unknown"} 10"#,
        #"node_edac_correctable_errors_total{controller="12"} 9"#,
      ]
    ), needsFolder: false),
  Example(
    collector: FibrechannelCollector.self, folder: "sys/class/fc_host", devices: ("host1", "host2"),
    trees: (
      """
      host1/speed 16 Gbit
      host1/port_id 0x000002
      host1/port_name 0x
      host1/symbolic_name a "b"
      host1/statistics/error_frames 0x1f
      host1/statistics/nos_count 0xffffffffffffffff
      host1/statistics/rx_frames 12
      host1/statistics/unheard 0x1
      """,
      "host2/speed unknown"
    ),
    shown: (
      [
        #"node_fibrechannel_error_frames_total{fc_host="host1"} 31"#,
        #"node_fibrechannel_info{dev_loss_tmo="",fabric_name="",fc_host="host1",port_id="000002",port_name="0x",port_state="",port_type="",speed="16 Gbit",supported_classes="",supported_speeds="",symbolic_name="a \"b\""} 1"#,
        #"node_fibrechannel_rx_frames_total{fc_host="host1"} 12"#,
      ],
      [
        #"node_fibrechannel_info{dev_loss_tmo="",fabric_name="",fc_host="host2",port_id="",port_name="",port_state="",port_type="",speed="unknown",supported_classes="",supported_speeds="",symbolic_name=""} 1"#
      ]
    )),
  Example(
    collector: InfinibandCollector.self, folder: "sys/class/infiniband", devices: ("mlx5_0", "mlx5_1"),
    trees: (
      """
      mlx5_0/fw_ver 16.28
      mlx5_0/ports/1/state 4: ACTIVE
      mlx5_0/ports/1/phys_state 5: LinkUp
      mlx5_0/ports/1/rate 2.5 Gb/sec (1X SDR)
      mlx5_0/ports/1/counters/port_rcv_data 10
      mlx5_0/ports/1/counters/link_downed N/A (no PMA)
      mlx5_0/ports/1/counters/symbol_error 18446744073709551615
      mlx5_0/ports/1/counters_ext/port_xmit_data_64 11
      mlx5_0/ports/1/hw_counters/lifespan 1999
      mlx5_0/ports/1/hw_counters/out_of_buffer 3
      """,
      """
      mlx5_1/fw_ver 1
      mlx5_1/ports/x/state 4: ACTIVE
      mlx5_1/ports/2/state ACTIVE
      mlx5_1/ports/2/phys_state 3: Disabled
      """
    ),
    shown: (
      [
        #"node_infiniband_info{board_id="",device="mlx5_0",firmware_version="16.28",hca_type=""} 1"#,
        #"node_infiniband_legacy_data_transmitted_bytes_total{device="mlx5_0",port="1"} 44"#,
        #"node_infiniband_lifespan_seconds{device="mlx5_0",port="1"} 1"#,
        #"node_infiniband_out_of_buffer_drops_total{device="mlx5_0",port="1"} 3"#,
        #"node_infiniband_physical_state_id{device="mlx5_0",port="1"} 5"#,
        #"node_infiniband_port_data_received_bytes_total{device="mlx5_0",port="1"} 40"#,
        #"node_infiniband_rate_bytes_per_second{device="mlx5_0",port="1"} 3.125e+08"#,
        #"node_infiniband_state_id{device="mlx5_0",port="1"} 4"#,
        #"node_infiniband_symbol_error_total{device="mlx5_0",port="1"} 1.8446744073709552e+19"#,
      ],
      [
        #"node_infiniband_info{board_id="",device="mlx5_1",firmware_version="1",hca_type=""} 1"#,
        #"node_infiniband_physical_state_id{device="mlx5_1",port="2"} 3"#,
      ]
    )),
  Example(
    collector: InfinibandCollector.self, folder: "sys/class/infiniband",
    arguments: ["--collector.infiniband.device-include=mlx", "--collector.infiniband.device-exclude=1"],
    devices: ("mlx5_0", "mlx5_1"), trees: ("mlx5_0/fw_ver 16.28", "mlx5_1/fw_ver 1\nirdma0/fw_ver 1"),
    shown: ([#"node_infiniband_info{board_id="",device="mlx5_0",firmware_version="16.28",hca_type=""} 1"#], [])),
  Example(
    collector: NvmeCollector.self, folder: "sys/class/nvme", devices: ("nvme0", "nvme1"),
    trees: (
      """
      nvme0/model Disk 1\u{20}\u{20}
      nvme0/serial S1
      nvme0/state live
      nvme0/firmware_rev F1
      nvme0/cntlid 7
      nvme0/nvme0n1/nuse 5
      nvme0/nvme0n1/size 10
      nvme0/nvme0n1/queue/logical_block_size 512
      nvme0/nvme0n1/ana_state optimized
      nvme0/nvme0c1n2/size 10
      nvme0/ng0n1/size 10
      """,
      """
      nvme1/model Disk 2
      nvme1/nvme1n12/nuse 5
      nvme1/nvme1n12/size 18446744073709551615
      nvme1/nvme1n12/queue/logical_block_size 4096
      """
    ),
    shown: (
      [
        #"node_nvme_info{cntlid="7",device="nvme0",firmware_revision="F1",model="Disk 1",serial="S1",state="live"} 1"#,
        #"node_nvme_namespace_capacity_bytes{device="nvme0",nsid="1"} 5120"#,
        #"node_nvme_namespace_info{ana_state="optimized",device="nvme0",nsid="1"} 1"#,
        #"node_nvme_namespace_logical_block_size_bytes{device="nvme0",nsid="1"} 512"#,
        #"node_nvme_namespace_size_bytes{device="nvme0",nsid="1"} 5120"#,
        #"node_nvme_namespace_used_bytes{device="nvme0",nsid="1"} 2560"#,
      ],
      [
        #"node_nvme_info{cntlid="",device="nvme1",firmware_revision="",model="Disk 2",serial="",state=""} 1"#,
        #"node_nvme_namespace_capacity_bytes{device="nvme1",nsid="12"} 1.8446744073709548e+19"#,
        #"node_nvme_namespace_info{ana_state="unknown",device="nvme1",nsid="12"} 1"#,
        #"node_nvme_namespace_logical_block_size_bytes{device="nvme1",nsid="12"} 4096"#,
        #"node_nvme_namespace_size_bytes{device="nvme1",nsid="12"} 1.8446744073709548e+19"#,
        #"node_nvme_namespace_used_bytes{device="nvme1",nsid="12"} 20480"#,
      ]
    )),
  Example(
    collector: NvmesubsystemCollector.self, folder: "sys/class/nvme-subsystem",
    devices: ("nvme-subsys0", "nvme-subsys1"),
    trees: (
      """
      nvme-subsys0/subsysnqn nqn.2014-08:a
      nvme-subsys0/iopolicy numa
      nvme-subsys0/nvme0n1/size 1
      nvme-subsys0/nvme0/state live
      nvme-subsys0/nvme0/transport tcp
      """,
      "nvme-subsys1/model M\nnvme-subsys1/nvme3/state deleting (no IO)\nother/model M"
    ),
    shown: (
      [
        #"node_nvmesubsystem_info{iopolicy="numa",model="",nqn="nqn.2014-08:a",serial="",subsystem="nvme-subsys0"} 1"#,
        #"node_nvmesubsystem_namespace_info{device="nvme0n1",subsystem="nvme-subsys0"} 1"#,
      ] + states("nvme0", "nvme-subsys0", "tcp", "live") + [
        #"node_nvmesubsystem_paths_live{subsystem="nvme-subsys0"} 1"#,
        #"node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 1"#,
      ],
      [#"node_nvmesubsystem_info{iopolicy="",model="M",nqn="",serial="",subsystem="nvme-subsys1"} 1"#]
        + states("nvme3", "nvme-subsys1", "", "deleting") + [
          #"node_nvmesubsystem_paths_live{subsystem="nvme-subsys1"} 0"#,
          #"node_nvmesubsystem_paths{subsystem="nvme-subsys1"} 1"#,
        ]
    )),
  Example(
    collector: PowersupplyclassCollector.self, folder: "sys/class/power_supply", devices: ("AC", "BAT0"),
    trees: (
      "AC/type Mains\nAC/online 1\nAC/model_name \u{20}",
      """
      BAT0/type Battery
      BAT0/status Discharging
      BAT0/capacity 81
      BAT0/current_now -1500000
      BAT0/cycle_count 0x10
      BAT0/temp -25
      BAT0/power_avg 1
      """
    ),
    shown: (
      [
        #"node_power_supply_info{power_supply="AC",type="Mains"} 1"#,
        #"node_power_supply_online{power_supply="AC"} 1"#,
      ],
      [
        #"node_power_supply_capacity{power_supply="BAT0"} 81"#,
        #"node_power_supply_current_ampere{power_supply="BAT0"} -1.5"#,
        #"node_power_supply_cyclecount{power_supply="BAT0"} 16"#,
        #"node_power_supply_info{power_supply="BAT0",status="Discharging",type="Battery"} 1"#,
        #"node_power_supply_temp_celsius{power_supply="BAT0"} -2.5"#,
      ]
    )),
  Example(
    collector: PowersupplyclassCollector.self, folder: "sys/class/power_supply",
    arguments: ["--collector.powersupply.ignored-supplies=^B"], devices: ("AC", "BAT0"),
    trees: ("AC/type Mains", "BAT0/type Battery"),
    shown: ([#"node_power_supply_info{power_supply="AC",type="Mains"} 1"#], [])),
  Example(
    collector: TapestatsCollector.self, folder: "sys/class/scsi_tape",
    arguments: ["--collector.tapestats.ignored-devices=st9"], devices: ("st0", "st12"),
    trees: (
      "st0/stats/in_flight 1\nst0/stats/io_ns 9247011087720\nst0/stats/read_byte_cnt 979383912\nnst0/stats/io_ns 1",
      "st12/stats/write_cnt 53772916\nst0a/stats/write_cnt 1\nst9/stats/write_cnt 1"
    ),
    shown: (
      [
        #"node_tape_io_now{device="st0"} 1"#, #"node_tape_io_time_seconds_total{device="st0"} 9247.01108772"#,
        #"node_tape_read_bytes_total{device="st0"} 9.79383912e+08"#,
      ], [#"node_tape_writes_completed_total{device="st12"} 5.3772916e+07"#]
    )),
  Example(
    collector: ThermalZoneCollector.self, folder: "sys/class/thermal", devices: ("thermal_zone0", "cooling_device1"),
    trees: (
      "thermal_zone0/type acpitz\nthermal_zone0/temp -12376",
      "cooling_device1/type Fan\ncooling_device1/cur_state -1\ncooling_device1/max_state 10"
    ),
    shown: (
      [#"node_thermal_zone_temp{type="acpitz",zone="0"} -12.376"#],
      [
        #"node_cooling_device_cur_state{name="1",type="Fan"} -1"#,
        #"node_cooling_device_max_state{name="1",type="Fan"} 10"#,
      ]
    ), needsFolder: false),
  Example(
    collector: WatchdogCollector.self, folder: "sys/class/watchdog", devices: ("watchdog0", "watchdog1"),
    trees: (
      """
      watchdog0/bootstatus 0x20
      watchdog0/identity Software Watchdog
      watchdog0/state active
      watchdog0/timeout 60
      """,
      "watchdog1/other 1"
    ),
    shown: (
      [
        #"node_watchdog_bootstatus{name="watchdog0"} 32"#,
        #"node_watchdog_info{identity="Software Watchdog",name="watchdog0",options="",pretimeout_governor="",state="active",status=""} 1"#,
        #"node_watchdog_timeout_seconds{name="watchdog0"} 60"#,
      ],
      [#"node_watchdog_info{identity="",name="watchdog1",options="",pretimeout_governor="",state="",status=""} 1"#]
    )),
]

private func states(_ controller: String, _ subsystem: String, _ transport: String, _ current: String) -> [String] {
  ["connecting", "dead", "deleting", "live", "new", "resetting", "unknown"].map { state in
    "node_nvmesubsystem_path_state{controller=\"\(controller)\",state=\"\(state)\",subsystem=\"\(subsystem)\","
      + "transport=\"\(transport)\"} \(state == current ? 1 : 0)"
  }
}

/// The samples, in the order of the lines: which family comes first is the exposition's matter.
@Suite struct DeviceTests {
  @Test(arguments: examples) fileprivate func showsTheDevices(_ example: Example) throws {
    let root = example.tree()
    let collector = try example.make(root)
    // The second scrape goes the way of what is known.
    for _ in 0..<2 { #expect(try samples(collector).sorted() == (example.shown.0 + example.shown.1).sorted()) }
  }

  @Test(arguments: examples) fileprivate func needsTheFolder(_ example: Example) throws {
    let root = TemporaryDirectory()
    let collector = try example.make(root)
    if example.needsFolder {
      #expect(throws: NoData.self) { try render(collector) }
    } else {
      #expect(try samples(collector).isEmpty)
    }
    root.makeDirectory(example.folder)
    #expect(try samples(collector).isEmpty)
    root.writeTree(example.folder, example.trees.0)
    #expect(try samples(collector).sorted() == example.shown.0.sorted())
  }

  @Test(arguments: examples) fileprivate func followsDevicesThatComeAndGo(_ example: Example) throws {
    let root = example.tree()
    let collector = try example.make(root)
    let all = try samples(collector).sorted()
    root.move("\(example.folder)/\(example.devices.1)", to: "away")
    #expect(try samples(collector).sorted() == example.shown.0.sorted())
    root.move("away", to: "\(example.folder)/\(example.devices.1)")
    #expect(try samples(collector).sorted() == all)
  }

  /// Whatever becomes of one device's files, the other's samples stay.
  @Test(arguments: examples) fileprivate func losesNoOtherDevice(_ example: Example) throws {
    let root = example.tree()
    let collector = try example.make(root)
    let texts = ["", "\n", "garbage", "-", "0x", "\u{0}", String(repeating: "9", count: 100_000)]
    for file in example.secondFiles {
      for text in texts {
        root.overwrite(file, text)
        #expect(try Set(samples(collector)).isSuperset(of: example.shown.0))
      }
      root.delete(file)
      #expect(try Set(samples(collector)).isSuperset(of: example.shown.0))
      root.makeFIFO(file)
      #expect(try Set(samples(collector)).isSuperset(of: example.shown.0))
    }
  }

  @Test(arguments: examples) fileprivate func survivesAnything(_ example: Example) throws {
    let root = example.tree()
    let collector = try example.make(root)
    var random = SeededGenerator(7)
    let files = TemporaryDirectory.files(example.trees.0 + "\n" + example.trees.1)
    for _ in 0..<300 {
      guard let (name, text) = files.randomElement(using: &random) else { continue }
      root.overwrite("\(example.folder)/\(name)", bytes: mutated(Array(text.utf8), with: &random))
      _ = try render(collector)
    }
  }

  /// The second device has the first one's name now: nothing that was known of it is shown.
  @Test func noticesAnotherDeviceOfTheSameName() throws {
    let root = TemporaryDirectory()
    root.writeTree("sys/class/powercap", "zone/name old\nzone/energy_uj 1000000")
    root.writeTree("other", "name new\nenergy_uj 2000000")
    let collector = try RAPLCollector(.fixture(RAPLCollector.self, root.path))
    #expect(try samples(collector).first?.hasPrefix("node_rapl_old_joules_total{") == true)
    root.move("sys/class/powercap/zone", to: "away")
    root.move("other", to: "sys/class/powercap/zone")
    #expect(try samples(collector).first?.hasPrefix("node_rapl_new_joules_total{") == true)
  }
}

@Suite struct BondingTests {
  private static let tree = """
    bonding_masters b0 b1 gone
    b0/bonding/slaves e0 e1 e2
    b0/lower_e0/bonding_slave/mii_status up
    b0/slave_e1/bonding_slave/mii_status up
    b0/lower_e2/bonding_slave/mii_status down
    b1/bonding/slaves \u{20}
    """

  @Test func countsSlaves() throws {
    let root = TemporaryDirectory()
    let collector = try BondingCollector(.fixture(BondingCollector.self, root.path))
    #expect(throws: NoData.self) { try render(collector) }
    root.writeTree("sys/class/net", Self.tree)
    let shown = [
      #"node_bonding_active{master="b0"} 2"#, #"node_bonding_active{master="b1"} 0"#,
      #"node_bonding_slaves{master="b0"} 3"#, #"node_bonding_slaves{master="b1"} 0"#,
    ]
    #expect(try samples(collector) == shown)
    root.delete("sys/class/net/b0/slave_e1/bonding_slave/mii_status")
    #expect(try samples(collector).first == #"node_bonding_active{master="b0"} 1"#)
    let some = try BondingCollector(
      .fixture(BondingCollector.self, root.path, ["--collector.net.device-exclude=^b0$"]))
    #expect(try samples(some) == [shown[1], shown[3]])
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    root.writeTree("sys/class/net", Self.tree)
    let collector = try BondingCollector(.fixture(BondingCollector.self, root.path))
    var random = SeededGenerator(8)
    for _ in 0..<300 {
      guard let (name, text) = TemporaryDirectory.files(Self.tree).randomElement(using: &random) else { continue }
      root.overwrite("sys/class/net/\(name)", bytes: mutated(Array(text.utf8), with: &random))
      _ = try render(collector)
    }
  }
}

@Suite struct DmiTests {
  @Test func showsWhatThereIs() throws {
    let root = TemporaryDirectory()
    #expect(throws: NoData.self) { try render(DMICollector(.fixture(DMICollector.self, root.path))) }
    let folder = "sys/class/dmi/id"
    root.writeTree(folder, "bios_date 04/12/2021\nchassis_version \u{20}\nchassis_type 3\nsys_vendor Dell Inc.")
    root.write("\(folder)/product_name", bytes: [0xff, 0xfe] + Array("x ".utf8) + [0xe2, 0x82, UInt8(ascii: "\n")])
    root.makeFIFO("\(folder)/board_name")
    root.makeDirectory("\(folder)/board_vendor")
    let collector = try DMICollector(.fixture(DMICollector.self, root.path))
    let info = #"bios_date="04/12/2021",board_name="",chassis_version="",product_name="\#u{fffd}x \#u{fffd}""#
    #expect(try samples(collector) == ["node_dmi_info{\(info),system_vendor=\"Dell Inc.\"} 1"])
    // It was read once.
    root.write("\(folder)/bios_date", "05/12/2021\n")
    #expect(try samples(collector).first?.contains("04/12/2021") == true)
  }
}

@Suite struct EntropyTests {
  private static let folder = "proc/sys/kernel/random"

  @Test func showsTheBits() throws {
    let root = TemporaryDirectory()
    let collector = try EntropyCollector(.fixture(EntropyCollector.self, root.path))
    #expect(throws: NoData.self) { try render(collector) }
    root.writeTree(Self.folder, "entropy_avail 256\npoolsize 4096")
    #expect(try samples(collector) == ["node_entropy_available_bits 256", "node_entropy_pool_size_bits 4096"])
    for text in ["", "x", "1 2", String(repeating: "9", count: 30)] {
      root.overwrite("\(Self.folder)/poolsize", text)
      #expect(try samples(collector) == ["node_entropy_available_bits 256"])
    }
  }
}

@Suite struct RaplTests {
  private static let tree = """
    intel-rapl/enabled 1
    intel-rapl:0/name package-0
    intel-rapl:0/energy_uj 240422366267
    intel-rapl:0:0/name dram
    intel-rapl:0:0/energy_uj 5
    intel-rapl:1:0/name dram
    intel-rapl:1:0/energy_uj 7
    intel-rapl:2/name psys x
    intel-rapl:2/energy_uj 8
    """

  @Test func countsJoules() throws {
    let root = TemporaryDirectory()
    root.writeTree("sys/class/powercap", Self.tree)
    let path = "\(root.path)/sys/class/powercap/intel-rapl"
    let collector = try RAPLCollector(.fixture(RAPLCollector.self, root.path))
    #expect(
      try samples(collector) == [
        "node_rapl_dram_joules_total{index=\"0\",path=\"\(path):0:0\"} 5e-06",
        "node_rapl_dram_joules_total{index=\"1\",path=\"\(path):1:0\"} 7e-06",
        "node_rapl_package_joules_total{index=\"0\",path=\"\(path):0\"} 240422.366267",
        "node_rapl_psys_x_joules_total{index=\"0\",path=\"\(path):2\"} 8e-06",
      ])
    let labelled = try RAPLCollector(
      .fixture(RAPLCollector.self, root.path, ["--collector.rapl.enable-zone-label"]))
    #expect(
      try samples(labelled)[0]
        == "node_rapl_joules_total{index=\"0\",path=\"\(path):0\",rapl_zone=\"package\"} 240422.366267")
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    let collector = try RAPLCollector(.fixture(RAPLCollector.self, root.path))
    #expect(throws: NoData.self) { try render(collector) }
    root.writeTree("sys/class/powercap", "intel-rapl:0/name package-0\nintel-rapl:0/energy_uj secret")
    #expect(throws: NoData.self) { try render(collector) }
    root.writeTree("sys/class/powercap", Self.tree)
    var random = SeededGenerator(9)
    for _ in 0..<300 {
      guard let (name, text) = TemporaryDirectory.files(Self.tree).randomElement(using: &random) else { continue }
      root.overwrite("sys/class/powercap/\(name)", bytes: mutated(Array(text.utf8), with: &random))
      _ = try? render(RAPLCollector(.fixture(RAPLCollector.self, root.path)))
    }
  }

  @Test(arguments: [
    ("package-0", "package", 0), ("dram", "dram", nil), ("package-0-die-1", "package-0-die-1", nil),
    ("a-b", "a-b", nil), ("-1", "", 1), ("", "", nil), ("x-99999999999999999999", "x-99999999999999999999", nil),
  ]) func readsZoneNames(_ name: String, _ text: String, _ index: Int?) {
    #expect(ZoneName(name).text == text)
    #expect(ZoneName(name).index == index)
  }
}
