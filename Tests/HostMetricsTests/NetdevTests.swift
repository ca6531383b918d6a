import TestSupport
import Testing

@testable import HostMetrics

private let netdev = """
  Inter-|   Receive                                                |  Transmit
   face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
      lo:  100 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
  eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 18446744073709551615
  half: 1 2 3

  """

@Suite struct NetdevTests {
  @Test func readsTheKernelsInterfaces() throws {
    let text = try render(
      NetdevCollector(.fixture(NetdevCollector.self, "/nonexistent", ["--collector.netdev.device-include=^lo$"])))
    #expect(text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }.count == 17)
    #expect(
      lines(text, "node_network_receive_bytes_total").first?.hasPrefix(
        #"node_network_receive_bytes_total{device="lo"} "#) == true)
  }

  @Test func showsDetails() throws {
    let arguments = [
      "--collector.netdev.enable-detailed-metrics", "--collector.netdev.label-ifalias",
      "--collector.netdev.address-info",
    ]
    let text = try render(NetdevCollector(.fixture(NetdevCollector.self, "/nonexistent", arguments)))
    #expect(text.contains(#"node_network_receive_missed_errors_total{device="lo",ifalias=""} 0"#))
    #expect(
      text.contains(#"node_network_address_info{address="127.0.0.1",device="lo",netmask="8",scope="link-local"} 1"#))
  }

  @Test func readsTheFile() throws {
    let root = TemporaryDirectory()
    root.write("proc/net/dev", netdev)
    root.write("sys/class/net/lo/ifalias", "inner\n")
    let host = try Host.fixture(
      NetdevCollector.self, root.path, ["--no-collector.netdev.netlink", "--collector.netdev.label-ifalias"])
    let text = try render(NetdevCollector(host))
    #expect(text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }.count == 16)
    #expect(
      lines(text, "node_network_receive_drop_total") == [
        #"node_network_receive_drop_total{device="eth0:1",ifalias=""} 4"#,
        #"node_network_receive_drop_total{device="lo",ifalias="inner"} 4"#,
      ])
    #expect(
      text.contains(#"node_network_transmit_compressed_total{device="eth0:1",ifalias=""} 1.8446744073709552e+19"#))
  }

  @Test(
    arguments: [
      ([127, 0, 0, 1], "link-local"), ([169, 254, 1, 1], "link-local"), ([10, 0, 0, 1], "global"), ([0, 0, 0, 0], ""),
      ([224, 0, 1, 1], ""), ([255, 255, 255, 255], ""),
      ([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "link-local"),
      ([0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "interface-local"),
      ([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "global"),
    ] as [([UInt8], String)])
  func tellsTheScope(_ address: [UInt8], _ scope: String) {
    #expect(NetdevCollector.scope(of: address) == scope)
  }
}
