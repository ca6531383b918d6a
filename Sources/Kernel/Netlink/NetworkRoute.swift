// Routes (RTM_GETROUTE): rtnetlink(7).

import Bytes
import CLinux
import Glibc

extension NetlinkRequest {
  /// The routes of all tables and families: see `NetworkRoute`.
  public static let routes = NetlinkRequest(
    dump: RTM_GETROUTE, header: [UInt8](repeating: 0, count: NetworkRoute.headerSize))
}

/// A route in a dump of `.routes`. The ranges are places in the dump's bytes: addresses of 4 or 16 bytes in network
/// order, or nothing.
public struct NetworkRoute {
  /// struct rtmsg.
  fileprivate static let headerSize = 12
  /// struct rtnexthop.
  private static let hopSize = 8

  /// One of the ways that a route may take.
  public struct Hop {
    /// As in `NetworkLink.index`; 0 when the route leads to no interface.
    public var index: Int32 = 0
    public var gateway = 0..<0
    /// Its share among the others; 0 when it is the only one.
    public var weight = 0
  }

  /// Whether it leads somewhere (RTN_UNICAST), not to this host, to all, or to nowhere.
  public let isUnicast: Bool
  /// RTPROT_…: who made it.
  public let origin: UInt8
  public let prefixLength: UInt8
  public private(set) var destination = 0..<0
  public private(set) var source = 0..<0
  public private(set) var priority: UInt32 = 0
  private var only = Hop()
  private var hops = 0..<0

  /// Calls `visit` with each route.
  public static func forEach(in dump: RawSpan, _ visit: (NetworkRoute) -> Void) {
    var messages = NetlinkMessages(RTM_NEWROUTE, headerSize: headerSize)
    while let (header, attributes) = messages.next(in: dump) {
      visit(NetworkRoute(header, attributes, in: dump))
    }
  }

  /// Calls `visit` with each of the ways that the route may take, at least one.
  public func forEachHop(in dump: RawSpan, _ visit: (Hop) -> Void) {
    guard hops.count >= Self.hopSize else { return visit(only) }
    var offset = hops.lowerBound
    while hops.upperBound - offset >= Self.hopSize {
      let length = Int(dump.native(UInt16.self, at: offset))
      guard length >= Self.hopSize, length <= hops.upperBound - offset else { return }
      var hop = Hop(index: dump.native(Int32.self, at: offset + 4), weight: Int(dump[offset + 3]) + 1)
      var attributes = NetlinkAttributes(offset + Self.hopSize..<offset + length)
      while let (type, place) = attributes.next(in: dump) { hop.take(type, place) }
      visit(hop)
      offset += (length + 3) & ~3
    }
  }

  private init(_ header: Int, _ attributes: NetlinkAttributes, in dump: RawSpan) {
    prefixLength = dump[header + 1]
    origin = dump[header + 5]
    isUnicast = dump[header + 7] == UInt8(RTN_UNICAST)
    var attributes = attributes
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(RTA_DST.rawValue): destination = place
      case Int(RTA_PREFSRC.rawValue): source = place
      case Int(RTA_PRIORITY.rawValue): priority = dump.native(UInt32.self, in: place) ?? 0
      case Int(RTA_OIF.rawValue): only.index = dump.native(Int32.self, in: place) ?? 0
      case Int(RTA_MULTIPATH.rawValue): hops = place
      default: only.take(type, place)
      }
    }
  }
}

extension NetworkRoute.Hop {
  /// struct rtvia: before the address stands its family.
  fileprivate mutating func take(_ type: Int, _ place: Range<Int>) {
    switch type {
    case Int(RTA_GATEWAY.rawValue): gateway = place
    case Int(RTA_VIA.rawValue) where place.count > 2: gateway = place.lowerBound + 2..<place.upperBound
    default: break
    }
  }
}
