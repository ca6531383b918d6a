import Bytes
import Glibc
import TestSupport
import Testing

@testable import HostMetrics

private func text(_ fill: (inout ByteWriter) -> Void) -> String {
  var writer = ByteWriter()
  fill(&writer)
  return String(utf8: writer.bytes)
}

@Suite struct NetworkAddressTextTests {
  @Test(
    arguments: [
      ([10, 0, 0, 255], "10.0.0.255"), ([], ""), ([1, 2, 3], ""),
      ([UInt8](repeating: 0, count: 16), "::"), ([UInt8](repeating: 0, count: 15) + [1], "::1"),
      ([0xfe, 0x80] + [UInt8](repeating: 0, count: 14), "fe80::"),
      ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3], "10.1.2.3"),
      ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3], "::a01:203"),
      ([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8:0:1::1"),
      ([0x20, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0x12, 0x34], "2001::1:1:0:0:1234"),
      ([0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], "1:0:1:1:1:1:1:1"),
      ([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0], "1:1:1:1:1:1::"),
    ] as [([UInt8], String)])
  func writesAddresses(_ bytes: [UInt8], _ expected: String) {
    #expect(text { $0.append(internetAddress: bytes.span.bytes) } == expected)
  }

  /// As inet_ntop(3) writes it, but for IPv4 in IPv6.
  @Test func agreesWithTheLibrary() {
    var random = SeededGenerator(8)
    for _ in 0..<2000 {
      var bytes = (0..<16).map { _ in UInt8([0, 0, 0, 1, 0xff].randomElement(using: &random)!) }
      bytes[0] = 0x20
      var expected = [CChar](repeating: 0, count: 64)
      _ = inet_ntop(AF_INET6, bytes, &expected, 64)
      let library = expected.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      #expect(text { $0.append(internetAddress: bytes.span.bytes) } == library)
    }
  }

  @Test func writesHardwareAddresses() {
    #expect(text { $0.append(hardwareAddress: ([0, 0x1a, 0xff] as [UInt8]).span.bytes) } == "00:1a:ff")
    #expect(text { $0.append(hardwareAddress: [UInt8]().span.bytes) } == "")
  }
}

@Suite struct ArpTests {
  private static let heading = "IP address       HW type     Flags       HW address            Mask     Device\n"

  private func arp(_ file: String?, _ arguments: String...) throws -> String {
    let root = TemporaryDirectory()
    if let file { root.write("proc/net/arp", file) }
    return try render(
      ARPCollector(.fixture(ARPCollector.self, root.path, ["--no-collector.arp.netlink"] + arguments)))
  }

  private static let table =
    heading + "10.0.0.1  0x1  0x2  01:02:03:04:05:06  *  eth0\n10.0.0.2  0x1  0x2  01:02:03:04:05:07  *  eth1\n"
    + "10.0.0.3  0x1  0x0  00:00:00:00:00:00  *  eth0\n"

  @Test func countsByDevice() throws {
    #expect(
      try arp(Self.table) == """
        # HELP node_arp_entries ARP entries by device
        # TYPE node_arp_entries gauge
        node_arp_entries{device="eth0"} 2
        node_arp_entries{device="eth1"} 1

        """)
    #expect(lines(try arp(Self.table, "--collector.arp.device-exclude=1"), "node_").count == 1)
    #expect(lines(try arp(Self.table, "--collector.arp.device-include=1"), "node_").count == 1)
    #expect(lines(try arp(Self.table, "--collector.net.device-include=none"), "node_").isEmpty)
  }

  @Test func refusesWhatIsNoTable() throws {
    #expect(try arp("") == "")
    #expect(try arp(Self.heading) == "")
    #expect(throws: MalformedFile.self) { try arp(Self.heading + "10.0.0.1 0x1 0x2\n") }
    #expect(throws: (any Error).self) { try arp(nil) }
    var random = SeededGenerator(4)
    for _ in 0..<200 { _ = try? arp(String(decoding: mutated(Array(Self.table.utf8), with: &random), as: UTF8.self)) }
  }
}

