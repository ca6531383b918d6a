// Speaks rtnetlink (netlink(7), rtnetlink(7)): dumps of the network interfaces and of their addresses.

import Bytes
import CLinux
import Glibc

/// A socket to the kernel's routing tables, opened at the first dump and kept. It belongs to one thread at a time.
public final class NetlinkSocket {
  public enum Table: Sendable {
    /// RTM_GETLINK: see `NetworkLink`.
    case links
    /// RTM_GETADDR: see `NetworkAddress`.
    case addresses
  }

  /// Bytes that a dump may have: some 40,000 interfaces.
  private static let limit = 64 << 20
  /// A dump during which the table changed is asked for again; the last one is taken as it is.
  private static let attempts = 4
  /// Seconds that the kernel may take for one message.
  private static let timeout = 5

  private var descriptor: Int32 = -1
  private var sequence: UInt32 = 0

  public init() {}

  deinit { close() }

  /// Reads a whole table; `buffer` then holds its messages and nothing else.
  ///
  /// - Throws: when there is no netlink, it does not answer, or the answer is an error or too long.
  public func dump(_ table: Table, into buffer: inout ByteWriter) throws(KernelError) {
    do {
      for _ in 0..<Self.attempts {
        buffer.removeAll()
        if try dumpOnce(table, into: &buffer) { return }
      }
    } catch {
      // What is still under way would be taken for the answer to the next question.
      close()
      throw error
    }
  }

  /// False when the table changed meanwhile.
  private func dumpOnce(_ table: Table, into buffer: inout ByteWriter) throws(KernelError) -> Bool {
    if descriptor < 0 { try open() }
    sequence &+= 1
    try send(table)
    var isWhole = true
    var position = 0
    while true {
      try receive(into: &buffer)
      while let message = NetlinkMessage(in: buffer.bytes, at: position) {
        position = message.end
        guard message.sequence == sequence else { continue }
        if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isWhole = false }
        if message.type == UInt16(NLMSG_DONE) { return isWhole }
        if message.type == UInt16(NLMSG_ERROR) {
          throw KernelError("dump", "rtnetlink", code: message.errorCode(in: buffer.bytes))
        }
      }
      guard position == buffer.count else { throw KernelError("parse a message of", "rtnetlink", code: EBADMSG) }
      guard buffer.count <= Self.limit else { throw KernelError("dump", "rtnetlink", code: EMSGSIZE) }
    }
  }

  private func open() throws(KernelError) {
    descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
    guard descriptor >= 0 else { throw KernelError("open a socket of", "rtnetlink") }
    var patience = timeval(tv_sec: Self.timeout, tv_usec: 0)
    guard setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size)) == 0
    else { throw KernelError("set a time limit for", "rtnetlink") }
  }

  private func send(_ table: Table) throws(KernelError) {
    var request = ByteWriter(capacity: 64)
    let isLinks = table == .links
    let body = isLinks ? NetworkLink.headerSize : NetworkAddress.headerSize
    request.append(native: UInt32(NetlinkMessage.headerSize + body))
    request.append(native: UInt16(isLinks ? RTM_GETLINK : RTM_GETADDR))
    request.append(native: UInt16(NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH))
    request.append(native: sequence)
    request.append(native: UInt32(0))
    for _ in 0..<body { request.append(0) }
    let sent = request.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
    guard sent == request.count else { throw KernelError("ask", "rtnetlink") }
  }

  /// Appends one datagram, which holds whole messages.
  private func receive(into buffer: inout ByteWriter) throws(KernelError) {
    // The kernel makes datagrams as large as the largest buffer it was given, up to 32 KiB.
    let room = 32 << 10
    var failure: Int32 = 0
    var length = 0
    repeat {
      failure = 0
      buffer.append(capacity: room) { bytes in
        length = recv(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_TRUNC))
        if length < 0 { failure = errno }
        return min(max(length, 0), room)
      }
    } while failure == EINTR
    if failure == EAGAIN { failure = ETIMEDOUT }
    guard failure == 0 else { throw KernelError("read", "rtnetlink", code: failure) }
    guard length > 0, length <= room else { throw KernelError("read", "rtnetlink", code: EMSGSIZE) }
  }

  private func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}

/// NLA_TYPE_MASK: without the flags for nested attributes and network byte order.
private let attributeTypeMask: UInt16 = 0x3fff

/// The place of one message in a dump: its header's fields, and the bytes behind the header.
struct NetlinkMessage {
  static let headerSize = 16

  let type: UInt16
  let flags: UInt16
  let sequence: UInt32
  let body: Range<Int>
  /// Where the next message starts.
  let end: Int

