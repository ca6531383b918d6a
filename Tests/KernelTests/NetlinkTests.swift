import Bytes
import CLinux
import Glibc
import Testing

@testable import Kernel

private func dump(_ request: NetlinkRequest, _ socket: NetlinkSocket = NetlinkSocket()) throws -> [UInt8] {
  var buffer = ByteWriter()
  try socket.dump(request, into: &buffer)
  return buffer.bytes.array
}

private func names(_ dump: RawSpan) -> [Int32: String] {
  var names: [Int32: String] = [:]
  NetworkLink.forEach(in: dump) { link in names[link.index] = String(utf8: dump.extracting(link.name)) }
  return names
}

/// The links whose counters are there, after everything else was looked at too.
private func countedLinks(_ dump: RawSpan) -> Int {
  var count = 0
  NetworkLink.forEach(in: dump) { link in
    for place in [link.alias, link.address, link.broadcast] { _ = dump.extracting(place) }
    link.forEachAlternativeName(in: dump) { _ = dump.extracting($0) }
    if link.statistics(in: dump) != nil { count += 1 }
  }
  return count
}

/// An attribute; its value may hold attributes.
private func attribute(_ type: Int, _ value: [UInt8]) -> [UInt8] { NetlinkRequest.attribute(type, value) }

private func bytes(_ values: UInt32...) -> [UInt8] { values.flatMap { NetlinkRequest.bytes(of: $0) } }

private func wide(_ values: UInt64...) -> [UInt8] { values.flatMap { NetlinkRequest.bytes(of: $0) } }

private func message(_ type: Int, _ body: [UInt8]) -> [UInt8] {
  let padding = [UInt8](repeating: 0, count: (4 - body.count % 4) % 4)
  return bytes(UInt32(16 + body.count)) + NetlinkRequest.bytes(of: UInt16(type)) + [0, 0] + bytes(1, 0) + body + padding
}

private let family = GenericFamily(number: 30)
private let generic: [UInt8] = [1, 1, 0, 0]

@Suite struct NetlinkSocketTests {
  @Test func findsTheLoopbackInterface() throws {
    let links = try dump(.links)
    let found = names(links.span.bytes)
    #expect(found[1] == "lo")
    #expect(countedLinks(links.span.bytes) == found.count)
    let addresses = try dump(.addresses)
    let known = NetworkAddress.all(in: addresses.span.bytes)
    #expect(known.contains { $0.index == 1 && $0.address == [127, 0, 0, 1] })
    #expect(NetworkLink.name(ofIndex: 1) == Array("lo".utf8))
    #expect(NetworkLink.name(ofIndex: .max) == nil)
  }

  @Test func keepsItsSocket() throws {
    let socket = NetlinkSocket()
    for _ in 0..<50 {
      let links = try dump(.links, socket)
      #expect(names(links.span.bytes)[1] == "lo")
      _ = try dump(.addresses, socket)
    }
  }

  @Test func saysWhatFailed() throws {
    let socket = NetlinkSocket(.generic)
    var buffer = ByteWriter()
    var failure: KernelError?
    do throws(KernelError) {
      _ = try GenericFamily("no such family", by: socket, through: &buffer)
    } catch {
      failure = error
    }
    #expect(failure?.isAbsence == true)
    // The socket is fit for the next question.
    let controller = try GenericFamily("nlctrl", by: socket, through: &buffer)
    #expect(controller.number == 0x10)
    #expect(throws: KernelError.self) { try dump(NetlinkRequest(dump: 0xfff0, header: [])) }
  }

  @Test func visitsPartByPart() throws {
    let socket = NetlinkSocket(.sockDiag)
    let listener = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    #expect(listen(listener, 7) == 0)
    var buffer = ByteWriter()
    var listening = 0
    try socket.dump(.tcpSockets(family: AF_INET), through: &buffer) { part in
      TCPSocket.forEach(in: part) { if $0.state == 10, $0.sendQueue == 7 { listening += 1 } }
    }
    #expect(listening >= 1)
    #expect(buffer.count == 0)
  }
}

