import TestSupport
import Testing

@testable import HostMetrics

private let eth0 = [
  "addr_assign_type": "3", "address": "01:02:03:04:05:06", "broadcast": "ff:ff:ff:ff:ff:ff", "carrier": "1",
  "carrier_changes": "2", "carrier_down_count": "3", "carrier_up_count": "4", "dev_id": "0x20", "dormant": "0",
  "duplex": "full", "flags": "0x1303", "ifalias": "an \"alias\"", "ifindex": "5", "iflink": "6", "link_mode": "0",
  "mtu": "1500", "name_assign_type": "2", "netdev_group": "7", "operstate": "up", "speed": "1000",
  "tx_queue_len": "1000", "type": "1",
]

private let golden = """
  # HELP node_network_address_assign_type Network device property: address_assign_type
  # TYPE node_network_address_assign_type gauge
  node_network_address_assign_type{device="eth0"} 3
  # HELP node_network_carrier Network device property: carrier
  # TYPE node_network_carrier gauge
  node_network_carrier{device="eth0"} 1
  # HELP node_network_carrier_changes_total Network device property: carrier_changes_total
  # TYPE node_network_carrier_changes_total counter
  node_network_carrier_changes_total{device="eth0"} 2
  # HELP node_network_carrier_down_changes_total Network device property: carrier_down_changes_total
  # TYPE node_network_carrier_down_changes_total counter
  node_network_carrier_down_changes_total{device="eth0"} 3
  # HELP node_network_carrier_up_changes_total Network device property: carrier_up_changes_total
  # TYPE node_network_carrier_up_changes_total counter
  node_network_carrier_up_changes_total{device="eth0"} 4
  # HELP node_network_device_id Network device property: device_id
  # TYPE node_network_device_id gauge
  node_network_device_id{device="eth0"} 32
  # HELP node_network_dormant Network device property: dormant
  # TYPE node_network_dormant gauge
  node_network_dormant{device="eth0"} 0
  # HELP node_network_flags Network device property: flags
  # TYPE node_network_flags gauge
  node_network_flags{device="eth0"} 4867
  # HELP node_network_iface_id Network device property: iface_id
  # TYPE node_network_iface_id gauge
  node_network_iface_id{device="eth0"} 5
  # HELP node_network_iface_link Network device property: iface_link
  # TYPE node_network_iface_link gauge
  node_network_iface_link{device="eth0"} 6
  # HELP node_network_iface_link_mode Network device property: iface_link_mode
  # TYPE node_network_iface_link_mode gauge
  node_network_iface_link_mode{device="eth0"} 0
  # HELP node_network_info Non-numeric data from /sys/class/net/<iface>, value is always 1.
  # TYPE node_network_info gauge
  node_network_info{address="01:02:03:04:05:06",adminstate="up",broadcast="ff:ff:ff:ff:ff:ff",device="eth0",duplex="full",ifalias="an \\"alias\\"",operstate="up"} 1
  # HELP node_network_mtu_bytes Network device property: mtu_bytes
  # TYPE node_network_mtu_bytes gauge
  node_network_mtu_bytes{device="eth0"} 1500
  # HELP node_network_name_assign_type Network device property: name_assign_type
  # TYPE node_network_name_assign_type gauge
  node_network_name_assign_type{device="eth0"} 2
  # HELP node_network_net_dev_group Network device property: net_dev_group
  # TYPE node_network_net_dev_group gauge
  node_network_net_dev_group{device="eth0"} 7
  # HELP node_network_protocol_type Network device property: protocol_type
  # TYPE node_network_protocol_type gauge
  node_network_protocol_type{device="eth0"} 1
  # HELP node_network_speed_bytes Network device property: speed_bytes
  # TYPE node_network_speed_bytes gauge
  node_network_speed_bytes{device="eth0"} 1.25e+08
  # HELP node_network_transmit_queue_length Network device property: transmit_queue_length
  # TYPE node_network_transmit_queue_length gauge
  node_network_transmit_queue_length{device="eth0"} 1000
  # HELP node_network_up Value is 1 if operstate is 'up', 0 otherwise.
  # TYPE node_network_up gauge
  node_network_up{device="eth0"} 1

  """

private func netclass(_ root: TemporaryDirectory, _ arguments: String...) throws -> NetclassCollector {
  try NetclassCollector(.fixture(NetclassCollector.self, root.path, arguments))
}

