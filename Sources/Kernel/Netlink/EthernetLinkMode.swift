// How interfaces talk on their wires (ETHTOOL_MSG_LINKMODES_GET, Documentation/networking/ethtool-netlink.rst).

import Bytes
import CLinux

/// An interface's speed and duplex mode, for those whose driver tells.
public struct EthernetLinkMode {
  /// The name of the family that knows.
  public static let family = "ethtool"

  /// As in `NetworkLink.index`.
  public private(set) var index: Int32 = 0
  /// Megabits per second; 2^32 - 1 when it is not known.
  public private(set) var speed: UInt32?
  /// 0 half, 1 full, 255 unknown.
  public private(set) var duplex: UInt8?

  /// The question for all interfaces.
  public static func request(_ family: GenericFamily) -> NetlinkRequest {
    // ETHTOOL_FLAG_COMPACT_BITSETS spares the kernel the names of all modes.
    let flags = NetlinkRequest.attribute(
      ETHTOOL_A_HEADER_FLAGS, NetlinkRequest.bytes(of: UInt32(ETHTOOL_FLAG_COMPACT_BITSETS)))
    return family.dump(ETHTOOL_MSG_LINKMODES_GET)
      .with(ETHTOOL_A_LINKMODES_HEADER | Int(NLA_F_NESTED), flags)
  }

  /// Calls `visit` with each interface of an answer.
  public static func forEach(in dump: RawSpan, _ family: GenericFamily, _ visit: (EthernetLinkMode) -> Void) {
    var messages = family.messages
    while var (_, attributes) = messages.next(in: dump) {
      var mode = EthernetLinkMode()
      while let (type, place) = attributes.next(in: dump) {
        switch type {
        case ETHTOOL_A_LINKMODES_HEADER: mode.index = index(NetlinkAttributes(place), in: dump)
        case ETHTOOL_A_LINKMODES_SPEED: mode.speed = dump.native(UInt32.self, in: place)
        case ETHTOOL_A_LINKMODES_DUPLEX: mode.duplex = dump.native(UInt8.self, in: place)
        default: break
        }
      }
      if mode.index != 0 { visit(mode) }
    }
  }

  private static func index(_ header: NetlinkAttributes, in dump: RawSpan) -> Int32 {
    var header = header
    while let (type, place) = header.next(in: dump) {
      if type == ETHTOOL_A_HEADER_DEV_INDEX { return dump.native(Int32.self, in: place) ?? 0 }
    }
    return 0
  }
}
