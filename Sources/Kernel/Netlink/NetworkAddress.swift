// Addresses of interfaces (RTM_GETADDR) and of their neighbours (RTM_GETNEIGH): rtnetlink(7).

import Bytes
import CLinux
import Glibc

extension NetlinkRequest {
  /// All addresses of all interfaces: see `NetworkAddress`.
  public static let addresses = NetlinkRequest(
    dump: RTM_GETADDR, header: [UInt8](repeating: 0, count: NetworkAddress.headerSize))

  /// The IPv4 neighbours that are known, by ARP or by hand: see `NetworkNeighbour`.
  public static let ipv4Neighbours = NetlinkRequest(
    dump: RTM_GETNEIGH,
    header: [UInt8(AF_INET)] + [UInt8](repeating: 0, count: NetworkNeighbour.headerSize - 1))
}

/// An address of an interface in a dump of `.addresses`.
public struct NetworkAddress {
  /// struct ifaddrmsg.
  fileprivate static let headerSize = 8

  /// As in `NetworkLink.index`.
  public let index: Int32
  public let prefixLength: UInt8
  /// 4 or 16 bytes in network order.
  public let address: [UInt8]

  /// The addresses of a dump: of a point-to-point interface the near end.
  public static func all(in dump: RawSpan) -> [NetworkAddress] {
    var addresses: [NetworkAddress] = []
    var messages = NetlinkMessages(RTM_NEWADDR, headerSize: headerSize)
    while let (header, found) = messages.next(in: dump) {
      var attributes = found
      var local: Range<Int>?
      var address: Range<Int>?
      while let (type, place) = attributes.next(in: dump) {
        switch type {
        case Int(IFA_LOCAL): local = place
        case Int(IFA_ADDRESS): address = place
        default: break
        }
      }
      let size = Int32(dump[header]) == AF_INET ? 4 : 16
      guard let place = local ?? address, place.count == size else { continue }
      addresses.append(
        NetworkAddress(
          index: dump.native(Int32.self, at: header + 4), prefixLength: dump[header + 1],
          address: dump.extracting(place).array))
    }
    return addresses
  }
}

/// A neighbour in a dump of `.ipv4Neighbours`.
public struct NetworkNeighbour {
  /// struct ndmsg.
  fileprivate static let headerSize = 12

  /// As in `NetworkLink.index`.
  public let index: Int32
  /// NUD_… bits; none when the kernel has only made room for the neighbour.
  public let state: UInt16

  /// Whether the neighbour's address was not asked for by ARP and need not be.
  public var needsNoARP: Bool { state & UInt16(NUD_NOARP) != 0 }

  /// Calls `visit` with each neighbour of IPv4.
  public static func forEach(in dump: RawSpan, _ visit: (NetworkNeighbour) -> Void) {
    var messages = NetlinkMessages(RTM_NEWNEIGH, headerSize: headerSize)
    while let (header, _) = messages.next(in: dump) {
      guard Int32(dump[header]) == AF_INET else { continue }
      visit(
        NetworkNeighbour(
          index: dump.native(Int32.self, at: header + 4), state: dump.native(UInt16.self, at: header + 8)))
    }
  }
}
