import Bytes
import Flags
import Kernel

/// Which network devices a collector shows: by its own flags, and by those for all network collectors.
struct NetworkDeviceFilter {
  private static let include = Flag(
    "collector.net.device-include", "",
    "Regexp of network devices to include in all network collectors (mutually exclusive to device-exclude).")
  private static let exclude = Flag(
    "collector.net.device-exclude", "",
    "Regexp of network devices to exclude from all network collectors (mutually exclusive to device-include).")
  /// They belong to no collector.
  static let flags = [include.definition, exclude.definition]

  private let own: NameFilter?
  private let common: NameFilter

  /// - Parameter own: the filter by the collector's own flags, if it has such.
  init(_ host: Host, own: NameFilter? = nil) throws(CollectorConfigurationError) {
    self.own = own
    common = try NameFilter(
      include: host.flags[Self.include], exclude: host.flags[Self.exclude],
      flags: "collector.net.device-exclude & collector.net.device-include")
  }

  /// Whether the device is to be left out.
  func isIgnored(_ name: RawSpan) -> Bool { common.isIgnored(name) || own?.isIgnored(name) == true }

  func isIgnored(_ name: String) -> Bool { isIgnored(name.utf8.span.bytes) }
}

/// The names of the interfaces by their numbers, as a dump of `.links` has them.
struct InterfaceNames {
  private var names: [Int32: [UInt8]] = [:]

  subscript(index: Int32) -> [UInt8]? { names[index] }

  /// Asks for them anew.
  mutating func read(by socket: NetlinkSocket, through buffer: inout ByteWriter) throws(KernelError) {
    try socket.dump(.links, into: &buffer)
    names = buffer.withBytes(Self.names)
  }

  private static func names(_ links: RawSpan) -> [Int32: [UInt8]] {
    var names: [Int32: [UInt8]] = [:]
    NetworkLink.forEach(in: links) { names[$0.index] = links.extracting($0.name).array }
    return names
  }
}

extension ByteWriter {
  /// Bytes in hexadecimal with colons between them, as link-layer addresses are shown.
  mutating func append(hardwareAddress bytes: RawSpan) {
    for offset in 0..<bytes.byteCount {
      if offset > 0 { append(UInt8(ascii: ":")) }
      append(hexDigit: bytes[offset] >> 4)
      append(hexDigit: bytes[offset] & 0xf)
    }
  }

  /// An address of 4 or 16 bytes as Go's net/netip writes it (RFC 5952, but IPv4 in IPv6 is shown as IPv4); others as
  /// nothing.
  mutating func append(internetAddress bytes: RawSpan) {
    if bytes.byteCount == 4 {
      for offset in 0..<4 {
        if offset > 0 { append(UInt8(ascii: ".")) }
        append(decimal: UInt64(bytes[offset]))
      }
    } else if bytes.byteCount == 16 {
      appendIPv6(bytes)
    }
  }

  private mutating func appendIPv6(_ bytes: RawSpan) {
    let groups = InlineArray<8, UInt16> { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
    var zeros = 0..<0
    var start = 0
    for index in 0...8 where index == 8 || groups[index] != 0 {
      if index - start > max(zeros.count, 1) { zeros = start..<index }
      start = index + 1
    }
    if zeros == 0..<5, groups[5] == 0xffff { return append(internetAddress: bytes.extracting(12..<16)) }
    var index = 0
    while index < 8 {
      if index == zeros.lowerBound, !zeros.isEmpty {
        append("::")
        index = zeros.upperBound
        continue
      }
      if index > 0, index != zeros.upperBound || zeros.isEmpty { append(UInt8(ascii: ":")) }
      append(hex: groups[index])
      index += 1
    }
  }

  /// Without leading zeros.
  private mutating func append(hex value: UInt16) {
    if value >= 0x1000 { append(hexDigit: UInt8(value >> 12)) }
    if value >= 0x100 { append(hexDigit: UInt8(value >> 8 & 0xf)) }
    if value >= 0x10 { append(hexDigit: UInt8(value >> 4 & 0xf)) }
    append(hexDigit: UInt8(value & 0xf))
  }

  private mutating func append(hexDigit value: UInt8) {
    append(value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10)
  }
}
