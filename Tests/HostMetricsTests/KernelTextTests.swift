import Bytes
import Exposition
import Glibc
import TestSupport
import Testing

@testable import HostMetrics

/// A collector that reads one file of /proc, an example of it, and what is shown of that.
private struct Example: Sendable, CustomTestStringConvertible {
  let collector: any Collector.Type
  let file: String
  let text: String
  var arguments: [String] = []
  let shown: [String]

  var testDescription: String { "\(file) \(arguments)" }

  func make(_ root: TemporaryDirectory) throws -> any Collector {
    try HostMetricsTests.make(collector, over: root, arguments)
  }
}

private let stat = """
  cpu  1 2 3 4 5 6 7 8 9 10
  cpu0 1 2 3 4 5 6 7 8 9 10
  intr 8885917 17 0 0 0
  ctxt 38014093
  btime 1418183276
  processes 26442
  procs_running 2
  procs_blocked 1
  softirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444

  """

private let zoneinfo = """
  Node 0, zone      DMA
    per-node stats
        nr_inactive_anon 95612
        nr_dirtied   1189097
    pages free     2949
          min      8
          high     14
          protection: (0, 2039)
        nr_free_pages 2949
        numa_hit     1
    pagesets
      cpu: 0
                count: 0
                high:  0
  Node 1, zone  Movable
    pages free     0
          min      -1
          protection: (0, x)

  """

private let drbd = """
  version: 8.4.3 (api:1/proto:86-101)
   1: cs:Connected ro:Primary/Secondary ds:UpToDate/Outdated C r-----
      ns:2 nr:10961011 lo:5 wo:d oos:1
   2: cs:WFConnection ro:Secondary ds:Diskless/

  """

