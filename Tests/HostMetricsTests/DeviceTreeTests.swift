import Bytes
import Exposition
import Glibc
import TestSupport
import Testing

@testable import HostMetrics

/// A collector that reads a tree of small files, an example of one, and what is shown of it.
private struct Tree: Sendable, CustomTestStringConvertible {
  let collector: any Collector.Type
  let files: [(path: String, text: String)]
  var links: [(path: String, target: String)] = []
  var arguments: [String] = []
  let shown: [String]

  var testDescription: String { "\(collector.name) \(arguments)" }

  func make(_ root: TemporaryDirectory) throws -> any Collector {
    for (path, text) in files { root.write(path, text) }
    for (path, target) in links { root.link(path, to: target) }
    return try HostMetricsTests.make(collector, over: root, arguments)
  }
}

private let cpu = "sys/devices/system/cpu"
private let pci = "sys/devices/pci0000:00/0000:00:02.1"
private let card = "sys/devices/pci0000:00/0000:03:00.0"

private let pciFiles = [
  ("\(pci)/class", "0x060400\n"), ("\(pci)/vendor", "0x1022\n"), ("\(pci)/device", "0x1634\n"),
  ("\(pci)/subsystem_vendor", "0x17aa\n"), ("\(pci)/subsystem_device", "0x5095\n"), ("\(pci)/revision", "0x00\n"),
  ("\(pci)/numa_node", "-1\n"), ("\(pci)/max_link_speed", "8.0 GT/s PCIe\n"), ("\(pci)/max_link_width", "8\n"),
  ("\(pci)/current_link_speed", "Unknown\n"), ("\(pci)/power_state", "D3hot\n"), ("\(pci)/d3cold_allowed", "1\n"),
  ("\(pci)/0000:01:00.0/class", "0x010802\n"), ("\(pci)/0000:01:00.0/numa_node", "1\n"),
  ("\(pci)/0000:01:00.0/sriov_numvfs", "4\n"),
]
private let pciLinks = [
  ("sys/bus/pci/devices/0000:00:02.1", "../../../devices/pci0000:00/0000:00:02.1"),
  ("sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:02.1/0000:01:00.0"),
  ("sys/bus/pci/devices/nonsense", "../../../devices/nowhere"),
]
private let at02 = #"bus="00",device="02",function="1",segment="0000""#
private let at01 = #"bus="01",device="00",function="0",segment="0000""#

private func pciNumbers(_ values: [(name: String, bridge: String, disk: String)]) -> [String] {
  values.flatMap {
    ["node_pcidevice_\($0.name){\(at02)} \($0.bridge)", "node_pcidevice_\($0.name){\(at01)} \($0.disk)"]
  }
}

