import TestSupport
import Testing

@testable import HostMetrics

/// A collector that reads files of /proc, an example of them, and what is shown of that.
private struct Example: Sendable, CustomTestStringConvertible {
  let collector: any Collector.Type
  let files: [(name: String, text: String)]
  var arguments: [String] = []
  let shown: [String]

  var testDescription: String { "\(collector.name) \(arguments)" }

  func make(_ root: TemporaryDirectory) throws -> any Collector {
    try HostMetricsTests.make(collector, over: root, arguments)
  }

  func write(to root: TemporaryDirectory) {
    for file in files { root.write("proc/\(file.name)", file.text) }
  }
}

private let netstat = [
  (
    name: "net/netstat",
    text: "TcpExt: SyncookiesSent TW ListenDrops\nTcpExt: 1 388812 3\nIpExt: InOctets\nIpExt: 6286396970\n"
  ),
  (name: "net/snmp", text: "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn CurrEstab\nTcp: -1 5\n"),
  (name: "net/snmp6", text: "Ip6InOctets                     \t460\nIcmp6InMsgs \t7\nNothing 1\n"),
]

private let interrupts = [
  (
    name: "interrupts",
    text: """
               CPU0       CPU1
      9:         18          0  IR-IO-APIC-edge      acpi, usb1
     10:1 2 GIC timer
    NMI:          0          6   Non-maskable   interrupts
    ERR:          3

    """
  )
]

private let ipvs = [
  (
    name: "net/ip_vs_stats",
    text:
      "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes\n"
      + "      1F        2        3                A                B\n\n"
  ),
  (
    name: "net/ip_vs",
    text: """
    IP Virtual Server version 1.2.1 (size=4096)
    Prot LocalAddress:Port Scheduler Flags
      -> RemoteAddress:Port Forward Weight ActiveConn InActConn
    TCP  C0A80016:0CEA wlc
      -> C0A85216:0050      Tunnel  100    248        2
    TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 wlc
      -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route   7      8          9
    FWM  10001000 wlc
      -> C0A8321A:0CEA      Tunnel  20     64         1

    """
  ),
]

private let ipvsTotals = [
  "node_ipvs_connections_total 31", "node_ipvs_incoming_bytes_total 10", "node_ipvs_incoming_packets_total 2",
  "node_ipvs_outgoing_bytes_total 11", "node_ipvs_outgoing_packets_total 3",
]