@Suite struct QdiscTests {
  private func qdisc(_ json: String?, _ arguments: String...) throws -> String {
    let root = TemporaryDirectory()
    if let json { root.write("results.json", json) }
    return try render(
      QdiscCollector(
        .fixture(QdiscCollector.self, root.path, ["--collector.qdisc.fixtures=\(root.path)"] + arguments)))
  }

  private static let json = """
    [{"IfaceName": "eth0", "Kind": "fq", "Bytes": 18446744073709551615, "Qlen": 3},
     {"IfaceName": "eth0", "Kind": "htb", "Parent": 5, "Bytes": 1}, {"ifacename": "wlan0", "kind": "mq"}]
    """

  @Test func readsFixtures() throws {
    let text = try qdisc(Self.json)
    #expect(
      lines(text, "node_qdisc_bytes_total") == [
        #"node_qdisc_bytes_total{device="eth0",kind="fq"} 1.8446744073709552e+19"#,
        #"node_qdisc_bytes_total{device="wlan0",kind="mq"} 0"#,
      ])
    #expect(text.contains(#"node_qdisc_current_queue_length{device="eth0",kind="fq"} 3"#))
    #expect(lines(text, "# TYPE").count == 7)
    #expect(lines(try qdisc(Self.json, "--collector.qdisk.device-exclude=eth"), "node_qdisc_backlog").count == 1)
    #expect(lines(try qdisc(Self.json, "--collector.net.device-exclude=eth"), "node_qdisc_backlog").count == 1)
  }

  @Test func refusesWhatIsNone() {
    for json in ["{}", "[", "", "3"] { #expect(throws: (any Error).self) { try qdisc(json) } }
    #expect(throws: (any Error).self) { try qdisc(nil) }
    #expect(throws: CollectorConfigurationError.self) {
      try qdisc("[]", "--collector.qdisc.device-include=a", "--collector.qdisc.device-exclude=b")
    }
  }
}

@Suite struct WifiTests {
  private func wifi(_ root: TemporaryDirectory, _ arguments: String...) throws -> String {
    try render(
      WifiCollector(.fixture(WifiCollector.self, root.path, ["--collector.wifi.fixtures=\(root.path)"] + arguments)))
  }