private let trees = [
  Tree(
    collector: KsmdCollector.self,
    files: [
      ("sys/kernel/mm/ksm/full_scans", "323\n"), ("sys/kernel/mm/ksm/run", "1\n"),
      ("sys/kernel/mm/ksm/sleep_millisecs", "20\n"),
    ],
    shown: ["node_ksmd_full_scans_total 323", "node_ksmd_run 1", "node_ksmd_sleep_seconds 0.02"]),
  Tree(
    collector: KernelHungCollector.self, files: [("proc/sys/kernel/hung_task_detect_count", "42\n")],
    shown: ["node_kernel_hung_tasks_total 42"]),
  Tree(
    collector: MeminfoNumaCollector.self,
    files: [
      ("sys/devices/system/node/node0/meminfo", "\nNode 0 MemTotal: 2 kB\nNode 0 Active(anon): 1 kB\n"),
      ("sys/devices/system/node/node0/numastat", "numa_hit 7\n"),
      ("sys/devices/system/node/node10/meminfo", "Node 10 MemTotal: 4 kB\nNode 10 HugePages_Free: 3\n"),
      ("sys/devices/system/node/nodes/meminfo", "Node 1 MemTotal: 4 kB\n"),
      ("sys/devices/system/node/possible", "0-10\n"),
    ],
    shown: [
      #"node_memory_numa_Active_anon{node="0"} 1024"#, #"node_memory_numa_HugePages_Free{node="10"} 3"#,
      #"node_memory_numa_MemTotal{node="0"} 2048"#, #"node_memory_numa_MemTotal{node="10"} 4096"#,
      #"node_memory_numa_numa_hit_total{node="0"} 7"#,
    ]),
  Tree(
    collector: CpufreqCollector.self,
    files: [
      ("\(cpu)/cpu0/cpufreq/cpuinfo_avg_freq", "5\n"), ("\(cpu)/cpu0/cpufreq/cpuinfo_cur_freq", "1699981\n"),
      ("\(cpu)/cpu0/cpufreq/scaling_max_freq", "3700000\n"),
      ("\(cpu)/cpu0/cpufreq/scaling_available_governors", "performance powersave\n"),
      ("\(cpu)/cpu0/cpufreq/scaling_governor", "powersave\n"), ("\(cpu)/cpu1/cpufreq/scaling_max_freq", "1\n"),
      ("\(cpu)/cpu2/online", "1\n"), ("\(cpu)/cpufreq/boost", "1\n"), ("\(cpu)/offline", "1,3-7\n"),
    ],
    shown: [
      #"node_cpu_frequency_avg_hertz{cpu="0"} 5000"#, #"node_cpu_frequency_hertz{cpu="0"} 1.699981e+09"#,
      #"node_cpu_scaling_frequency_max_hertz{cpu="0"} 3.7e+09"#,
      #"node_cpu_scaling_governor{cpu="0",governor="performance"} 0"#,
      #"node_cpu_scaling_governor{cpu="0",governor="powersave"} 1"#,
    ]),
  Tree(
    collector: CPUVulnerabilitiesCollector.self,
    files: [
      ("\(cpu)/vulnerabilities/mds", "Vulnerable\n"),
      ("\(cpu)/vulnerabilities/spectre_v2", "Mitigation: Retpolines; STIBP: disabled\n"),
    ],
    shown: [
      #"node_cpu_vulnerabilities_info{codename="mds",mitigation="",state="vulnerable"} 1"#,
      #"node_cpu_vulnerabilities_info{codename="spectre_v2",mitigation="Retpolines; STIBP: disabled","#
        + #"state="mitigation"} 1"#,
    ]),
  Tree(
    collector: DRMCollector.self,
    files: [
      ("\(card)/uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\n"), ("\(card)/gpu_busy_percent", "7\n"),
      ("\(card)/mem_info_vram_total", "4096\n"), ("\(card)/mem_info_vram_vendor", "samsung\n"),
      ("sys/class/drm/card1/device/uevent", "DRIVER=i915\n"),
    ],
    links: [
      ("sys/class/drm/card0/device", "../../../devices/pci0000:00/0000:03:00.0"),
      ("sys/class/drm/card0-DP-1/device", "../../../devices/pci0000:00/0000:03:00.0"),
    ],
    shown: [
      #"node_drm_card_info{card="card0",memory_vendor="samsung",power_performance_level="",unique_id="",vendor="amd"} 1"#,
      #"node_drm_gpu_busy_percent{card="card0"} 7"#, #"node_drm_memory_gtt_size_bytes{card="card0"} 0"#,
      #"node_drm_memory_gtt_used_bytes{card="card0"} 0"#, #"node_drm_memory_vis_vram_size_bytes{card="card0"} 0"#,
      #"node_drm_memory_vis_vram_used_bytes{card="card0"} 0"#, #"node_drm_memory_vram_size_bytes{card="card0"} 4096"#,
      #"node_drm_memory_vram_used_bytes{card="card0"} 0"#,
    ]),
  Tree(
    collector: PcideviceCollector.self, files: pciFiles, links: pciLinks,
    shown: pciNumbers([
      ("current_link_transfers_per_second", "-1", "-1"), ("current_link_width", "-1", "-1"),
      ("d3cold_allowed", "1", "0"),
    ])
      + [
        #"node_pcidevice_info{bus="00",class_id="0x060400",device="02",device_id="0x1634",function="1",parent_bus="*","#
          + #"parent_device="*",parent_function="*",parent_segment="*",revision="0x00",segment="0000","#
          + #"subsystem_device_id="0x5095",subsystem_vendor_id="0x17aa",vendor_id="0x1022"} 1"#,
        #"node_pcidevice_info{bus="01",class_id="0x010802",device="00",device_id="0x0000",function="0",parent_bus="00","#
          + #"parent_device="02",parent_function="1",parent_segment="0000",revision="0x00",segment="0000","#
          + #"subsystem_device_id="0x0000",subsystem_vendor_id="0x0000",vendor_id="0x0000"} 1"#,
      ]
      + pciNumbers([("max_link_transfers_per_second", "8e+09", "-1"), ("max_link_width", "8", "-1")])
      + ["node_pcidevice_numa_node{\(at01)} 1"]
      + ["D0", "D1", "D2", "D3cold", "D3hot", "error", "unknown"].map {
        #"node_pcidevice_power_state{\#(at02),state="\#($0)"} \#($0 == "D3hot" ? 1 : 0)"#
      }
      + pciNumbers([
        ("sriov_drivers_autoprobe", "0", "0"), ("sriov_numvfs", "0", "4"), ("sriov_totalvfs", "0", "0"),
        ("sriov_vf_total_msix", "0", "0"),
      ])),
  Tree(
    collector: SysctlCollector.self,
    files: [
      ("proc/sys/kernel/pid_max", "32768\n"), ("proc/sys/fs/file-nr", "1024\t0\t-7\n"),
      ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\n"), ("proc/sys/kernel/modes", "one two\n"),
    ],
    arguments: [
      "--collector.sysctl.include=kernel.pid_max", "--collector.sysctl.include=fs.file-nr:total,now,max",
      "--collector.sysctl.include=net.ipv4.tcp_rmem", "--collector.sysctl.include-info=kernel.modes",
    ],
    shown: [
      "node_sysctl_fs_file_nr_max -7", "node_sysctl_fs_file_nr_now 0", "node_sysctl_fs_file_nr_total 1024",
      #"node_sysctl_info{index="0",name="kernel.modes",value="one"} 1"#,
      #"node_sysctl_info{index="1",name="kernel.modes",value="two"} 1"#, "node_sysctl_kernel_pid_max 32768",
      #"node_sysctl_net_ipv4_tcp_rmem{index="0"} 4096"#, #"node_sysctl_net_ipv4_tcp_rmem{index="1"} 131072"#,
    ]),
  Tree(
    collector: ProcessesCollector.self,
    files: [
      ("proc/1/stat", "1 (systemd) S 0 1 1 0 -1 4194560 9061 9 94 2 36 98 5 1 20 0 1 0 29 10 25\n"),
      ("proc/1/task/1/stat", "unread"),
      ("proc/20/stat", "20 (a) ) R 0) S 2 0 0 0 -1 2129984 0 0 0 0 14 0 0 0 20 0 3 0 24 0\n"),
      ("proc/20/task/20/stat", "unread"), ("proc/20/task/21/stat", "21 (b) D 2\n0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3 0\n"),
      ("proc/20/task/22/stat", "22 (c) R 2 0 0 0 -1 2129984 0 0 0 0 14 0 0 0 20 0 3 0 24\n"),
      ("proc/30/stat", "30 (none) Z"), ("proc/self/stat", "1 (x) S 0 1 1 0 -1 4 9 9 94 2 36 98 5 1 20 0 1 0 29\n"),
      ("proc/sys/kernel/pid_max", "123\n"), ("proc/sys/kernel/threads-max", "7801\n"),
    ],
    shown: [
      "node_processes_max_processes 123", "node_processes_max_threads 7801", "node_processes_pids 2",
      #"node_processes_state{state="S"} 2"#, "node_processes_threads 4",
      #"node_processes_threads_state{thread_state="R"} 1"#, #"node_processes_threads_state{thread_state="S"} 2"#,
    ]),
]