private let examples = [
  Example(
    collector: BuddyinfoCollector.self, file: "proc/buddyinfo",
    text: "Node 0, zone      DMA      1      0\nNode 1, zone   Normal   4381   1093\n",
    shown: [
      #"node_buddyinfo_blocks{node="0",size="0",zone="DMA"} 1"#,
      #"node_buddyinfo_blocks{node="0",size="1",zone="DMA"} 0"#,
      #"node_buddyinfo_blocks{node="1",size="0",zone="Normal"} 4381"#,
      #"node_buddyinfo_blocks{node="1",size="1",zone="Normal"} 1093"#,
    ]),
  Example(
    collector: CgroupsCollector.self, file: "proc/cgroups",
    text: "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\nrdma\t4\t1\t0",
    shown: [
      #"node_cgroups_cgroups{subsys_name="cpuset"} 47"#, #"node_cgroups_cgroups{subsys_name="rdma"} 1"#,
      #"node_cgroups_enabled{subsys_name="cpuset"} 1"#, #"node_cgroups_enabled{subsys_name="rdma"} 0"#,
    ]),
  Example(
    collector: DRBDCollector.self, file: "proc/drbd", text: drbd,
    shown: [
      #"node_drbd_connected{device="drbd1"} 1"#, #"node_drbd_connected{device="drbd2"} 0"#,
      #"node_drbd_disk_state_is_up_to_date{device="drbd1",node="local"} 1"#,
      #"node_drbd_disk_state_is_up_to_date{device="drbd1",node="remote"} 0"#,
      #"node_drbd_disk_state_is_up_to_date{device="drbd2",node="local"} 0"#,
      #"node_drbd_disk_state_is_up_to_date{device="drbd2",node="remote"} 0"#,
      #"node_drbd_local_pending{device="drbd1"} 5"#,
      #"node_drbd_network_received_bytes_total{device="drbd1"} 1.0961011e+07"#,
      #"node_drbd_network_sent_bytes_total{device="drbd1"} 2048"#,
      #"node_drbd_node_role_is_primary{device="drbd1",node="local"} 1"#,
      #"node_drbd_node_role_is_primary{device="drbd1",node="remote"} 0"#,
      #"node_drbd_node_role_is_primary{device="drbd2",node="local"} 0"#,
      #"node_drbd_out_of_sync_bytes{device="drbd1"} 1024"#,
    ]),
  Example(
    collector: FilefdCollector.self, file: "proc/sys/fs/file-nr", text: "1024\t0\t1631329\n",
    shown: ["node_filefd_allocated 1024", "node_filefd_maximum 1.631329e+06"]),
  Example(
    collector: SlabinfoCollector.self, file: "proc/slabinfo",
    text: """
      slabinfo - version: 2.1
      # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> ...
      tw_sock_TCP          704    864    256   32    2 : tunables    0    0    0 : slabdata     27     27      0
      kmalloc-8192         132    148   8192    4    8 : tunables    0    0    0 : slabdata     37     37      0

      """,
    arguments: ["--collector.slabinfo.slabs-include=^(tw|km)", "--collector.slabinfo.slabs-exclude=^km"],
    shown: [
      #"node_slabinfo_active_objects{slab="tw_sock_TCP"} 704"#,
      #"node_slabinfo_object_size_bytes{slab="tw_sock_TCP"} 256"#, #"node_slabinfo_objects{slab="tw_sock_TCP"} 864"#,
      #"node_slabinfo_objects_per_slab{slab="tw_sock_TCP"} 32"#,
      #"node_slabinfo_pages_per_slab{slab="tw_sock_TCP"} 2"#,
    ]),
  Example(
    collector: SwapCollector.self, file: "proc/swaps",
    text: "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0   partition\t8388604\t\t76\t\t-2\n",
    shown: [
      #"node_swap_priority{device="/dev/zram0",swap_type="partition"} -2"#,
      #"node_swap_size_bytes{device="/dev/zram0",swap_type="partition"} 8.589930496e+09"#,
      #"node_swap_used_bytes{device="/dev/zram0",swap_type="partition"} 77824"#,
    ]),
  Example(
    collector: ZoneinfoCollector.self, file: "proc/zoneinfo", text: zoneinfo,
    shown: [
      #"node_zoneinfo_high_pages{node="0",zone="DMA"} 14"#, #"node_zoneinfo_min_pages{node="0",zone="DMA"} 8"#,
      #"node_zoneinfo_min_pages{node="1",zone="Movable"} -1"#,
      #"node_zoneinfo_nr_dirtied_total{node="0",zone="DMA"} 1.189097e+06"#,
      #"node_zoneinfo_nr_free_pages{node="0",zone="DMA"} 2949"#,
      #"node_zoneinfo_nr_inactive_anon_pages{node="0",zone="DMA"} 95612"#,
      #"node_zoneinfo_numa_hit_total{node="0",zone="DMA"} 1"#,
      #"node_zoneinfo_protection_0{node="0",zone="DMA"} 0"#,
      #"node_zoneinfo_protection_1{node="0",zone="DMA"} 2039"#,
    ]),
  Example(
    collector: MeminfoCollector.self, file: "proc/meminfo",
    text: "MemTotal: 2 kB\nBalloon: 3 kB\nSome-new(thing): 4 kB\nHugePages_New: 5\n",
    arguments: ["--collector.meminfo.unknown-fields"],
    shown: [
      "node_memory_Balloon_bytes 3072", "node_memory_HugePages_New 5", "node_memory_MemTotal_bytes 2048",
      "node_memory_Some_new_thing_bytes 4096",
    ]),
  Example(
    collector: LoadavgCollector.self, file: "proc/loadavg", text: "0.21 0.37 12.39 1/719 19737\n",
    shown: ["node_load1 0.21", "node_load15 12.39", "node_load5 0.37"]),
  Example(
    collector: MeminfoCollector.self, file: "proc/meminfo",
    text: """
      MemTotal:        3742148 kB
      Active(anon):    2068484 kB
      HugePages_Total:       7
      Hugepagesize:       2048 kB
      Unheard:             100 kB

      """,
    shown: [
      "node_memory_Active_anon_bytes 2.118127616e+09", "node_memory_HugePages_Total 7",
      "node_memory_Hugepagesize_bytes 2.097152e+06", "node_memory_MemTotal_bytes 3.831959552e+09",
    ]),
  Example(
    collector: StatCollector.self, file: "proc/stat", text: stat,
    shown: [
      "node_boot_time_seconds 1.418183276e+09", "node_context_switches_total 3.8014093e+07",
      "node_forks_total 26442", "node_intr_total 8.885917e+06", "node_procs_blocked 1", "node_procs_running 2",
    ]),
  Example(
    collector: StatCollector.self, file: "proc/stat", text: String(stat.suffix(82)),
    arguments: ["--collector.stat.softirq"],
    shown: [
      #"node_softirqs_total{vector="block"} 186066"#, #"node_softirqs_total{vector="block_iopoll"} 0"#,
      #"node_softirqs_total{vector="hi"} 250191"#, #"node_softirqs_total{vector="hrtimer"} 12499"#,
      #"node_softirqs_total{vector="net_rx"} 211099"#, #"node_softirqs_total{vector="net_tx"} 1647"#,
      #"node_softirqs_total{vector="rcu"} 508444"#, #"node_softirqs_total{vector="sched"} 622196"#,
      #"node_softirqs_total{vector="tasklet"} 1.783454e+06"#, #"node_softirqs_total{vector="timer"} 1.481983e+06"#,
    ]),
  Example(
    collector: VmstatCollector.self, file: "proc/vmstat",
    text: "nr_free_pages 977769\npgpgin 7344136\npswpout 5\npgmajfault 1\noom_kill 0\nunpgpg 4\n",
    shown: [
      "node_vmstat_oom_kill 0", "node_vmstat_pgmajfault 1", "node_vmstat_pgpgin 7.344136e+06", "node_vmstat_pswpout 5",
    ]),
  Example(
    collector: VmstatCollector.self, file: "proc/vmstat", text: "nr_free_pages 977769\npgpgin 7344136\n",
    arguments: ["--collector.vmstat.fields=^nr_"], shown: ["node_vmstat_nr_free_pages 977769"]),
]

