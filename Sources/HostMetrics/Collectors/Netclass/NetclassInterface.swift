import Bytes
import Exposition
import Glibc
import Kernel

/// What the netclass collector knows of a network interface, by whatever way. Kept from scrape to scrape.
final class NetclassInterface {
  /// The properties that are numbers: the file of each below /sys/class/net/NAME, and the metric.
  enum Property: Int, CaseIterable {
    case addressAssignType, carrier, carrierChanges, carrierUpCount, carrierDownCount, deviceID, dormant, flags, index
    case link, linkMode, mtu, nameAssignType, group, speed, transmitQueueLength, type
  }

  static let properties: [(file: String, metric: String)] = [
    ("addr_assign_type", "address_assign_type"), ("carrier", "carrier"), ("carrier_changes", "carrier_changes_total"),
    ("carrier_up_count", "carrier_up_changes_total"), ("carrier_down_count", "carrier_down_changes_total"),
    ("dev_id", "device_id"), ("dormant", "dormant"), ("flags", "flags"), ("ifindex", "iface_id"),
    ("iflink", "iface_link"), ("link_mode", "iface_link_mode"), ("mtu", "mtu_bytes"),
    ("name_assign_type", "name_assign_type"), ("netdev_group", "net_dev_group"), ("speed", "speed_bytes"),
    ("tx_queue_len", "transmit_queue_length"), ("type", "protocol_type"),
  ]

  /// The texts in place of IF_OPER_… (net/core/net-sysfs.c).
  private static let operationalStates = [
    "unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up",
  ].map { Array($0.utf8) }

  let name: [UInt8]
  let text: String
  let isIgnored: Bool
  /// What the kernel does not tell, or the interface does not have, is nil.
  private var numbers = [Int64?](repeating: nil, count: Property.allCases.count)
  private(set) var address = HardwareAddress()
  private(set) var broadcast = HardwareAddress()
  private(set) var duplex: [UInt8] = []
  private(set) var alias: [UInt8] = []
  private(set) var operationalState: [UInt8] = []
  private(set) var alternativeNames: [[UInt8]] = []
  private(set) var counters: InlineArray<24, UInt64>?
  /// Whether the last dump told all that makes up the flags: since Linux 6.0.
  private(set) var hasAllFlags = false
  /// The number under which netlink was seen to mean the interface that sysfs shows by this name; 0 for none.
  var trustedIndex: Int64 = 0
  /// The address of which a file has told where it comes from.
  private var knownAddress: [UInt8] = []

  init(_ name: [UInt8], isIgnored: Bool) {
    self.name = name
    self.isIgnored = isIgnored
    text = String(decoding: name, as: UTF8.self)
  }

  subscript(property: Property) -> Int64? {
    get { numbers[property.rawValue] }
    set { numbers[property.rawValue] = newValue }
  }

  /// IFF_UP.
  var isUp: Bool? { self[.flags].map { $0 & 1 != 0 } }

  var isOperational: Bool { operationalState == Self.operationalStates[6] }

  /// Whether all that may have changed since the files were read is what netlink tells.
  var isToldByNetlink: Bool { trustedIndex == self[.index] && hasAllFlags && knownAddress == address.text }

  // MARK: By files

  /// Reads where the interface's address comes from, which netlink does not tell.
  ///
  /// - Returns: whether the file is there.
  func readAddressOrigin(from directory: borrowing AttributeDirectory, through buffer: inout ByteWriter) -> Bool {
    knownAddress = address.text
    return read(.addressAssignType, from: directory, through: &buffer)
  }

  /// Reads everything.
  ///
  /// - Returns: whether anything could be read: else the interface is gone.
  func read(from directory: borrowing AttributeDirectory, through buffer: inout ByteWriter) -> Bool {
    var isThere = false
    for property in Property.allCases {
      if read(property, from: directory, through: &buffer) { isThere = true }
    }
    func text(_ file: String) -> [UInt8] {
      guard readFile(file, from: directory, through: &buffer) else { return [] }
      isThere = true
      return Self.trimmed(buffer.bytes)
    }
    address = HardwareAddress(text: text("address"))
    broadcast = HardwareAddress(text: text("broadcast"))
    duplex = text("duplex")
    alias = text("ifalias")
    operationalState = text("operstate")
    return isThere
  }

  /// What is read when netlink does not tell how fast interfaces are.
  func readSpeed(from directory: borrowing AttributeDirectory, through buffer: inout ByteWriter) {
    _ = read(.speed, from: directory, through: &buffer)
    duplex = readFile("duplex", from: directory, through: &buffer) ? Self.trimmed(buffer.bytes) : []
  }

  /// - Returns: whether the file is there; it may still hold no number.
  func read(
    _ property: Property, from directory: borrowing AttributeDirectory, through buffer: inout ByteWriter
  ) -> Bool {
    let isThere = readFile(Self.properties[property.rawValue].file, from: directory, through: &buffer)
    self[property] = isThere ? Self.number(buffer.bytes.trimmed) : nil
    return isThere
  }