  /// The message that starts at `offset`; nil at the end or when what stands there is no whole message.
  init?(in dump: RawSpan, at offset: Int) {
    guard offset >= 0, dump.byteCount - offset >= Self.headerSize else { return nil }
    let length = Int(dump.native(UInt32.self, at: offset))
    guard length >= Self.headerSize, length <= dump.byteCount - offset else { return nil }
    type = dump.native(UInt16.self, at: offset + 4)
    flags = dump.native(UInt16.self, at: offset + 6)
    sequence = dump.native(UInt32.self, at: offset + 8)
    body = offset + Self.headerSize..<offset + length
    end = min(offset + (length + 3) & ~3, dump.byteCount)
  }

  /// The errno of an NLMSG_ERROR.
  func errorCode(in dump: RawSpan) -> Int32 {
    guard body.count >= 4 else { return EBADMSG }
    return 0 &- dump.native(Int32.self, at: body.lowerBound)
  }

  /// Calls `body` with the type and the place of each attribute behind a header of the table.
  func forEachAttribute(in dump: RawSpan, behind header: Int, _ visit: (UInt16, Range<Int>) -> Void) {
    var offset = body.lowerBound + header
    while body.upperBound - offset >= 4 {
      let length = Int(dump.native(UInt16.self, at: offset))
      guard length >= 4, length <= body.upperBound - offset else { return }
      visit(dump.native(UInt16.self, at: offset + 2) & attributeTypeMask, offset + 4..<offset + length)
      offset += (length + 3) & ~3
    }
  }
}

/// A network interface in a dump. The ranges are places in the dump's bytes.
public struct NetworkLink {
  /// struct ifinfomsg.
  static let headerSize = 16
  /// The numbers of struct rtnl_link_stats64 that all kernels since 4.6 have.
  public static let statisticsCount = 24

  public let index: Int32
  public private(set) var name = 0..<0
  /// What an administrator wrote to the interface's ifalias; empty if nothing.
  public private(set) var alias = 0..<0
  private var statistics = 0..<0

  /// The counters, in the order of struct rtnl_link_stats64; nil when the message has none.
  public func statistics(in dump: RawSpan) -> InlineArray<24, UInt64>? {
    guard statistics.count >= Self.statisticsCount * 8 else { return nil }
    return InlineArray { dump.native(UInt64.self, at: statistics.lowerBound + $0 * 8) }
  }

  /// Calls `visit` with each interface of a dump of `.links` that has a name.
  public static func forEach(in dump: RawSpan, _ visit: (NetworkLink) -> Void) {
    var position = 0
    while let message = NetlinkMessage(in: dump, at: position) {
      position = message.end
      guard message.type == UInt16(RTM_NEWLINK), message.body.count >= headerSize else { continue }
      var link = NetworkLink(index: dump.native(Int32.self, at: message.body.lowerBound + 4))
      message.forEachAttribute(in: dump, behind: headerSize) { type, place in
        switch Int(type) {
        case Int(IFLA_IFNAME): link.name = dump.withoutNUL(place)
        case Int(IFLA_IFALIAS): link.alias = dump.withoutNUL(place)
        case Int(IFLA_STATS64): link.statistics = place
        default: break
        }
      }
      if !link.name.isEmpty { visit(link) }
    }
  }

  private init(index: Int32) { self.index = index }
}

/// An address of an interface in a dump.
public struct NetworkAddress {
  /// struct ifaddrmsg.
  static let headerSize = 8

  /// As in `NetworkLink.index`.
  public let index: Int32
  public let prefixLength: UInt8
  /// 4 or 16 bytes in network order.
  public let address: [UInt8]

  /// The addresses of a dump of `.addresses`: of a point-to-point interface the near end.
  public static func all(in dump: RawSpan) -> [NetworkAddress] {
    var addresses: [NetworkAddress] = []
    var position = 0
    while let message = NetlinkMessage(in: dump, at: position) {
      position = message.end
      guard message.type == UInt16(RTM_NEWADDR), message.body.count >= headerSize else { continue }
      var local: Range<Int>?
      var address: Range<Int>?
      message.forEachAttribute(in: dump, behind: headerSize) { type, place in
        switch Int(type) {
        case Int(IFA_LOCAL): local = place
        case Int(IFA_ADDRESS): address = place
        default: break
        }
      }
      let size = Int32(dump[message.body.lowerBound]) == AF_INET ? 4 : 16
      guard let place = local ?? address, place.count == size else { continue }
      addresses.append(
        NetworkAddress(
          index: dump.native(Int32.self, at: message.body.lowerBound + 4),
          prefixLength: dump[message.body.lowerBound + 1], address: dump.extracting(place).array))
    }
    return addresses
  }
}

extension RawSpan {
  /// The number at an offset, in this machine's byte order, whatever its alignment.
  fileprivate func native<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
    unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// The part of the range before the first NUL.
  fileprivate func withoutNUL(_ range: Range<Int>) -> Range<Int> {
    let length = extracting(range).firstIndex(of: 0) ?? range.count
    return range.lowerBound..<range.lowerBound + length
  }
}

extension ByteWriter {
  fileprivate mutating func append<T: FixedWidthInteger>(native value: T) {
    Swift.withUnsafeBytes(of: value) { append($0) }
  }
}