@Suite struct KernelTextTests {
  @Test(arguments: examples) fileprivate func showsTheFile(_ example: Example) throws {
    let root = TemporaryDirectory()
    root.write(example.file, example.text)
    let collector = try example.make(root)
    // The second scrape goes the way of what is cached.
    for _ in 0..<2 { #expect(try samples(collector) == example.shown) }
  }

  @Test(arguments: examples) fileprivate func failsWithoutTheFile(_ example: Example) throws {
    let root = TemporaryDirectory()
    let collector = try example.make(root)
    #expect(throws: (any Error).self) { try render(collector) }
    root.makeDirectory(example.file)
    #expect(throws: (any Error).self) { try render(collector) }
  }

  @Test(arguments: examples) fileprivate func doesNotWaitForAFIFO(_ example: Example) throws {
    let root = TemporaryDirectory()
    root.makeFIFO(example.file)
    let collector = try example.make(root)
    #expect(throws: (any Error).self) { try render(collector) }
    // The file comes back.
    root.write(example.file, example.text)
    #expect(try samples(collector) == example.shown)
  }

  @Test(arguments: examples) fileprivate func survivesAnything(_ example: Example) throws {
    let root = TemporaryDirectory()
    root.write(example.file, example.text)
    let collector = try example.make(root)
    var random = SeededGenerator(3)
    for length in 0..<example.text.utf8.count {
      root.overwrite(example.file, bytes: Array(example.text.utf8.prefix(length)))
      _ = try? render(collector)
    }
    for _ in 0..<300 {
      root.overwrite(example.file, bytes: mutated(Array(example.text.utf8), with: &random))
      _ = try? render(collector)
    }
    for text in [String(repeating: "9", count: 1 << 20), String(repeating: "\n", count: 1 << 16), "\0\0\0", ": :\n("] {
      root.overwrite(example.file, text)
      _ = try? render(collector)
    }
    root.overwrite(example.file, example.text)
    #expect(try samples(collector) == example.shown)
  }

  @Test(arguments: [
    ("proc/loadavg", "0.2 x 0.1 1/2 3\n"), ("proc/loadavg", "0.2 0.1"), ("proc/loadavg", ""),
    ("proc/meminfo", "MemTotal: lots kB\n"), ("proc/meminfo", "MemTotal:\n"), ("proc/meminfo", "MemTotal: -5 kB\n"),
    ("proc/buddyinfo", "Node 0\n"), ("proc/buddyinfo", "Node 0, zone DMA many\n"), ("proc/cgroups", "cpuset 5 47\n"),
    ("proc/drbd", "1: ns:many\n"), ("proc/slabinfo", "tw_sock 704 864\n"), ("proc/swaps", "\n/dev/zram0\n"),
    ("proc/swaps", "\n/dev/zram0 partition 1 2\n"), ("proc/sys/fs/file-nr", "1024 0\n"),
    ("proc/sys/fs/file-nr", "a b c\n"), ("proc/stat", "ctxt\n"), ("proc/stat", "intr 99999999999999999999\n"),
    ("proc/vmstat", "pgpgin\n"),
    ("proc/vmstat", "pgpgin many\n"),
  ])
  func saysWhatIsMalformed(_ file: String, _ text: String) throws {
    let root = TemporaryDirectory()
    root.write(file, text)
    let example = try #require(examples.first { $0.file == file })
    let error = #expect(throws: MalformedFile.self) { try render(example.make(root)) }
    #expect(error?.description.hasPrefix("\(root.path)/\(file): expected ") == true)
  }
}

@Suite struct PressureTests {
  private let line = "avg10=0.00 avg60=0.00 avg300=0.00 total="

