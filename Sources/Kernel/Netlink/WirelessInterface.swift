// Wireless interfaces, the networks they are in, and the stations they hear (nl80211, include/uapi/linux/nl80211.h).

import Bytes
import CLinux
import Glibc

/// A wireless interface.
public struct WirelessInterface {
  /// The name of the family that knows.
  public static let family = "nl80211"

  /// As in `NetworkLink.index`.
  public private(set) var index: UInt32 = 0
  /// Empty for devices that are no network interface.
  public private(set) var name: [UInt8] = []
  public private(set) var address: [UInt8] = []
  /// MHz.
  public private(set) var frequency: UInt32 = 0

  /// The question for all interfaces.
  public static func request(_ family: GenericFamily) -> NetlinkRequest {
    family.dump(Int(NL80211_CMD_GET_INTERFACE.rawValue))
  }

  /// The question for the network that an interface is in.
  public func networkRequest(_ family: GenericFamily) -> NetlinkRequest {
    request(family, Int(NL80211_CMD_GET_SCAN.rawValue))
  }

  /// The question for the stations that an interface hears.
  public func stationsRequest(_ family: GenericFamily) -> NetlinkRequest {
    request(family, Int(NL80211_CMD_GET_STATION.rawValue))
  }

  private func request(_ family: GenericFamily, _ command: Int) -> NetlinkRequest {
    family.dump(command)
      .with(Int(NL80211_ATTR_IFINDEX.rawValue), NetlinkRequest.bytes(of: index))
      .with(Int(NL80211_ATTR_MAC.rawValue), address)
  }

  /// The interfaces of an answer.
  public static func all(in dump: RawSpan, _ family: GenericFamily) -> [WirelessInterface] {
    var interfaces: [WirelessInterface] = []
    var messages = family.messages
    while var (_, attributes) = messages.next(in: dump) {
      var interface = WirelessInterface()
      while let (type, place) = attributes.next(in: dump) {
        switch type {
        case Int(NL80211_ATTR_IFINDEX.rawValue): interface.index = dump.native(UInt32.self, in: place) ?? 0
        case Int(NL80211_ATTR_IFNAME.rawValue): interface.name = dump.extracting(dump.withoutNUL(place)).array
        case Int(NL80211_ATTR_MAC.rawValue): interface.address = dump.extracting(place).array
        case Int(NL80211_ATTR_WIPHY_FREQ.rawValue): interface.frequency = dump.native(UInt32.self, in: place) ?? 0
        default: break
        }
      }
      interfaces.append(interface)
    }
    return interfaces
  }
}

/// The network (BSS) that a wireless interface is in.
public struct WirelessNetwork {
  /// 0 authenticated, 1 associated, 2 joined without an access point.
  public private(set) var status: UInt32 = 0
  public private(set) var bssid: [UInt8] = []
  /// The network's name: up to 32 bytes of any kind.
  public private(set) var ssid: [UInt8] = []

  /// The first network of an answer that the interface is in; the others it only hears.
  public static func first(in dump: RawSpan, _ family: GenericFamily) -> WirelessNetwork? {
    var messages = family.messages
    while var (_, attributes) = messages.next(in: dump) {
      while let (type, place) = attributes.next(in: dump) {
        guard type == Int(NL80211_ATTR_BSS.rawValue), let network = network(NetlinkAttributes(place), in: dump) else {
          continue
        }
        return network
      }
    }
    return nil
  }

  private static func network(_ attributes: NetlinkAttributes, in dump: RawSpan) -> WirelessNetwork? {
    var attributes = attributes
    var network = WirelessNetwork()
    var isMember = false
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(NL80211_BSS_BSSID.rawValue): network.bssid = dump.extracting(place).array
      case Int(NL80211_BSS_INFORMATION_ELEMENTS.rawValue): network.ssid = ssid(dump.extracting(place))
      case Int(NL80211_BSS_STATUS.rawValue):
        guard let status = dump.native(UInt32.self, in: place) else { break }
        network.status = status
        isMember = true
      default: break
      }
    }
    return isMember ? network : nil
  }

  /// The element 0 of a beacon's elements: a byte for the kind, a byte for the length, the content (IEEE 802.11, 9.4.2).
  private static func ssid(_ elements: RawSpan) -> [UInt8] {
    var offset = 0
    while elements.byteCount - offset >= 2 {
      let start = offset + 2
      let length = Int(elements[offset + 1])
      guard length <= elements.byteCount - start else { break }
      if elements[offset] == 0 { return elements.extracting(start..<start + length).array }
      offset = start + length
    }
    return []
  }
}