  /// What cannot be read is as if it were not there: the kernel refuses what does not apply to an interface.
  private func readFile(
    _ file: String, from directory: borrowing AttributeDirectory, through buffer: inout ByteWriter
  ) -> Bool {
    do {
      try directory.read("\(text)/\(file)", into: &buffer)
      return true
    } catch {
      return false
    }
  }

  private static func trimmed(_ text: RawSpan) -> [UInt8] { text.trimmed.array }

  private static func number(_ text: RawSpan) -> Int64? {
    guard text.starts(with: "0x") else { return Int64(decimal: text) }
    return UInt64(hex: text).flatMap(Int64.init(exactly:))
  }

  // MARK: By netlink

  /// Takes what a dump tells, in the form that the files have it.
  func take(_ link: NetworkLink, in dump: RawSpan) {
    takeCommon(link, in: dump)
    let isUp = link.flags & UInt32(IFF_UP) != 0
    self[.carrier] = isUp ? link.carrier.map(Int64.init) : nil
    self[.dormant] = isUp ? (link.flags >> 17 & 1 == 1 ? 1 : 0) : nil
    // What an administrator set and what others need are two things; the file has what is in force.
    var flags = link.flags & 0xffff & ~UInt32(IFF_PROMISC | IFF_ALLMULTI | IFF_RUNNING)
    if link.promiscuity ?? 0 > 0 { flags |= UInt32(IFF_PROMISC) }
    hasAllFlags = link.promiscuity != nil && link.allMulticast != nil
    if link.allMulticast ?? 0 > 0 { flags |= UInt32(IFF_ALLMULTI) }
    self[.flags] = Int64(flags | link.flags & Self.echo)
    self[.link] = Int64(link.link ?? link.index)
  }

  /// IFF_ECHO, which CAN interfaces have; the other flags above the lowest sixteen tell of states.
  private static let echo: UInt32 = 1 << 18

  /// Takes what a dump tells as node_exporter's netlink mode shows it.
  func takeAsTold(_ link: NetworkLink, in dump: RawSpan) {
    takeCommon(link, in: dump)
    self[.carrier] = link.carrier.map(Int64.init)
    self[.dormant] = link.linkMode.map(Int64.init)
    self[.flags] = Int64(link.flags)
    self[.link] = Int64(link.link.flatMap { $0 > 0 ? $0 : nil } ?? link.index)
    counters = link.statistics(in: dump)
    alternativeNames.removeAll(keepingCapacity: true)
    link.forEachAlternativeName(in: dump) { alternativeNames.append(dump.extracting($0).array) }
  }

  private func takeCommon(_ link: NetworkLink, in dump: RawSpan) {
    func signed(_ value: UInt32?) -> Int64? { value.map { Int64(Int32(bitPattern: $0)) } }
    self[.carrierChanges] = signed(link.carrierChanges)
    self[.carrierUpCount] = signed(link.carrierUpCount)
    self[.carrierDownCount] = signed(link.carrierDownCount)
    self[.index] = Int64(link.index)
    self[.linkMode] = link.linkMode.map(Int64.init)
    self[.mtu] = signed(link.mtu)
    self[.group] = signed(link.group)
    self[.transmitQueueLength] = signed(link.transmitQueueLength)
    self[.type] = Int64(link.hardwareType)
    self[.speed] = nil
    duplex = []
    address.take(dump.extracting(link.address))
    broadcast.take(dump.extracting(link.broadcast))
    if !alias.isEmpty || !link.alias.isEmpty { alias = Self.trimmed(dump.extracting(link.alias)) }
    let state = Int(link.operationalState ?? 0)
    operationalState = state < Self.operationalStates.count ? Self.operationalStates[state] : []
  }

  /// Takes what a driver tells of the wire; the words are for half, full and unknown.
  func take(_ mode: EthernetLinkMode, words: (half: [UInt8], full: [UInt8], unknown: [UInt8]), isSigned: Bool) {
    self[.speed] = mode.speed.map { isSigned ? Int64(Int32(bitPattern: $0)) : Int64($0) }
    duplex = mode.duplex == 0 ? words.half : mode.duplex == 1 ? words.full : words.unknown
  }
}

/// A link-layer address, and its text, which is made anew only when the address is another one.
struct HardwareAddress {
  private var bytes: [UInt8] = []
  private(set) var text: [UInt8] = []

  init() {}
  init(text: [UInt8]) { self.text = text }

  mutating func take(_ address: RawSpan) {
    guard bytes.isEmpty || !bytes.span.bytes.equals(address) else { return }
    bytes = address.array
    var writer = ByteWriter(capacity: 64)
    writer.append(hardwareAddress: address)
    text = writer.bytes.array
  }
}