@Suite struct NetlinkDecoderTests {
  @Test(arguments: [(NLMSG_ERROR, -2, 2), (NLMSG_DONE, -95, 95), (NLMSG_DONE, 0, nil), (NLMSG_ERROR, 0, nil)])
  func tellsErrors(_ type: Int32, _ code: Int32, _ expected: Int32?) {
    let whole = message(Int(type), bytes(UInt32(bitPattern: code)))
    #expect(NetlinkMessage(in: whole.span.bytes, at: 0)?.errorCode(in: whole.span.bytes) == expected)
  }

  @Test func readsLinks() {
    let header = [0, 0] + NetlinkRequest.bytes(of: UInt16(772)) + bytes(7, 0x1003, 0)
    let names =
      attribute(Int(IFLA_ALT_IFNAME), Array("first\0".utf8)) + attribute(Int(IFLA_ALT_IFNAME), Array("b\0".utf8))
    let body =
      attribute(Int(IFLA_IFNAME), Array("eth7\0".utf8)) + attribute(Int(IFLA_LINK), bytes(3))
      + attribute(Int(IFLA_OPERSTATE), [6]) + attribute(Int(IFLA_MTU), [1]) + attribute(Int(IFLA_GROUP), bytes(9))
      + attribute(Int(IFLA_PROP_LIST) | Int(NLA_F_NESTED), names)
      + attribute(Int(IFLA_STATS64), (0..<25).flatMap { wide(UInt64($0)) })
    let dump = message(RTM_NEWLINK, header + body) + message(RTM_NEWLINK, header) + message(RTM_NEWLINK, [1])
    var others: [String] = []
    var count = 0
    let span = dump.span.bytes
    NetworkLink.forEach(in: span) { link in
      count += 1
      #expect(link.index == 7 && link.hardwareType == 772 && link.flags == 0x1003 && link.link == 3)
      #expect(link.operationalState == 6 && link.mtu == nil && link.group == 9 && link.carrier == nil)
      #expect(link.statistics(in: span)?[23] == 23)
      link.forEachAlternativeName(in: span) { others.append(String(utf8: span.extracting($0))) }
    }
    #expect(count == 1)
    #expect(others == ["first", "b"])
  }

  @Test func readsNeighbours() {
    func neighbour(_ family: Int32, _ index: UInt32, _ state: Int32) -> [UInt8] {
      message(
        RTM_NEWNEIGH, [UInt8(family), 0, 0, 0] + bytes(index) + NetlinkRequest.bytes(of: UInt16(state)) + [0, 0])
    }
    let dump = neighbour(AF_INET, 2, 0x80) + neighbour(AF_INET6, 2, 0x80) + neighbour(AF_INET, 3, 0x40)
    var found: [String] = []
    NetworkNeighbour.forEach(in: dump.span.bytes) { found.append("\($0.index) \($0.needsNoARP)") }
    #expect(found == ["2 false", "3 true"])
  }

  @Test func readsRoutesOfManyWays() {
    func hop(_ index: UInt32, _ weight: UInt8, _ attributes: [UInt8]) -> [UInt8] {
      NetlinkRequest.bytes(of: UInt16(8 + attributes.count)) + [0, weight] + bytes(index) + attributes
    }
    let header: [UInt8] = [2, 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]
    let ways =
      hop(3, 2, attribute(Int(RTA_GATEWAY.rawValue), [10, 0, 0, 1]))
      + hop(4, 6, attribute(Int(RTA_VIA.rawValue), [10, 0] + [UInt8](repeating: 1, count: 16)))
    let both =
      attribute(Int(RTA_DST.rawValue), [10, 9, 0, 0]) + attribute(Int(RTA_PRIORITY.rawValue), bytes(50))
    let dump =
      message(RTM_NEWROUTE, header + both + attribute(Int(RTA_MULTIPATH.rawValue), ways))
      + message(RTM_NEWROUTE, header + both + attribute(Int(RTA_OIF.rawValue), bytes(5)))
    var found: [String] = []
    let span = dump.span.bytes
    NetworkRoute.forEach(in: span) { route in
      #expect(route.isUnicast && route.origin == 4 && route.prefixLength == 16 && route.priority == 50)
      #expect(span.extracting(route.destination).array == [10, 9, 0, 0])
      route.forEachHop(in: span) { found.append("\($0.index) \($0.gateway.count) \($0.weight)") }
    }
    #expect(found == ["3 4 3", "4 16 7", "5 0 0"])
  }