  private func makeRoot() -> TemporaryDirectory {
    let root = TemporaryDirectory()
    root.write("proc/pressure/cpu", "some \(line)14036781\nfull \(line)0\n")
    root.write("proc/pressure/io", "some \(line)159037802\nfull \(line)159229614\n")
    root.write("proc/pressure/memory", "some \(line)0\nfull \(line)1\n")
    return root
  }

  @Test func showsEachResource() throws {
    let root = makeRoot()
    let shown = [
      "node_pressure_cpu_waiting_seconds_total 14.036781000000001", "node_pressure_io_stalled_seconds_total 159.229614",
      "node_pressure_io_waiting_seconds_total 159.037802", "node_pressure_memory_stalled_seconds_total 1e-06",
      "node_pressure_memory_waiting_seconds_total 0",
    ]
    let collector = try PressureCollector(.fixture(PressureCollector.self, root.path))
    #expect(try samples(collector) == shown)
    root.write("proc/pressure/irq", "full \(line)1008\n")
    #expect(try samples(collector).contains("node_pressure_irq_stalled_seconds_total 0.001008"))
  }

  @Test(arguments: ["cpu", "io", "memory"]) func saysThatThereIsNone(_ resource: String) throws {
    let root = makeRoot()
    root.delete("proc/pressure/\(resource)")
    let collector = try PressureCollector(.fixture(PressureCollector.self, root.path))
    #expect(throws: NoData.self) { try render(collector) }
    root.makeFIFO("proc/pressure/\(resource)")
    #expect(throws: (any Error).self) { try render(collector) }
  }

  @Test(arguments: ["some avg10=0.00\n", "some total=\n", "some total=-1\n", "full avg10=0 total=x\n"])
  func saysWhatIsMalformed(_ text: String) throws {
    let root = makeRoot()
    root.write("proc/pressure/io", text)
    #expect(throws: MalformedFile.self) {
      try render(PressureCollector(.fixture(PressureCollector.self, root.path)))
    }
  }
}

@Suite struct OsTests {
  private func makeCollector(_ root: TemporaryDirectory) throws -> OSCollector {
    try OSCollector(.fixture(OSCollector.self, root.path, ["--path.rootfs=\(root.path)"]))
  }

