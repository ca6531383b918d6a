// Network interfaces (RTM_GETLINK, rtnetlink(7), Documentation/netlink/specs/rt-link.yaml).

import Bytes
import CLinux
import Glibc

extension NetlinkRequest {
  /// All interfaces with their counters, but without those that IPv6 has for each, which take the kernel longer than
  /// all the rest: see `NetworkLink`.
  public static let links = NetlinkRequest(dump: RTM_GETLINK, header: NetworkLink.emptyHeader)
    .with(Int(IFLA_EXT_MASK), NetlinkRequest.bytes(of: UInt32(RTEXT_FILTER_SKIP_STATS)))
}

/// A network interface in a dump of `.links`. The ranges are places in the dump's bytes; what is nil the kernel did
/// not tell.
public struct NetworkLink {
  /// struct ifinfomsg.
  private static let headerSize = 16
  fileprivate static let emptyHeader = [UInt8](repeating: 0, count: headerSize)
  /// The numbers of struct rtnl_link_stats64 that all kernels since 4.6 have.
  private static let statisticsCount = 24

  public let index: Int32
  /// ARPHRD_… (include/uapi/linux/if_arp.h).
  public let hardwareType: UInt16
  /// IFF_… (netdevice(7)) as programs see them: promiscuous only if an administrator said so.
  public let flags: UInt32
  public private(set) var name = 0..<0
  /// What an administrator wrote to the interface's ifalias; empty if nothing.
  public private(set) var alias = 0..<0
  public private(set) var address = 0..<0
  public private(set) var broadcast = 0..<0
  public private(set) var mtu: UInt32?
  /// The interface below or at the other end; nil when it is the interface itself.
  public private(set) var link: Int32?
  public private(set) var transmitQueueLength: UInt32?
  /// IF_OPER_… (RFC 2863): 6 is up.
  public private(set) var operationalState: UInt8?
  public private(set) var linkMode: UInt8?
  public private(set) var carrier: UInt8?
  public private(set) var carrierChanges: UInt32?
  public private(set) var carrierUpCount: UInt32?
  public private(set) var carrierDownCount: UInt32?
  public private(set) var group: UInt32?
  /// How many want the interface to be promiscuous, and to take all multicast (since Linux 6.0).
  public private(set) var promiscuity: UInt32?
  public private(set) var allMulticast: UInt32?
  private var statistics = 0..<0
  private var properties = 0..<0

  /// The counters, in the order of struct rtnl_link_stats64; nil when the message has none.
  public func statistics(in dump: RawSpan) -> InlineArray<24, UInt64>? {
    guard statistics.count >= Self.statisticsCount * 8 else { return nil }
    return InlineArray { dump.native(UInt64.self, at: statistics.lowerBound + $0 * 8) }
  }

  /// Calls `visit` with the place of each other name of the interface.
  public func forEachAlternativeName(in dump: RawSpan, _ visit: (Range<Int>) -> Void) {
    var attributes = NetlinkAttributes(properties)
    while let (type, place) = attributes.next(in: dump) {
      if type == Int(IFLA_ALT_IFNAME) { visit(dump.withoutNUL(place)) }
    }
  }

  /// The present name of an interface; nil when it is gone. For a few interfaces this is cheaper than a dump.
  public static func name(ofIndex index: Int32) -> [UInt8]? {
    var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    guard if_indextoname(UInt32(bitPattern: index), &name) != nil else { return nil }
    return name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
  }

  /// Calls `visit` with each interface of a dump that has a name.
  public static func forEach(in dump: RawSpan, _ visit: (NetworkLink) -> Void) {
    var messages = NetlinkMessages(RTM_NEWLINK, headerSize: headerSize)
    while let (header, attributes) = messages.next(in: dump) {
      let link = NetworkLink(header, attributes, in: dump)
      if !link.name.isEmpty { visit(link) }
    }
  }

  private init(_ header: Int, _ attributes: NetlinkAttributes, in dump: RawSpan) {
    hardwareType = dump.native(UInt16.self, at: header + 2)
    index = dump.native(Int32.self, at: header + 4)
    flags = dump.native(UInt32.self, at: header + 8)
    var attributes = attributes
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(IFLA_IFNAME): name = dump.withoutNUL(place)
      case Int(IFLA_IFALIAS): alias = dump.withoutNUL(place)
      case Int(IFLA_ADDRESS): address = place
      case Int(IFLA_BROADCAST): broadcast = place
      case Int(IFLA_MTU): mtu = dump.native(UInt32.self, in: place)
      case Int(IFLA_LINK): link = dump.native(Int32.self, in: place)
      case Int(IFLA_TXQLEN): transmitQueueLength = dump.native(UInt32.self, in: place)
      case Int(IFLA_OPERSTATE): operationalState = dump.native(UInt8.self, in: place)
      case Int(IFLA_LINKMODE): linkMode = dump.native(UInt8.self, in: place)
      case Int(IFLA_CARRIER): carrier = dump.native(UInt8.self, in: place)
      case Int(IFLA_CARRIER_CHANGES): carrierChanges = dump.native(UInt32.self, in: place)
      case Int(IFLA_CARRIER_UP_COUNT): carrierUpCount = dump.native(UInt32.self, in: place)
      case Int(IFLA_CARRIER_DOWN_COUNT): carrierDownCount = dump.native(UInt32.self, in: place)
      case Int(IFLA_GROUP): group = dump.native(UInt32.self, in: place)
      case Int(IFLA_PROMISCUITY): promiscuity = dump.native(UInt32.self, in: place)
      case Int(IFLA_ALLMULTI): allMulticast = dump.native(UInt32.self, in: place)
      case Int(IFLA_STATS64): statistics = place
      case Int(IFLA_PROP_LIST): properties = place
      default: break
      }
    }
  }
}