  @Test func readsQueueingDisciplines() {
    let statistics =
      attribute(Int(TCA_STATS_BASIC), wide(1000) + bytes(7)) + attribute(Int(TCA_STATS_QUEUE), bytes(1, 2, 3, 4, 5))
    let more = statistics + attribute(Int(TCA_STATS_PKT64), wide(1 << 40))
    func discipline(_ parent: UInt32, _ statistics: [UInt8]) -> [UInt8] {
      message(
        RTM_NEWQDISC,
        [0, 0, 0, 0] + bytes(2, 0, parent, 0) + attribute(Int(TCA_KIND), Array("fq\0".utf8))
          + attribute(Int(TCA_STATS2), statistics))
    }
    let dump = discipline(.max, statistics) + discipline(0x10001, more) + discipline(0, [1, 2])
    var found: [String] = []
    QueueingDiscipline.forEach(in: dump.span.bytes) {
      found.append(
        "\($0.isRoot) \($0.bytes) \($0.packets) \($0.queueLength) \($0.backlog) \($0.drops) \($0.requeues) \($0.overlimits)"
      )
    }
    #expect(found == ["true 1000 7 1 2 3 4 5", "false 1000 1099511627776 1 2 3 4 5", "true 0 0 0 0 0 0 0"])
  }

  @Test func readsLinkModes() {
    let header = attribute(ETHTOOL_A_HEADER_DEV_INDEX, bytes(3))
    let dump =
      message(
        30,
        generic + attribute(ETHTOOL_A_LINKMODES_HEADER, header) + attribute(ETHTOOL_A_LINKMODES_SPEED, bytes(10))
          + attribute(ETHTOOL_A_LINKMODES_DUPLEX, [1])) + message(30, generic)
    var found: [String] = []
    EthernetLinkMode.forEach(in: dump.span.bytes, family) {
      found.append("\($0.index) \($0.speed ?? 0) \($0.duplex ?? 9)")
    }
    #expect(found == ["3 10 1"])
  }

  @Test func readsWirelessInterfaces() throws {
    let interface =
      attribute(Int(NL80211_ATTR_IFINDEX.rawValue), bytes(4))
      + attribute(Int(NL80211_ATTR_IFNAME.rawValue), Array("wlan0\0".utf8))
      + attribute(Int(NL80211_ATTR_MAC.rawValue), [1, 2, 3, 4, 5, 6])
      + attribute(Int(NL80211_ATTR_WIPHY_FREQ.rawValue), bytes(2412))
    let dump = message(30, generic + interface) + message(30, generic)
    let found = WirelessInterface.all(in: dump.span.bytes, family)
    #expect(found.map(\.frequency) == [2412, 0])
    #expect(found[0].name == Array("wlan0".utf8))
    #expect(found[0].networkRequest(family).body.count == 4 + 8 + 12)
  }

  @Test func findsTheNetworkThatAnInterfaceIsIn() throws {
    func network(_ status: [UInt8], _ elements: [UInt8]) -> [UInt8] {
      let body =
        attribute(Int(NL80211_BSS_BSSID.rawValue), [9, 8, 7, 6, 5, 4])
        + attribute(Int(NL80211_BSS_INFORMATION_ELEMENTS.rawValue), elements) + status
      return message(30, generic + attribute(Int(NL80211_ATTR_BSS.rawValue), body))
    }
    let status = attribute(Int(NL80211_BSS_STATUS.rawValue), bytes(1))
    let heard = network([], [0, 1, 65])
    let none = WirelessNetwork.first(in: heard.span.bytes, family)
    #expect(none == nil)
    for (elements, name) in [([3, 1, 6, 0, 2, 72, 105], "Hi"), ([0, 200, 72], ""), ([1], ""), ([], "")] {
      let dump = heard + network(status, elements.map(UInt8.init))
      let first = WirelessNetwork.first(in: dump.span.bytes, family)
      let found = try #require(first)
      #expect(found.status == 1 && found.bssid == [9, 8, 7, 6, 5, 4] && found.ssid == Array(name.utf8))
    }
  }