@Suite struct DeviceTreeTests {
  @Test(arguments: trees) fileprivate func showsTheTree(_ tree: Tree) throws {
    let root = TemporaryDirectory()
    let collector = try tree.make(root)
    for _ in 0..<2 { #expect(try samples(collector) == tree.shown) }
  }

  @Test(arguments: trees) fileprivate func survivesAnEmptyRoot(_ tree: Tree) throws {
    let root = TemporaryDirectory()
    let bare = Tree(collector: tree.collector, files: [], arguments: tree.arguments, shown: [])
    _ = try? samples(bare.make(root))
  }

  /// Whatever becomes of one file, nothing waits or crashes, and all is well when it is back.
  @Test(arguments: trees) fileprivate func survivesWhatBecomesOfAFile(_ tree: Tree) throws {
    var random = SeededGenerator(11)
    for (path, text) in tree.files {
      let root = TemporaryDirectory()
      let collector = try tree.make(root)
      #expect(try samples(collector) == tree.shown)
      let garbage = [
        "", "\n", "\0\0", "x", "-", "99999999999999999999", "-9223372036854775808", ":()", " ) ",
        String(repeating: "7 ", count: 1 << 16), String(repeating: ")", count: 1 << 12),
      ]
      for text in garbage {
        root.overwrite(path, text)
        _ = try? samples(collector)
      }
      for _ in 0..<20 {
        root.overwrite(path, bytes: mutated(Array(text.utf8), with: &random))
        _ = try? samples(collector)
      }
      // Who has the file open still reads it when it is gone.
      root.overwrite(path, text)
      root.delete(path)
      _ = try? samples(collector)
      root.makeFIFO(path)
      _ = try? samples(collector)
      root.delete(path)
      root.makeDirectory(path)
      _ = try? samples(collector)
      rmdir("\(root.path)/\(path)")
      root.write(path, text)
      #expect(try samples(collector) == tree.shown)
    }
  }

  /// A file with no value costs what it shows and no more.
  @Test func losesOneFileOnly() throws {
    let lost: [(any Collector.Type, String, String)] = [
      (KsmdCollector.self, "sys/kernel/mm/ksm/run", "node_ksmd_run"),
      (CpufreqCollector.self, "\(cpu)/cpu0/cpufreq/scaling_max_freq", "node_cpu_scaling_frequency_max_hertz"),
      (
        CPUVulnerabilitiesCollector.self, "\(cpu)/vulnerabilities/mds", #"node_cpu_vulnerabilities_info{codename="mds""#
      ),
      (MeminfoNumaCollector.self, "sys/devices/system/node/node0/numastat", "node_memory_numa_numa_hit_total"),
      (PcideviceCollector.self, "\(pci)/power_state", "node_pcidevice_power_state"),
      (ProcessesCollector.self, "proc/sys/kernel/pid_max", "node_processes_max_processes"),
    ]
    for (type, path, beginning) in lost {
      let tree = try #require(trees.first { $0.collector.name == type.name })
      let root = TemporaryDirectory()
      let collector = try tree.make(root)
      root.delete(path)
      #expect(try samples(collector) == tree.shown.filter { !$0.hasPrefix(beginning) })
    }
  }

  @Test func oneSettingDoesNotKeepTheOthersBack() throws {
    let tree = try #require(trees.first { $0.collector.name == "sysctl" })
    for (path, _) in tree.files {
      let root = TemporaryDirectory()
      let collector = try tree.make(root)
      root.delete(path)
      let writer = MetricWriter()
      #expect(throws: (any Error).self) { try collector.collect(into: writer) }
      #expect(writer.count >= tree.shown.count - 3)
    }
  }

  @Test(arguments: [
    ("fs.file-nr:a,b", "1 2 3\n"), ("fs.file-nr:a", "1 2\n"), ("fs.file-nr:a,b", "1\n"), ("fs.file-nr", "\n"),
    ("fs.file-nr", "one\n"),
  ])
  func saysWhatASettingIsNot(_ flag: String, _ text: String) throws {
    let root = TemporaryDirectory()
    root.write("proc/sys/fs/file-nr", text)
    let collector = try SysctlCollector(
      .fixture(SysctlCollector.self, root.path, ["--collector.sysctl.include=\(flag)"]))
    #expect(throws: MalformedFile.self) { try render(collector) }
  }

  @Test(arguments: [
    ("Not affected", "not affected", ""),
    ("Vulnerable: Safe RET, no microcode", "vulnerable", "Safe RET, no microcode"),
    ("Mitigation: PTI", "mitigation", "PTI"), ("Unknown: No mitigations", "unknown", "No mitigations"),
    ("KVM: Mitigation: VMX disabled", "unknown", "KVM: Mitigation: VMX disabled"), ("", "unknown", ""),
    ("Vulnerable; KVM: SW loop", "vulnerable", "KVM: SW loop"), ("Not good", "unknown", "Not good"),
  ])
  func readsVulnerabilities(_ text: String, _ state: String, _ mitigation: String) {
    let parsed = CPUVulnerabilitiesCollector.parse(text)
    #expect(parsed.state == state && parsed.mitigation == mitigation)
  }

  @Test(arguments: [
    ("fs.file-nr", "fs_file_nr"), ("a_.-_b", "a_b"), ("Active_anon", "Active_anon"), ("__x__", "__x__"), ("é", "_"),
    ("", ""), (".a.", "_a_"), ("package-0-die-1", "package_0_die_1"), ("a__b", "a__b"), ("a_._.b", "a__b"),
    ("é x", "_x"),
  ])
  func makesNamesOfMetrics(_ text: String, _ name: String) { #expect(text.utf8.asMetricName == name) }
}

@Suite struct PCINamesTests {
  private static let ids = """
    # A list
    1022  Advanced Micro Devices, Inc. [AMD]
    \t1633  Other
    \t\t17aa 5095  Not this
    \t1634  Renoir GPP Bridge
    \t\t17aa 5095  T540  Adapter
    17aa  Lenovo
    C 06  Bridge
    \t04  PCI bridge
    \t\t00  Normal decode
    C 01  Mass storage

    """

  private func names(_ identity: [String], _ text: String = ids) -> [String] {
    let root = TemporaryDirectory()
    root.write("pci.ids", text)
    return PCINames("\(root.path)/pci.ids").find(
      .init(
        deviceClass: identity[0], vendor: identity[1], device: identity[2], subsystemVendor: identity[3],
        subsystemDevice: identity[4]))
  }

  @Test(arguments: [
    (
      ["0x060400", "0x1022", "0x1634", "0x17aa", "0x5095"],
      ["Normal decode", "Renoir GPP Bridge", "T540  Adapter", "Lenovo", "Advanced Micro Devices, Inc. [AMD]"]
    ),
    (
      ["0x060401", "0x1022", "0x9999", "0x1022", "0x5095"],
      ["PCI bridge", "9999", "5095", "Advanced Micro Devices, Inc. [AMD]", "Advanced Micro Devices, Inc. [AMD]"]
    ),
    (["0x019900", "0x17aa", "0x1634", "0x17aa", "0x5095"], ["Mass storage", "1634", "5095", "Lenovo", "Lenovo"]),
    (["0x020000", "0x8086", "0x1", "0x0", "0x0"], ["Unknown class (020000)", "1", "0", "0", "8086"]),
  ])
  func findsNames(_ identity: [String], _ expected: [String]) { #expect(names(identity) == expected) }

  @Test func survivesAnything() {
    var random = SeededGenerator(5)
    let identity = ["0x060400", "0x1022", "0x1634", "0x17aa", "0x5095"]
    for _ in 0..<500 {
      #expect(names(identity, String(decoding: mutated(Array(Self.ids.utf8), with: &random), as: UTF8.self)).count == 5)
    }
    #expect(
      PCINames("/nowhere/pci.ids").find(
        .init(
          deviceClass: "0x06", vendor: "0x1", device: "0x2", subsystemVendor: "0x3", subsystemDevice: "0x4"
        )) == ["Unknown class (06)", "2", "4", "3", "1"])
  }

  @Test func areLabelsOfADevice() throws {
    let tree = try #require(trees.first { $0.collector.name == "pcidevice" })
    let root = TemporaryDirectory()
    root.write("pci.ids", Self.ids)
    let named = Tree(
      collector: tree.collector, files: tree.files, links: tree.links,
      arguments: ["--collector.pcidevice.names", "--collector.pcidevice.idsfile=ROOT/pci.ids"], shown: [])
    #expect(
      try lines(render(named.make(root)), "node_pcidevice_info").first
        == #"node_pcidevice_info{bus="00",class_id="0x060400",class_name="Normal decode",device="02","#
        + #"device_id="0x1634",device_name="Renoir GPP Bridge",function="1",parent_bus="*",parent_device="*","#
        + #"parent_function="*",parent_segment="*",revision="0x00",segment="0000",subsystem_device_id="0x5095","#
        + #"subsystem_device_name="T540  Adapter",subsystem_vendor_id="0x17aa",subsystem_vendor_name="Lenovo","#
        + #"vendor_id="0x1022",vendor_name="Advanced Micro Devices, Inc. [AMD]"} 1"#)
  }
}

@Suite struct ContainerCheckTests {
  @Test(arguments: [
    (".dockerenv", "", "/.dockerenv"), ("run/.containerenv", "", "/run/.containerenv"),
    ("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", "kubepods in /proc/1/cgroup"),
    ("proc/1/cgroup", "5:pids:/docker/1234\n", "docker in /proc/1/cgroup"),
  ])
  func seesWhatRuntimesLeave(_ file: String, _ text: String, _ evidence: String) {
    let root = TemporaryDirectory()
    #expect(ContainerCheck.evidence(root: root.path) { _ in nil } == nil)
    root.write(file, text)
    #expect(ContainerCheck.evidence(root: root.path) { _ in nil } == evidence)
  }

  @Test(arguments: ["KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4", "container"])
  func seesVariables(_ name: String) {
    let root = TemporaryDirectory()
    root.write("proc/1/cgroup", "0::/init.scope\n")
    #expect(ContainerCheck.evidence(root: root.path) { $0 == name ? "x" : nil } == "$\(name)")
    #expect(ContainerCheck.evidence(root: root.path) { $0 == name ? "" : nil } == nil)
  }
}