/// A station that a wireless interface hears: the access point, or a client of it.
public struct WirelessStation {
  public private(set) var address: [UInt8] = []
  public private(set) var connectedSeconds: UInt32 = 0
  public private(set) var inactiveMilliseconds: UInt32 = 0
  public private(set) var receivedBytes: UInt64 = 0
  public private(set) var transmittedBytes: UInt64 = 0
  public private(set) var receivedPackets: UInt32 = 0
  public private(set) var transmittedPackets: UInt32 = 0
  /// Bits per second.
  public private(set) var receiveRate: UInt64 = 0
  public private(set) var transmitRate: UInt64 = 0
  /// dBm.
  public private(set) var signal: Int8 = 0
  public private(set) var transmitRetries: UInt32 = 0
  public private(set) var transmitFailed: UInt32 = 0
  public private(set) var beaconLoss: UInt32 = 0

  /// The stations of an answer.
  public static func all(in dump: RawSpan, _ family: GenericFamily) -> [WirelessStation] {
    var stations: [WirelessStation] = []
    var messages = family.messages
    while var (_, attributes) = messages.next(in: dump) {
      var station = WirelessStation()
      while let (type, place) = attributes.next(in: dump) {
        switch type {
        case Int(NL80211_ATTR_MAC.rawValue): station.address = dump.extracting(place).array
        case Int(NL80211_ATTR_STA_INFO.rawValue): station.take(NetlinkAttributes(place), in: dump)
        default: break
        }
      }
      stations.append(station)
    }
    return stations
  }

  private mutating func take(_ attributes: NetlinkAttributes, in dump: RawSpan) {
    var attributes = attributes
    var short: (received: UInt32, transmitted: UInt32) = (0, 0)
    func number(_ place: Range<Int>) -> UInt32 { dump.native(UInt32.self, in: place) ?? 0 }
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(NL80211_STA_INFO_CONNECTED_TIME.rawValue): connectedSeconds = number(place)
      case Int(NL80211_STA_INFO_INACTIVE_TIME.rawValue): inactiveMilliseconds = number(place)
      case Int(NL80211_STA_INFO_RX_BYTES.rawValue): short.received = number(place)
      case Int(NL80211_STA_INFO_TX_BYTES.rawValue): short.transmitted = number(place)
      case Int(NL80211_STA_INFO_RX_BYTES64.rawValue): receivedBytes = dump.native(UInt64.self, in: place) ?? 0
      case Int(NL80211_STA_INFO_TX_BYTES64.rawValue): transmittedBytes = dump.native(UInt64.self, in: place) ?? 0
      case Int(NL80211_STA_INFO_RX_PACKETS.rawValue): receivedPackets = number(place)
      case Int(NL80211_STA_INFO_TX_PACKETS.rawValue): transmittedPackets = number(place)
      case Int(NL80211_STA_INFO_RX_BITRATE.rawValue): receiveRate = Self.rate(NetlinkAttributes(place), in: dump)
      case Int(NL80211_STA_INFO_TX_BITRATE.rawValue): transmitRate = Self.rate(NetlinkAttributes(place), in: dump)
      case Int(NL80211_STA_INFO_SIGNAL.rawValue): signal = dump.native(Int8.self, in: place) ?? 0
      case Int(NL80211_STA_INFO_TX_RETRIES.rawValue): transmitRetries = number(place)
      case Int(NL80211_STA_INFO_TX_FAILED.rawValue): transmitFailed = number(place)
      case Int(NL80211_STA_INFO_BEACON_LOSS.rawValue): beaconLoss = number(place)
      default: break
      }
    }
    // Kernels before 3.10 count in 32 bits only.
    if receivedBytes == 0 { receivedBytes = UInt64(short.received) }
    if transmittedBytes == 0 { transmittedBytes = UInt64(short.transmitted) }
  }

  /// Units of 100 kbit/s, in 16 bits, or in 32 when there are more.
  private static func rate(_ attributes: NetlinkAttributes, in dump: RawSpan) -> UInt64 {
    var attributes = attributes
    var short: UInt16 = 0
    var long: UInt32?
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(NL80211_RATE_INFO_BITRATE.rawValue): short = dump.native(UInt16.self, in: place) ?? 0
      case Int(NL80211_RATE_INFO_BITRATE32.rawValue): long = dump.native(UInt32.self, in: place)
      default: break
      }
    }
    return UInt64(long ?? UInt32(short)) * 100_000
  }
}