private func write(_ name: String, _ files: [String: String], to root: TemporaryDirectory) {
  for (file, text) in files { root.write("sys/class/net/\(name)/\(file)", "\(text)\n") }
}

@Suite struct NetclassTests {
  @Test func showsAnInterface() throws {
    let root = TemporaryDirectory()
    write("eth0", eth0, to: root)
    root.write("sys/class/net/bonding_masters", "\n")
    let collector = try netclass(root)
    #expect(try render(collector) == golden)
    #expect(try render(collector) == golden)
  }

  @Test func losesOnlyWhatIsNotThere() throws {
    let root = TemporaryDirectory()
    write("eth0", eth0, to: root)
    for (index, name) in ["empty", "none", "word", "huge", "octal"].enumerated() {
      let text = ["", "-", "eth0", String(repeating: "9", count: 5000), "\u{0}0x"][index]
      write(name, eth0.mapValues { _ in text }, to: root)
    }
    root.makeDirectory("sys/class/net/bare")
    root.makeFIFO("sys/class/net/fifo")
    root.makeFIFO("sys/class/net/pipes/mtu")
    let text = try render(netclass(root))
    #expect(lines(text, "node_network_mtu_bytes") == [#"node_network_mtu_bytes{device="eth0"} 1500"#])
    #expect(lines(text, "node_network_up").count == 7)
    #expect(text.contains(#"node_network_info{address="",adminstate="unknown",broadcast="",device="empty""#))
    #expect(!text.contains("bare") && !text.contains("fifo"))
  }