  @Test func readsFixtures() throws {
    let root = TemporaryDirectory()
    root.write("interfaces.json", #"[{"name":"wlan0","frequency":5180},{"name":"wlan1"},{"type":10}]"#)
    root.write("wlan0/bss.json", #"{"SSID":"a\"b","BSSID":"ABEiM0RV","Status":2}"#)
    root.write(
      "wlan0/stationinfo.json",
      #"[{"hardwareaddr":"qrvM3e7/","connected":1500000000,"signal":-52,"receivedBytes":7,"transmittedPackets":9}]"#)
    let text = try wifi(root)
    #expect(
      lines(text, "node_wifi_interface_frequency_hertz") == [
        #"node_wifi_interface_frequency_hertz{device="wlan0"} 5.18e+09"#,
        #"node_wifi_interface_frequency_hertz{device="wlan1"} 0"#,
      ])
    #expect(
      lines(text, "node_wifi_station_info") == [
        #"node_wifi_station_info{bssid="00:11:22:33:44:55",device="wlan0",mode="ad-hoc",ssid="a\"b"} 1"#
      ])
    for line in [
      #"node_wifi_station_connected_seconds_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 1.5"#,
      #"node_wifi_station_signal_dbm{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} -52"#,
      #"node_wifi_station_receive_bytes_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 7"#,
      #"node_wifi_station_transmitted_packets_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 9"#,
    ] { #expect(text.contains(line)) }
    #expect(lines(text, "# TYPE").count == 14)
    #expect(lines(try wifi(root, "--collector.net.device-exclude=0"), "node_").count == 1)
  }

  @Test func survivesBadFixtures() {
    let root = TemporaryDirectory()
    #expect(throws: NoData.self) { try wifi(root) }
    root.write("interfaces.json", #"{"name":1}"#)
    #expect(throws: Never.self) { try wifi(root) }
    root.write("interfaces.json", #"[{"name":"wlan0"}]"#)
    root.write("wlan0/bss.json", #"{"status":1e300,"bssid":"*","ssid":[]}"#)
    #expect(throws: Never.self) { try wifi(root) }
    root.write("wlan0/stationinfo.json", "[")
    #expect(throws: (any Error).self) { try wifi(root) }
  }
}

@Suite struct EthtoolTests {
  @Test(
    arguments: [
      ("port.rx_errors", "port_rx_errors", "port_received_errors"), ("rx_errors", "rx_errors", "received_errors"),
      ("Queue[0] AllocFails", "Queue_0_AllocFails", "queue_0_allocfails"),
      ("Tx LPI entry count", "Tx_LPI_entry_count", "transmitted_lpi_entry_count"),
      ("[3]: tx_bytes", "_3_tx_bytes", "3_transmitted_bytes"), ("     err", "_err", "err"),
      ("a_._.b", "a__b", "a__b"), ("a_.._b", "a_b", "a_b"), ("a__b", "a__b", "a__b"),
      ("rx_rx_rx", "rx_rx_rx", "received_rx_received"),
      ("tx_tx", "tx_tx", "transmitted_tx"), ("xrx_txx", "xrx_txx", "xrx_txx"), ("é", "_", ""), ("", "", ""),
      ("rx0_xdp_tx", "rx0_xdp_tx", "rx0_xdp_transmitted"), ("__", "__", ""),
    ])
  func namesCounters(_ name: String, _ sanitized: String, _ full: String) {
    #expect(name.utf8.asMetricName == sanitized)
    #expect(EthtoolCollector.metricName(sanitized) == full)
  }

  @Test func hasNoDataWithoutTheClass() throws {
    let root = TemporaryDirectory()
    #expect(throws: NoData.self) { try render(EthtoolCollector(.fixture(EthtoolCollector.self, root.path))) }
    root.makeDirectory("sys/class/net/no such device at all")
    #expect(try render(EthtoolCollector(.fixture(EthtoolCollector.self, root.path))) == "")
  }
}

/// The collectors that only the kernel can feed, in a network where all is known.
@Suite(.enabled(if: PrivateNetwork.isPossible, "making a network takes root and iproute2"))
struct NetworkLiveTests {
  private static let setUp = """
    ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link set veth1 up;
    ip link add br0 type bridge; ip link set br0 up; ip link set br0 address 02:00:00:00:00:09;
    ip addr add 10.1.0.1/24 dev veth0 noprefixroute; ip addr add 10.2.0.1/24 dev br0;
    ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev veth0;
    ip neigh add 10.1.0.3 lladdr 02:00:00:00:00:02 dev veth0 nud stale;
    ip neigh add 10.1.0.4 lladdr 02:00:00:00:00:03 dev veth0 nud noarp;
    ip neigh add fd00::2 lladdr 02:00:00:00:00:04 dev veth0;
    ip route add default via 10.2.0.2;
    ip route add 10.60.0.0/16 proto static metric 7 src 10.2.0.1 nexthop via 10.2.0.4 weight 3 \
      nexthop via 10.2.0.5 weight 7;
    ip route add blackhole 10.70.0.0/16
    """

  private static func show<C: Collector>(_ type: C.Type, _ arguments: String...) throws -> String {
    try PrivateNetwork.run {
      PrivateNetwork.shell(setUp)
      return try render(type.init(.fixture(type, "", arguments)))
    }
  }

  @Test func countsNeighbours() throws {
    let netlink = try Self.show(ARPCollector.self)
    #expect(lines(netlink, "node_arp") == [#"node_arp_entries{device="veth0"} 2"#])
  }

  @Test func showsRoutes() throws {
    let text = try Self.show(NetworkRouteCollector.self, "--collector.net.device-exclude=^veth")
    #expect(
      lines(text, "node_network_route_info").filter { !$0.contains("fe80") } == [
        #"node_network_route_info{dest="10.2.0.0/24",device="br0",gw="",priority="0",proto="kernel",src="10.2.0.1",weight=""} 1"#,
        #"node_network_route_info{dest="10.60.0.0/16",device="br0",gw="10.2.0.4",priority="7",proto="static",src="10.2.0.1",weight="3"} 1"#,
        #"node_network_route_info{dest="10.60.0.0/16",device="br0",gw="10.2.0.5",priority="7",proto="static",src="10.2.0.1",weight="7"} 1"#,
        #"node_network_route_info{dest="default",device="br0",gw="10.2.0.2",priority="0",proto="boot",src="",weight=""} 1"#,
      ])
    #expect(lines(text, "node_network_routes").count == 1)
  }

  @Test func showsQueueingDisciplines() throws {
    let text = try Self.show(QdiscCollector.self, "--collector.qdisc.device-include=^(lo|veth0)$")
    #expect(
      lines(text, "node_qdisc_packets_total").map { $0.split(separator: " ")[0] } == [
        #"node_qdisc_packets_total{device="lo",kind="noqueue"}"#,
        #"node_qdisc_packets_total{device="veth0",kind="noqueue"}"#,
      ])
  }

  @Test func countsSockets() throws {
    let text = try PrivateNetwork.run {
      let listeners = [AF_INET, AF_INET6].map { family in
        let listener = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        _ = listen(listener, 4)
        return listener
      }
      defer { for listener in listeners { close(listener) } }
      return try render(TcpstatCollector(.fixture(TcpstatCollector.self, "")))
    }
    #expect(
      lines(text, "node_tcp") == [
        #"node_tcp_connection_states{state="listen"} 2"#, #"node_tcp_connection_states{state="rx_queued_bytes"} 0"#,
        #"node_tcp_connection_states{state="tx_queued_bytes"} 8"#,
      ])
    #expect(try PrivateNetwork.run { try render(TcpstatCollector(.fixture(TcpstatCollector.self, ""))) } == "")
  }

  @Test func asksDrivers() throws {
    let text = try Self.show(
      EthtoolCollector.self, "--collector.ethtool.metrics-include=^(peer_ifindex|rx_queue_0_drops)$")
    #expect(
      lines(text, "node_ethtool_info").contains(
        #"node_ethtool_info{bus_info="",device="veth0",driver="veth",expansion_rom_version="",firmware_version="",version="1.0"} 1"#
      ))
    #expect(lines(text, "node_ethtool_peer_ifindex").count == 2)
    #expect(text.contains("# HELP node_ethtool_received_queue_0_drops Network interface rx_queue_0_drops"))
    #expect(text.contains(#"node_network_autonegotiate{device="veth0"} 0"#))
    #expect(!text.contains("xdp"))
  }

  @Test func hasNoWirelessInterfaces() throws {
    let text = try? PrivateNetwork.run { try render(WifiCollector(.fixture(WifiCollector.self, ""))) }
    #expect(text == nil || text == "")
  }

  @Test func showsCountersAndAddresses() throws {
    let text = try Self.show(
      NetdevCollector.self, "--collector.netdev.address-info", "--collector.net.device-exclude=^(lo|veth1)$",
      "--collector.netdev.device-exclude=br")
    #expect(lines(text, "node_network_receive_bytes_total").count == 1)
    #expect(
      text.contains(#"node_network_address_info{address="10.1.0.1",device="veth0",netmask="24",scope="global"} 1"#))
    #expect(!text.contains(#"device="br0""#))
  }
}
