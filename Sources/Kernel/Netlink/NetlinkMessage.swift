// The form of what goes over netlink (netlink(7), Documentation/userspace-api/netlink): messages, which hold a fixed
// header of their table and attributes, which may hold attributes. Numbers are in this machine's byte order.

import Bytes
import CLinux
import Glibc

/// A question to the kernel, made once and asked at every scrape.
public struct NetlinkRequest: Sendable {
  let type: UInt16
  let flags: UInt16
  /// The table's header and attributes.
  private(set) var body: [UInt8]

  /// A question for a whole table.
  ///
  /// - Parameters:
  ///   - type: RTM_GETLINK, SOCK_DIAG_BY_FAMILY, a generic family's number, …
  ///   - header: what the table wants before attributes.
  init(dump type: Int, header: [UInt8]) {
    self.type = UInt16(truncatingIfNeeded: type)
    flags = UInt16(NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH)
    body = header
  }

  /// A question for one thing; the answer ends with an acknowledgement.
  init(get type: Int, header: [UInt8]) {
    self.type = UInt16(truncatingIfNeeded: type)
    flags = UInt16(NLM_F_REQUEST | NLM_F_ACK)
    body = header
  }

  /// The same question with one more attribute.
  func with(_ attribute: Int, _ value: [UInt8]) -> NetlinkRequest {
    var request = self
    request.body += Self.attribute(attribute, value)
    return request
  }

  /// An attribute as it stands in a message, or in another attribute.
  static func attribute(_ type: Int, _ value: [UInt8]) -> [UInt8] {
    let head = [UInt16(truncatingIfNeeded: 4 + value.count), UInt16(truncatingIfNeeded: type)]
    let padding = [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
    return head.flatMap { bytes(of: $0) } + value + padding
  }

  static func bytes(of value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value, Array.init) }
}

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

  /// The errno of an NLMSG_ERROR or NLMSG_DONE; nil when it tells of no error.
  func errorCode(in dump: RawSpan) -> Int32? {
    guard body.count >= 4 else { return type == UInt16(NLMSG_ERROR) ? EBADMSG : nil }
    let code = dump.native(Int32.self, at: body.lowerBound)
    return code == 0 ? nil : code == .min ? EBADMSG : abs(code)
  }
}

/// The messages of one type in a dump, from front to back.
struct NetlinkMessages {
  private let type: UInt16
  private let headerSize: Int
  private var position = 0

  /// - Parameter headerSize: what stands before the attributes; messages shorter than that are passed over.
  init(_ type: Int, headerSize: Int) {
    self.type = UInt16(truncatingIfNeeded: type)
    self.headerSize = headerSize
  }

  /// The place of the next message's header and its attributes; nil at the end.
  mutating func next(in dump: RawSpan) -> (header: Int, attributes: NetlinkAttributes)? {
    while let message = NetlinkMessage(in: dump, at: position) {
      position = message.end
      guard message.type == type, message.body.count >= headerSize else { continue }
      let header = message.body.lowerBound
      return (header, NetlinkAttributes(header + headerSize..<message.body.upperBound))
    }
    return nil
  }
}

/// A list of attributes, from front to back; it ends where the bytes are no attribute.
struct NetlinkAttributes {
  /// NLA_TYPE_MASK: without the flags for nested attributes and network byte order.
  private static let typeMask: UInt16 = 0x3fff

  private var offset: Int
  private let end: Int

  init(_ place: Range<Int>) {
    offset = place.lowerBound
    end = place.upperBound
  }

  /// The type of the next attribute, and the place of its value.
  mutating func next(in dump: RawSpan) -> (type: Int, place: Range<Int>)? {
    guard end - offset >= 4 else { return nil }
    let length = Int(dump.native(UInt16.self, at: offset))
    guard length >= 4, length <= end - offset else { return nil }
    let type = dump.native(UInt16.self, at: offset + 2) & Self.typeMask
    let place = offset + 4..<offset + length
    offset += (length + 3) & ~3
    return (Int(type), place)
  }
}

extension RawSpan {
  /// The number at an offset, in this machine's byte order, whatever its alignment.
  func native<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
    unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// The number that an attribute's value starts with; nil when the value is too short for one.
  func native<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, in place: Range<Int>) -> T? {
    place.count >= MemoryLayout<T>.size ? native(type, at: place.lowerBound) : nil
  }

  /// The part of the range before the first NUL.
  func withoutNUL(_ range: Range<Int>) -> Range<Int> {
    let length = extracting(range).firstIndex(of: 0) ?? range.count
    return range.lowerBound..<range.lowerBound + length
  }
}

extension ByteWriter {
  mutating func append<T: FixedWidthInteger>(native value: T) {
    Swift.withUnsafeBytes(of: value) { append($0) }
  }
}