  @Test func readsOsRelease() throws {
    let root = TemporaryDirectory()
    root.write(
      "usr/lib/os-release",
      """
      # a comment = none
      NAME="Ubuntu"
      VERSION='20.04.2 "LTS"'
      ID=ubuntu
      ID_LIKE=debian
      PRETTY_NAME="A \\"quoted\\" \\\\ name"
      VERSION_ID="20.04.2"
      SUPPORT_END=2031-06-30
      garbage

      """)
    let collector = try makeCollector(root)
    #expect(
      try samples(collector) == [
        #"node_os_info{build_id="",id="ubuntu",id_like="debian",image_id="",image_version="",name="Ubuntu","#
          + #"pretty_name="A \"quoted\" \\ name",variant="",variant_id="",version="20.04.2 \"LTS\"","#
          + #"version_codename="",version_id="20.04.2"} 1"#,
        "node_os_support_end_timestamp_seconds 1.940544e+09",
        #"node_os_version{id="ubuntu",id_like="debian",name="Ubuntu"} 20.04"#,
      ])
    // /etc comes first, also when it comes later; and an upgrade replaces the file.
    root.write("etc/os-release", "ID=other\nVERSION_ID=7\n")
    #expect(try lines(render(collector), "node_os_version") == [#"node_os_version{id="other",id_like="",name=""} 7"#])
    root.write("etc/os-release", "ID=other\nVERSION_ID=8\n")
    #expect(try lines(render(collector), "node_os_version") == [#"node_os_version{id="other",id_like="",name=""} 8"#])
    root.delete("etc/os-release")
    #expect(try lines(render(collector), "node_os_version").count == 1)
  }

  @Test(arguments: [
    ("12", "12"), ("12.04", "12.04"), ("1.2.3", "1.2"), ("20.", "20"), ("7rc1", "7"), ("rolling", nil), ("", nil),
    ("0", nil), (".5", nil),
  ])
  func takesTheNumberOfTheVersion(_ version: String, _ number: String?) throws {
    let root = TemporaryDirectory()
    root.write("etc/os-release", "VERSION_ID=\"\(version)\"\n")
    #expect(
      try lines(render(makeCollector(root)), "node_os_version{")
        == (number.map { [#"node_os_version{id="",id_like="",name=""} \#($0)"#] } ?? []))
  }

  @Test(arguments: ["", "2031", "2031-13-01", "2031-00-10", "2031-01-32", "99999999999-01-01", "a-b-c", "2031-1-1-1"])
  func showsNoEndThatIsNone(_ date: String) throws {
    let root = TemporaryDirectory()
    root.write("etc/os-release", "SUPPORT_END=\(date)\n")
    #expect(try lines(render(makeCollector(root)), "node_os_support").isEmpty)
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    let collector = try makeCollector(root)
    #expect(throws: NoData.self) { try render(collector) }
    let text = "ID=\"a\\\"b\"\nNAME='x'\nVERSION_ID=\"1.2\"\nSUPPORT_END=2031-06-30\n"
    var random = SeededGenerator(5)
    for _ in 0..<300 {
      root.write("etc/os-release", bytes: mutated(Array(text.utf8), with: &random))
      #expect(try lines(render(collector), "node_os_info").count == 1)
    }
    root.write("etc/os-release", String(repeating: "A", count: 2 << 20))
    #expect(throws: (any Error).self) { try render(collector) }
    root.delete("etc/os-release")
    root.makeFIFO("etc/os-release")
    #expect(throws: (any Error).self) { try render(collector) }
  }
}

@Suite struct SystemTests {
  @Test func showsTheClockAndItsSources() throws {
    let root = TemporaryDirectory()
    let folder = "sys/devices/system/clocksource/clocksource0"
    root.write("\(folder)/available_clocksource", "tsc hpet acpi_pm \n")
    root.write("\(folder)/current_clocksource", "tsc\n")
    let collector = try TimeCollector(.fixture(TimeCollector.self, root.path))
    let text = try render(collector)
    #expect(
      lines(text, "node_time_clocksource") == [
        #"node_time_clocksource_available_info{clocksource="acpi_pm",device="0"} 1"#,
        #"node_time_clocksource_available_info{clocksource="hpet",device="0"} 1"#,
        #"node_time_clocksource_available_info{clocksource="tsc",device="0"} 1"#,
        #"node_time_clocksource_current_info{clocksource="tsc",device="0"} 1"#,
      ])
    #expect(lines(text, "node_time_seconds ").count == 1)
    #expect(lines(text, "node_time_zone_offset_seconds{").count == 1)
    root.overwrite("\(folder)/current_clocksource", "")
    #expect(try lines(render(collector), "node_time_clocksource_current").isEmpty)
  }

  @Test func showsTheClockWithoutSysfs() throws {
    let collector = try TimeCollector(.fixture(TimeCollector.self, "/nonexistent"))
    #expect(try lines(render(collector), "node_time_").count == 2)
  }

  @Test func failsWhenAClockSourceCannotBeRead() throws {
    let root = TemporaryDirectory()
    root.makeFIFO("sys/devices/system/clocksource/clocksource0/available_clocksource")
    #expect(throws: (any Error).self) { try render(TimeCollector(.fixture(TimeCollector.self, root.path))) }
  }

  @Test func showsTheSystem() throws {
    let shown = try lines(render(UnameCollector(.fixture(UnameCollector.self, "/nonexistent"))), "node_uname_info")
    #expect(shown.count == 1)
    #expect(shown.first?.contains(#"sysname="Linux""#) == true)
    #expect(shown.first?.hasSuffix("} 1") == true)
  }

  @Test func showsTheProcess() {
    let writer = MetricWriter()
    let metrics = ProcessMetrics()
    for _ in 0..<2 {
      writer.removeAll()
      metrics.write(to: writer)
    }
    var output = ByteWriter()
    TextExposition().render([writer], into: &output)
    let text = String(utf8: output.bytes)
    for name in [
      "cpu_seconds_total", "max_fds", "open_fds", "resident_memory_bytes", "start_time_seconds",
      "virtual_memory_bytes", "virtual_memory_max_bytes",
    ] {
      let line = lines(text, "process_\(name) ")
      #expect(line.count == 1, "\(name)")
      #expect(line.first.flatMap { Double($0.split(separator: " ")[1]) }.map { $0 >= 0 } == true, "\(name)")
    }
    // The page size and the fields' places: more is resident than a megabyte, less than there is virtually.
    let bytes = ["process_resident_memory_bytes ", "process_virtual_memory_bytes "].compactMap { name in
      lines(text, name).first.flatMap { Double($0.dropFirst(name.count)) }
    }
    #expect(bytes.count == 2 && bytes[0] > 1e6 && bytes[0] < bytes[1])
  }
}

@Suite struct FamilyCacheTests {
  private func name(_ cache: inout FamilyCache, _ key: String, _ position: Int) -> String? {
    cache.family(of: key.utf8.span.bytes, at: position)?.name
  }

  @Test func findsFamiliesWhereverTheyStand() {
    var cache = FamilyCache { $0.hasPrefix("x") ? nil : .gauge($0, "") }
    for keys in [["a", "b", "xc"], ["a", "b", "xc"], ["b", "a"], ["xc", "a", "b", "d"], ["a"], ["d", "d", "d"]] {
      for (position, key) in keys.enumerated() {
        #expect(name(&cache, key, position) == (key.hasPrefix("x") ? nil : key))
      }
    }
    #expect(name(&cache, "far", 1000) == "far")
  }

  @Test func makesAFamilyOnce() {
    var cache = FamilyCache { .gauge($0, "") }
    let first = cache.family(of: "a".utf8.span.bytes, at: 0)
    #expect(cache.family(of: "a".utf8.span.bytes, at: 0) === first)
  }
}

@Suite struct NameFilterTests {
  @Test(arguments: [
    ("", "", "anything", false), ("^sd", "", "sda", false), ("^sd", "", "xsd", true), ("", "^ram", "ram0", true),
    ("", "^ram", "sda", false), ("a|b", "", "", true), ("", "^$", "", true),
  ])
  func ignoresByPattern(_ include: String, _ exclude: String, _ name: String, _ isIgnored: Bool) throws {
    #expect(try NameFilter(include: include, exclude: exclude, flags: "").isIgnored(name) == isIgnored)
  }

  @Test func refusesBothAndWhatIsNoPattern() {
    let error = #expect(throws: CollectorConfigurationError.self) {
      try NameFilter(include: "a", exclude: "b", flags: "x & y")
    }
    #expect(error?.description == "x & y are mutually exclusive")
    #expect(throws: CollectorConfigurationError.self) { try NameFilter(include: "(", exclude: "", flags: "") }
    #expect(throws: CollectorConfigurationError.self) { try NameFilter(include: "", exclude: "[", flags: "") }
  }
}