  @Test func readsStations() {
    let rates =
      attribute(Int(NL80211_STA_INFO_RX_BITRATE.rawValue), attribute(Int(NL80211_RATE_INFO_BITRATE.rawValue), [10, 0]))
      + attribute(
        Int(NL80211_STA_INFO_TX_BITRATE.rawValue),
        attribute(Int(NL80211_RATE_INFO_BITRATE.rawValue), [10, 0])
          + attribute(Int(NL80211_RATE_INFO_BITRATE32.rawValue), bytes(70000)))
    let info =
      rates + attribute(Int(NL80211_STA_INFO_SIGNAL.rawValue), [UInt8(bitPattern: -52)])
      + attribute(Int(NL80211_STA_INFO_RX_BYTES.rawValue), bytes(5))
      + attribute(Int(NL80211_STA_INFO_TX_BYTES.rawValue), bytes(6))
      + attribute(Int(NL80211_STA_INFO_TX_BYTES64.rawValue), wide(1 << 33))
      + attribute(Int(NL80211_STA_INFO_INACTIVE_TIME.rawValue), bytes(400))
    let dump = message(
      30,
      generic + attribute(Int(NL80211_ATTR_MAC.rawValue), [1, 2])
        + attribute(Int(NL80211_ATTR_STA_INFO.rawValue), info))
    let found = WirelessStation.all(in: dump.span.bytes, family)
    #expect(found.count == 1)
    #expect(found[0].receiveRate == 1_000_000 && found[0].transmitRate == 7_000_000_000)
    #expect(found[0].signal == -52 && found[0].receivedBytes == 5 && found[0].transmittedBytes == 1 << 33)
    #expect(found[0].address == [1, 2] && found[0].inactiveMilliseconds == 400)
  }

  /// Every decoder on real answers that were cut and changed, and on noise in the form of messages.
  @Test func survivesAnything() throws {
    var dumps = try [NetlinkRequest.links, .addresses, .ipv4Neighbours, .routes, .queueingDisciplines].map {
      try dump($0)
    }
    dumps.append(try dump(.tcpSockets(family: AF_INET), NetlinkSocket(.sockDiag)))
    var state: UInt64 = 11
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % max(bound, 1)
    }
    let types = [RTM_NEWLINK, RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWQDISC, Int(SOCK_DIAG_BY_FAMILY), 30]
    for round in 0..<4000 {
      var bytes = dumps[round % dumps.count]
      if round % 2 == 0 {
        let noise = (0..<random(200)).map { _ in UInt8(random(random(2) == 0 ? 256 : 32)) }
        bytes = message(types[random(types.count)], noise) + message(types[random(types.count)], noise)
      } else {
        for _ in 0..<1 + random(20) where !bytes.isEmpty { bytes[random(bytes.count)] = UInt8(random(256)) }
        bytes.removeLast(random(bytes.count))
      }
      decodeAll(bytes.span.bytes)
    }
  }

  private func decodeAll(_ dump: RawSpan) {
    _ = countedLinks(dump)
    _ = NetworkAddress.all(in: dump)
    NetworkNeighbour.forEach(in: dump) { _ in }
    NetworkRoute.forEach(in: dump) { route in
      _ = (dump.extracting(route.destination).byteCount, dump.extracting(route.source).byteCount)
      route.forEachHop(in: dump) { _ = dump.extracting($0.gateway).byteCount }
    }
    QueueingDiscipline.forEach(in: dump) { _ = dump.extracting($0.kind).byteCount }
    TCPSocket.forEach(in: dump) { _ in }
    EthernetLinkMode.forEach(in: dump, family) { _ in }
    _ = WirelessInterface.all(in: dump, family)
    _ = WirelessNetwork.first(in: dump, family)
    _ = WirelessStation.all(in: dump, family)
    _ = GenericFamily.number(in: dump, 30)
  }
}

@Suite struct EthtoolSocketTests {
  @Test(arguments: ["nosuchdevice", "", "a name that is longer than any"])
  func saysThatThereIsNoSuchDevice(_ name: String) {
    let socket = EthtoolSocket()
    #expect(throws: KernelError("ask the driver of", name, code: ENODEV)) { try socket.driverInformation(of: name) }
    #expect(throws: KernelError.self) { try socket.statistics(of: name) }
    #expect(throws: KernelError.self) { try socket.linkSettings(of: name) }
  }

  @Test func findsBits() {
    let modes = LinkModes(words: [1, 1 << 31])
    #expect([-1, 0, 1, 31, 32, 62, 63, 64, 1000].filter { modes.contains($0) } == [0, 63])
  }
}
