// Queueing disciplines with their counters (RTM_GETQDISC, tc(8), Documentation/netlink/specs/tc.yaml).

import Bytes
import CLinux

extension NetlinkRequest {
  /// The queueing disciplines of all interfaces: see `QueueingDiscipline`.
  public static let queueingDisciplines = NetlinkRequest(
    dump: RTM_GETQDISC, header: [UInt8](repeating: 0, count: QueueingDiscipline.headerSize))
}

/// A queueing discipline in a dump of `.queueingDisciplines`.
public struct QueueingDiscipline {
  /// struct tcmsg.
  fileprivate static let headerSize = 20
  private static let rootParent = UInt32.max
  /// struct gnet_stats_basic: a u64 and a u32; and struct gnet_stats_queue: five u32.
  private static let basicSize = 12
  private static let queueSize = 20

  /// As in `NetworkLink.index`.
  public let index: Int32
  /// Whether it is an interface's own, not one below another.
  public let isRoot: Bool
  /// The place of its kind's name in the dump's bytes.
  public private(set) var kind = 0..<0
  public private(set) var bytes: UInt64 = 0
  public private(set) var packets: UInt64 = 0
  /// Packets that wait.
  public private(set) var queueLength: UInt32 = 0
  /// Bytes that wait.
  public private(set) var backlog: UInt32 = 0
  public private(set) var drops: UInt32 = 0
  public private(set) var requeues: UInt32 = 0
  public private(set) var overlimits: UInt32 = 0

  /// Calls `visit` with each queueing discipline.
  public static func forEach(in dump: RawSpan, _ visit: (QueueingDiscipline) -> Void) {
    var messages = NetlinkMessages(RTM_NEWQDISC, headerSize: headerSize)
    while let (header, attributes) = messages.next(in: dump) {
      visit(QueueingDiscipline(header, attributes, in: dump))
    }
  }

  private init(_ header: Int, _ attributes: NetlinkAttributes, in dump: RawSpan) {
    index = dump.native(Int32.self, at: header + 4)
    let parent = dump.native(UInt32.self, at: header + 12)
    isRoot = parent == Self.rootParent || parent == 0
    var attributes = attributes
    while let (type, place) = attributes.next(in: dump) {
      switch type {
      case Int(TCA_KIND): kind = dump.withoutNUL(place)
      case Int(TCA_STATS2): takeStatistics(NetlinkAttributes(place), in: dump)
      default: break
      }
    }
  }

  private mutating func takeStatistics(_ attributes: NetlinkAttributes, in dump: RawSpan) {
    var attributes = attributes
    var allPackets: UInt64?
    while let (type, place) = attributes.next(in: dump) {
      let start = place.lowerBound
      switch type {
      case Int(TCA_STATS_BASIC) where place.count >= Self.basicSize:
        bytes = dump.native(UInt64.self, at: start)
        packets = UInt64(dump.native(UInt32.self, at: start + 8))
      case Int(TCA_STATS_PKT64): allPackets = dump.native(UInt64.self, in: place)
      case Int(TCA_STATS_QUEUE) where place.count >= Self.queueSize:
        queueLength = dump.native(UInt32.self, at: start)
        backlog = dump.native(UInt32.self, at: start + 4)
        drops = dump.native(UInt32.self, at: start + 8)
        requeues = dump.native(UInt32.self, at: start + 12)
        overlimits = dump.native(UInt32.self, at: start + 16)
      default: break
      }
    }
    // It is there when 32 bits do not hold the number.
    if let allPackets { packets = allPackets }
  }
}