  @Test(
    arguments: [
      (["speed": "-1"], [], "-125000"), (["speed": "-1"], ["--collector.netclass.ignore-invalid-speed"], nil),
      (["speed": "9223372036854775807"], [], "-125000"), (["speed": "-9223372036854775809"], [], nil),
    ] as [([String: String], [String], String?)])
  func showsSpeeds(_ files: [String: String], _ arguments: [String], _ expected: String?) throws {
    let root = TemporaryDirectory()
    write("eth0", files, to: root)
    let collector = try NetclassCollector(.fixture(NetclassCollector.self, root.path, arguments))
    #expect(
      lines(try render(collector), "node_network_speed_bytes")
        == (expected.map { [#"node_network_speed_bytes{device="eth0"} \#($0)"#] } ?? []))
  }

  @Test func filters() throws {
    let root = TemporaryDirectory()
    for name in ["eth0", "eth1", "veth2", "lo"] { write(name, ["mtu": "1"], to: root) }
    func shown(_ arguments: String...) throws -> Int {
      lines(
        try render(NetclassCollector(.fixture(NetclassCollector.self, root.path, arguments))), "node_network_mtu_bytes"
      ).count
    }
    #expect(try shown() == 4)
    #expect(try shown("--collector.netclass.ignored-devices=^eth") == 2)
    #expect(try shown("--collector.netclass.ignored-devices=^eth", "--collector.net.device-exclude=^veth") == 1)
    #expect(try shown("--collector.net.device-include=th") == 3)
    #expect(throws: CollectorConfigurationError.self) {
      try shown("--collector.net.device-include=a", "--collector.net.device-exclude=b")
    }
    #expect(throws: CollectorConfigurationError.self) { try shown("--collector.net.device-include=(") }
  }

  @Test func hasNoDataWithoutTheClass() throws {
    let root = TemporaryDirectory()
    #expect(throws: NoData.self) { try render(netclass(root)) }
    root.write("sys/class/net", "")
    #expect(throws: NoData.self) { try render(netclass(root)) }
  }

  @Test func forgetsAnInterfaceThatVanishes() throws {
    let root = TemporaryDirectory()
    for name in ["a", "b"] { write(name, ["mtu": "1"], to: root) }
    let collector = try netclass(root)
    _ = try render(collector)
    root.delete("sys/class/net/a/mtu")
    #expect(lines(try render(collector), "node_network_up") == [#"node_network_up{device="b"} 0"#])
  }

  @Test func survivesAnything() throws {
    let root = TemporaryDirectory()
    var random = SeededGenerator(3)
    for round in 0..<50 {
      for (file, text) in eth0 {
        root.write("sys/class/net/eth\(round % 3)/\(file)", bytes: mutated(Array("\(text)\n".utf8), with: &random))
      }
      _ = try render(netclass(root))
    }
  }
}

/// The kernel's own interfaces: what netlink tells must be what the files show.
@Suite(.enabled(if: PrivateNetwork.isPossible, "making a network takes root and iproute2"))
struct NetclassLiveTests {
  private static func collector(_ arguments: String...) throws -> NetclassCollector {
    try NetclassCollector(.fixture(NetclassCollector.self, "", arguments))
  }

  /// What a collector that sees everything for the first time, so by files, and one that has seen it, so by netlink,
  /// show after each of these.
  private static let changes = [
    "ip link add veth0 type veth peer name veth1",
    "ip link set veth0 up; ip link set veth1 up; ip link set veth0 alias 'an \"alias\" é'",
    "ip link add br0 type bridge; ip link set veth1 master br0; ip link set br0 up",
    "ip link set veth0 promisc on; ip link set br0 allmulticast on; ip link set veth0 group 7 mtu 9000",
    "ip link set veth0 txqueuelen 5; ip link set veth0 multicast off arp off",
    "ip link set veth0 address 02:00:00:00:00:01; ip link set veth1 down",
    "ip link set veth0 address 02:00:00:00:00:01; ip link set veth1 mode dormant up",
    "ip tuntap add tap0 mode tap; ip tuntap add tun0 mode tun; ip link set tun0 up",
    "ip link set tap0 name other; ip link set lo down",
    "ip link add mv0 link veth0 type macvlan; ip link set mv0 up",
    "ip link del veth0; ip link add veth0 type veth peer name veth1",
  ]

  @Test func showsTheSameByNetlinkAsByFiles() throws {
    let shown = try PrivateNetwork.run {
      let old = try Self.collector()
      return try Self.changes.map { change in
        PrivateNetwork.shell(change)
        _ = try render(old)
        return (change, try Self.steady { (try render(old), try render(Self.collector())) })
      }
    }
    for (change, (byNetlink, byFiles)) in shown {
      #expect(lines(byNetlink, "node_").difference(from: lines(byFiles, "node_")).isEmpty, "\(change)")
    }
    #expect(shown.last?.1.0.contains(#"node_network_up{device="veth1"}"#) == true)
  }

  /// Both views of one moment: the kernel tells of carriers a little after they come and go.
  private static func steady(_ look: () throws -> (String, String)) throws -> (String, String) {
    var views = try look()
    for _ in 0..<1000 where views.0 != views.1 { views = try look() }
    return views
  }

  @Test(arguments: [
    "", "ip link set lo mtu 99", "ip link add veth0 type veth peer name veth1; ip link set veth0 mtu 777",
  ])
  func trustsNetlinkOnlyWhereItMeansTheSame(_ setUp: String) throws {
    let shown = try PrivateNetwork.run {
      PrivateNetwork.shell("ip link add veth0 type veth peer name veth1; ip link set veth0 mtu 1234 up")
      let collector = try Self.collector()
      _ = try render(collector)
      // Another network behind the same /sys.
      guard PrivateNetwork.unshare(PrivateNetwork.newNetwork) else { throw PrivateNetwork.Unavailable() }
      PrivateNetwork.shell(setUp)
      let fresh = try Self.collector()
      _ = try render(fresh)
      return try render(fresh)
    }
    #expect(shown.contains(#"node_network_mtu_bytes{device="veth0"} 1234"#))
    #expect(shown.contains(#"node_network_mtu_bytes{device="lo"} 65536"#))
    #expect(shown.contains(#"node_network_flags{device="lo"} 9"#))
  }

  @Test func showsNetlinksOwnView() throws {
    let text = try PrivateNetwork.run {
      PrivateNetwork.shell(
        "ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link property add dev veth0 altname other"
      )
      return try render(Self.collector("--collector.netclass.netlink", "--collector.netclass_rtnl.with-stats"))
    }
    #expect(text.contains(#"node_network_altnames_info{altname="other",device="veth0"} 1"#))
    #expect(text.contains(#"device="veth0",duplex="Full",ifalias="",operstate="lowerlayerdown"} 1"#))
    #expect(text.contains(#"node_network_receive_nohandler_total{device="veth0"} 0"#))
    #expect(text.contains("# HELP node_network_info Non-numeric data of <iface>, value is always 1."))
    #expect(text.contains(#"node_network_speed_bytes{device="veth1"} 1.25e+09"#))
  }
}
