// Generic netlink (Documentation/networking/generic_netlink.rst): families that are found by their names.

import Bytes
import CLinux
import Glibc

/// A family of generic netlink: nl80211, ethtool.
public struct GenericFamily: Sendable {
  /// struct genlmsghdr.
  static let headerSize = 4

  /// The type of its messages.
  let number: Int

  init(number: Int) { self.number = number }

  /// Looks the family up.
  ///
  /// - Throws: an absence when the kernel has no such family.
  public init(
    _ name: String, by socket: NetlinkSocket, through buffer: inout ByteWriter
  ) throws(KernelError) {
    let controller = Int(NLMSG_MIN_TYPE)
    let request = NetlinkRequest(get: controller, header: Self.header(Int(CTRL_CMD_GETFAMILY)))
      .with(Int(CTRL_ATTR_FAMILY_NAME), Array(name.utf8) + [0])
    try socket.dump(request, into: &buffer)
    guard let number = buffer.withBytes({ Self.number(in: $0, controller) }) else {
      throw KernelError("find", name, code: ENOENT)
    }
    self.number = number
  }

  static func number(in answer: RawSpan, _ controller: Int) -> Int? {
    var messages = NetlinkMessages(controller, headerSize: headerSize)
    while var (_, attributes) = messages.next(in: answer) {
      while let (type, place) = attributes.next(in: answer) {
        if type == Int(CTRL_ATTR_FAMILY_ID), let number = answer.native(UInt16.self, in: place) { return Int(number) }
      }
    }
    return nil
  }

  /// A question for everything that a command tells.
  func dump(_ command: Int) -> NetlinkRequest { NetlinkRequest(dump: number, header: Self.header(command)) }

  /// The messages of an answer.
  var messages: NetlinkMessages { NetlinkMessages(number, headerSize: Self.headerSize) }

  private static func header(_ command: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: command), 1, 0, 0] }
}