private let examples = [
  Example(
    collector: ConntrackCollector.self,
    files: [
      ("sys/net/netfilter/nf_conntrack_count", "123\n"), ("sys/net/netfilter/nf_conntrack_max", "65536\n"),
      (
        "net/stat/nf_conntrack",
        "entries searched found\n"
          + "21 0 1 0 2 3 0 0 4 5 6 7 0 0 0 0 a\n21 0 1 0 2 3 0 0 4 5 6 7 0 0 0 0\n"
      ),
    ],
    shown: [
      "node_nf_conntrack_entries 123", "node_nf_conntrack_entries_limit 65536", "node_nf_conntrack_stat_drop 12",
      "node_nf_conntrack_stat_early_drop 14", "node_nf_conntrack_stat_found 2", "node_nf_conntrack_stat_ignore 6",
      "node_nf_conntrack_stat_insert 8", "node_nf_conntrack_stat_insert_failed 10",
      "node_nf_conntrack_stat_invalid 4", "node_nf_conntrack_stat_search_restart 10",
    ]),
  Example(
    collector: InterruptsCollector.self, files: interrupts,
    shown: [
      #"node_interrupts_total{cpu="0",devices="",info="Non-maskable interrupts",type="NMI"} 0"#,
      #"node_interrupts_total{cpu="0",devices="acpi, usb1",info="IR-IO-APIC-edge",type="9"} 18"#,
      #"node_interrupts_total{cpu="0",devices="timer",info="GIC",type="10"} 1"#,
      #"node_interrupts_total{cpu="1",devices="",info="Non-maskable interrupts",type="NMI"} 6"#,
      #"node_interrupts_total{cpu="1",devices="acpi, usb1",info="IR-IO-APIC-edge",type="9"} 0"#,
      #"node_interrupts_total{cpu="1",devices="timer",info="GIC",type="10"} 2"#,
    ]),
  Example(
    collector: InterruptsCollector.self, files: interrupts,
    arguments: [
      "--collector.interrupts.name-include=^(9|NMI);", "--collector.interrupts.name-exclude=mask",
      "--no-collector.interrupts.include-zeros",
    ],
    shown: [#"node_interrupts_total{cpu="0",devices="acpi, usb1",info="IR-IO-APIC-edge",type="9"} 18"#]),
  Example(
    collector: IPVSCollector.self, files: ipvs, arguments: ["--collector.ipvs.backend-labels=remote_address,proto"],
    shown: [
      #"node_ipvs_backend_connections_active{proto="FWM",remote_address="192.168.50.26"} 64"#,
      #"node_ipvs_backend_connections_active{proto="TCP",remote_address="192.168.82.22"} 248"#,
      #"node_ipvs_backend_connections_active{proto="TCP",remote_address="2620::2"} 8"#,
      #"node_ipvs_backend_connections_inactive{proto="FWM",remote_address="192.168.50.26"} 1"#,
      #"node_ipvs_backend_connections_inactive{proto="TCP",remote_address="192.168.82.22"} 2"#,
      #"node_ipvs_backend_connections_inactive{proto="TCP",remote_address="2620::2"} 9"#,
      #"node_ipvs_backend_weight{proto="FWM",remote_address="192.168.50.26"} 20"#,
      #"node_ipvs_backend_weight{proto="TCP",remote_address="192.168.82.22"} 100"#,
      #"node_ipvs_backend_weight{proto="TCP",remote_address="2620::2"} 7"#,
    ] + ipvsTotals),
  Example(
    collector: IPVSCollector.self, files: ipvs, arguments: ["--collector.ipvs.backend-labels="],
    shown: [
      "node_ipvs_backend_connections_active 320", "node_ipvs_backend_connections_inactive 12",
      "node_ipvs_backend_weight 127",
    ] + ipvsTotals),
  Example(
    collector: LnstatCollector.self,
    files: [
      ("net/stat/arp_cache", "entries  hits\n14  a\n14  10\n"), ("net/stat/broken", "entries\nlots\n"),
      ("net/stat/ndisc_cache", "entries hits\n24\n"),
    ],
    shown: [
      #"node_lnstat_entries_total{cpu="0",subsystem="arp_cache"} 20"#,
      #"node_lnstat_entries_total{cpu="0",subsystem="ndisc_cache"} 36"#,
      #"node_lnstat_entries_total{cpu="1",subsystem="arp_cache"} 20"#,
      #"node_lnstat_hits_total{cpu="0",subsystem="arp_cache"} 10"#,
      #"node_lnstat_hits_total{cpu="1",subsystem="arp_cache"} 16"#,
    ]),
  Example(
    collector: NetstatCollector.self, files: netstat,
    shown: [
      "node_netstat_Icmp6_InMsgs 7", "node_netstat_Ip6_InOctets 460", "node_netstat_IpExt_InOctets 6.28639697e+09",
      "node_netstat_Ip_Forwarding 1", "node_netstat_TcpExt_ListenDrops 3", "node_netstat_TcpExt_SyncookiesSent 1",
      "node_netstat_Tcp_CurrEstab 5",
    ]),
  Example(
    collector: NetstatCollector.self, files: Array(netstat.prefix(2)), arguments: ["--collector.netstat.fields=Tcp"],
    shown: [
      "node_netstat_TcpExt_ListenDrops 3", "node_netstat_TcpExt_SyncookiesSent 1", "node_netstat_TcpExt_TW 388812",
      "node_netstat_Tcp_CurrEstab 5", "node_netstat_Tcp_MaxConn -1",
    ]),
  Example(
    collector: SchedstatCollector.self,
    files: [
      ("schedstat", "version 15\ncpu0 1 2 3 4 5 6 2000000000 500000000 9\ndomain0 1\ncpu1 1\ncpu12 1 2 3 4 5 6 7 8 9\n")
    ],
    shown: [
      #"node_schedstat_running_seconds_total{cpu="0"} 2"#, #"node_schedstat_running_seconds_total{cpu="12"} 7e-09"#,
      #"node_schedstat_timeslices_total{cpu="0"} 9"#, #"node_schedstat_timeslices_total{cpu="12"} 9"#,
      #"node_schedstat_waiting_seconds_total{cpu="0"} 0.5"#, #"node_schedstat_waiting_seconds_total{cpu="12"} 8e-09"#,
    ]),
  Example(
    collector: SockstatCollector.self,
    files: [
      ("net/sockstat", "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 0\nFRAG: memory 3\n"),
      ("net/sockstat6", "TCP6: inuse 17\n"),
    ],
    shown: [
      "node_sockstat_FRAG_inuse 0", "node_sockstat_FRAG_memory 3", "node_sockstat_TCP6_inuse 17",
      "node_sockstat_TCP_alloc 17", "node_sockstat_TCP_inuse 4", "node_sockstat_TCP_mem 0",
      "node_sockstat_TCP_mem_bytes 0", "node_sockstat_TCP_orphan 0", "node_sockstat_TCP_tw 4",
      "node_sockstat_sockets_used 229",
    ]),
  Example(
    collector: SoftirqsCollector.self,
    files: [("softirqs", "     CPU0  CPU1\n  HI:  7  1\n RCU:  155929 4\n NEW: x\n")],
    shown: [
      #"node_softirqs_functions_total{cpu="0",type="HI"} 7"#,
      #"node_softirqs_functions_total{cpu="0",type="RCU"} 155929"#,
      #"node_softirqs_functions_total{cpu="1",type="HI"} 1"#,
      #"node_softirqs_functions_total{cpu="1",type="RCU"} 4"#,
    ]),
  Example(
    collector: SoftnetCollector.self,
    // As an old kernel has it, and as a new one of whose processors the second is off.
    files: [("net/softnet_stat", "1 2 3 0 0 0 0 0 4\n000000ff 2 3 0 0 0 0 0 4 5 6 7 2 0 0\n")],
    shown: [
      #"node_softnet_backlog_len{cpu="0"} 0"#, #"node_softnet_backlog_len{cpu="2"} 7"#,
      #"node_softnet_cpu_collision_total{cpu="0"} 4"#, #"node_softnet_cpu_collision_total{cpu="2"} 4"#,
      #"node_softnet_dropped_total{cpu="0"} 2"#, #"node_softnet_dropped_total{cpu="2"} 2"#,
      #"node_softnet_flow_limit_count_total{cpu="0"} 0"#, #"node_softnet_flow_limit_count_total{cpu="2"} 6"#,
      #"node_softnet_processed_total{cpu="0"} 1"#, #"node_softnet_processed_total{cpu="2"} 255"#,
      #"node_softnet_received_rps_total{cpu="0"} 0"#, #"node_softnet_received_rps_total{cpu="2"} 5"#,
      #"node_softnet_times_squeezed_total{cpu="0"} 3"#, #"node_softnet_times_squeezed_total{cpu="2"} 3"#,
    ]),
  Example(
    collector: UDPQueuesCollector.self,
    files: [
      (
        "net/udp", "  sl  local_address\n   0: 0:16 0:0 0A 00000015:00000001 00:0 0 0\n   1: 0:17 0:0 0A 1:2 00:0 0 0\n"
      ),
      ("net/udp6", "  sl  local_address\n"),
    ],
    shown: [
      #"node_udp_queues{ip="v4",queue="rx"} 3"#, #"node_udp_queues{ip="v4",queue="tx"} 22"#,
      #"node_udp_queues{ip="v6",queue="rx"} 0"#, #"node_udp_queues{ip="v6",queue="tx"} 0"#,
    ]),
]

@Suite struct NetworkTextTests {
  @Test(arguments: examples) fileprivate func showsTheFiles(_ example: Example) throws {
    let root = TemporaryDirectory()
    example.write(to: root)
    let collector = try example.make(root)
    // The second scrape goes the way of what is cached.
    for _ in 0..<2 { #expect(try samples(collector) == example.shown) }
  }

  @Test(arguments: examples) fileprivate func survivesAnything(_ example: Example) throws {
    let root = TemporaryDirectory()
    let collector = try example.make(root)
    _ = try? render(collector)
    example.write(to: root)
    var random = SeededGenerator(11)
    for (name, text) in example.files {
      let bytes = Array(text.utf8)
      for length in 0..<bytes.count {
        root.overwrite("proc/\(name)", bytes: Array(bytes.prefix(length)))
        _ = try? render(collector)
      }
      for _ in 0..<200 {
        root.overwrite("proc/\(name)", bytes: mutated(bytes, with: &random))
        _ = try? render(collector)
      }
      for text in [String(repeating: "9", count: 1 << 18), String(repeating: "\n", count: 1 << 12), "\0\0", ": :\n("] {
        root.overwrite("proc/\(name)", text)
        _ = try? render(collector)
      }
      root.overwrite("proc/\(name)", text)
    }
    #expect(try samples(collector) == example.shown)
  }

  @Test(arguments: examples) fileprivate func doesNotWaitForAFIFO(_ example: Example) throws {
    let root = TemporaryDirectory()
    for file in example.files { root.makeFIFO("proc/\(file.name)") }
    let collector = try example.make(root)
    _ = try? render(collector)
    // The files come back.
    example.write(to: root)
    #expect(try samples(collector) == example.shown)
  }

  @Test func saysThatThereIsNone() throws {
    let without: [any Collector.Type] = [
      ConntrackCollector.self, IPVSCollector.self, NFSCollector.self, NfsdCollector.self, SchedstatCollector.self,
      UDPQueuesCollector.self, XfrmCollector.self,
    ]
    for type in without {
      let example = Example(collector: type, files: [], shown: [])
      #expect(throws: NoData.self, "\(type.name)") { try render(example.make(TemporaryDirectory())) }
    }
  }

  @Test func knowsItsLabels() {
    let example = Example(
      collector: IPVSCollector.self, files: [], arguments: ["--collector.ipvs.backend-labels=proto,x,a"], shown: [])
    let error = #expect(throws: CollectorConfigurationError.self) { try example.make(TemporaryDirectory()) }
    #expect(error?.description == #"unknown IPVS backend labels: "a, x""#)
  }

  @Test(arguments: [
    ("net/netstat", "TcpExt: TW ListenDrops\nTcpExt: 1\n"), ("net/netstat", "TcpExt: ListenDrops\n"),
    ("net/netstat", "TcpExt: ListenDrops\nTcpExt: x\n"), ("net/snmp6", "Ip6InOctets x\n"),
    ("net/softnet_stat", "1 2 3\n"), ("net/softnet_stat", "1 2 3 0 0 0 0 0 100000000\n"),
    ("net/sockstat", "TCP: inuse\n"), ("net/sockstat", "TCP inuse 1\n"), ("net/udp", "sl\n 0: 1:1 1:1 0A 15 0\n"),
    ("softirqs", ""), ("softirqs", "CPU0\nHI: x\n"), ("interrupts", "CPU0\n 1: x timer\n"),
    ("net/stat/nf_conntrack", "entries\n1 2 3\n"), ("net/ip_vs", "TCP C0A8:1 wlc\n"),
  ])
  func saysWhatIsMalformed(_ file: String, _ text: String) throws {
    let root = TemporaryDirectory()
    let example = try #require(examples.first { $0.files.contains { $0.name == file } })
    example.write(to: root)
    root.write("proc/\(file)", text)
    let error = #expect(throws: MalformedFile.self) { try render(example.make(root)) }
    #expect(error?.description.hasPrefix("\(root.path)/proc/\(file): expected ") == true)
  }
}

@Suite struct NFSTests {
  @Test func showsTheCallsOfTheClient() throws {
    let root = TemporaryDirectory()
    root.write("proc/net/rpc/nfs", "net 70 71 69 45\nrpc 12 3 4\nproc4 2 48 98\nproc9 1 1\n")
    let collector = try NFSCollector(.fixture(NFSCollector.self, root.path))
    let text = try render(collector)
    let expected = [
      "node_nfs_connections_total 45", #"node_nfs_packets_total{protocol="tcp"} 69"#,
      #"node_nfs_requests_total{method="Read",proto="4"} 98"#, #"node_nfs_requests_total{method="Clone",proto="4"} 0"#,
      #"node_nfs_requests_total{method="Null",proto="2"} 0"#, "node_nfs_rpc_retransmissions_total 3",
    ]
    for line in expected { #expect(lines(text, line) == [line]) }
    #expect(lines(text, "node_nfs_requests_total").count == 18 + 22 + 59)
    for line in ["net 1\n", "proc4 3 1 2\n", "proc3 1 1\n", "proc2\n"] {
      root.overwrite("proc/net/rpc/nfs", line)
      #expect(throws: MalformedFile.self) { try render(collector) }
    }
  }

  @Test func showsTheCallsOfTheServer() throws {
    let root = TemporaryDirectory()
    root.write("proc/net/rpc/nfsd", "rc 1 6 18622\nth 8 0 0.000 0.000\nwdeleg_getattr 15\n")
    let text = try render(NfsdCollector(.fixture(NfsdCollector.self, root.path)))
    let expected = [
      "node_nfsd_reply_cache_nocache_total 18622", "node_nfsd_server_threads 8", "node_nfsd_server_rpcs_total 0",
      #"node_nfsd_requests_total{method="WdelegGetattr",proto="4"} 15"#,
    ]
    for line in expected { #expect(lines(text, line) == [line]) }
  }

  private static func mount(_ path: String, _ transport: String) -> String {
    """
    device server:/srv mounted on \(path) with fstype nfs4 statvers=1.1
    \tage:\t13968
    \tevents:\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27
    \tbytes:\t1 2 3 4 5 6 7 8
    \txprt:\t\(transport)
    \tper-op statistics
    \t        READ: 1298 1299 0 207680 1210292152 18446743919241604546 79386 79407 4


    """
  }

  @Test func showsEachMountOfNFS() throws {
    let root = TemporaryDirectory()
    let tcp = "tcp 832 0 1 0 18446744073709551615 6428 6428 0 12154 5 24 26 5726"
    root.write(
      "proc/self/mountstats",
      "device proc mounted on /proc with fstype proc\nno device mounted on /x with fstype y\n"
        + Self.mount("/a", tcp) + Self.mount("/b", tcp) + Self.mount("/c", "udp 832 7 6428 6428 0 12154 5 24 26 5726")
        + Self.mount("/broken", "tcp 1 2"))
    let nfs = "1 1 0:42 / /a rw - nfs4 server:/srv rw,addr=10.0.0.1\n"
    root.write(
      "proc/self/mountinfo", "1 1 0:4 / /proc rw - proc proc rw\n1 1 0:5 / /x rw - y none rw\n\(nfs)\(nfs)\(nfs)")
    let collector = try MountstatsCollector(.fixture(MountstatsCollector.self, root.path))
    let text = try render(collector)
    let labels = #"export="server:/srv",mountaddr="10.0.0.1""#
    #expect(
      lines(text, "node_mountstats_nfs_mountpoint_info{") == [
        #"node_mountstats_nfs_mountpoint_info{\#(labels),mountpoint="/a",protocol="tcp"} 1"#,
        #"node_mountstats_nfs_mountpoint_info{\#(labels),mountpoint="/b",protocol="tcp"} 1"#,
        #"node_mountstats_nfs_mountpoint_info{\#(labels),mountpoint="/c",protocol="udp"} 1"#,
      ])
    for protocolName in ["tcp", "udp"] {
      let ending = #"protocol="\#(protocolName)"}"#
      for line in [
        "event_pnfs_write_total{\(labels),\(ending) 27", "write_pages_total{\(labels),\(ending) 8",
        #"operations_queue_time_seconds_total{\#(labels),operation="READ",\#(ending) 9.007044786793922e+12"#,
      ] { #expect(lines(text, "node_mountstats_nfs_\(line)").count == 1, "\(line)") }
    }
    let idle = lines(text, "node_mountstats_nfs_transport_idle_time_seconds{")
    #expect(idle.map { $0.split(separator: " ").last } == ["9.007199254740991e+15", "0"])
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    root.write("proc/self/mountinfo", "1 1 0:42 / /a rw - nfs4 server:/srv rw,addr=10.0.0.1\n")
    let text = Array(Self.mount("/a", "rdma 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19").utf8)
    root.write("proc/self/mountstats", bytes: text)
    let collector = try MountstatsCollector(.fixture(MountstatsCollector.self, root.path))
    var random = SeededGenerator(13)
    for _ in 0..<1000 {
      root.overwrite("proc/self/mountstats", bytes: mutated(text, with: &random))
      _ = try? render(collector)
    }
    root.overwrite("proc/self/mountstats", bytes: text)
    #expect(try lines(render(collector), "node_mountstats_nfs_age_seconds_total{").count == 1)
  }
}
