// ioctl(2): requests with a structure that the kernel reads and fills; and SIOCETHTOOL, the questions to the driver of
// a network device (netdevice(7), include/uapi/linux/ethtool.h).

import Bytes
import CLinux
import Glibc

public enum Ioctl {
  /// Hands the kernel a structure, which it reads and may change.
  ///
  /// - Parameters:
  ///   - descriptor: an open file, directory or socket.
  ///   - structure: as large as the request wants it; the kernel does not know how large it is.
  ///   - operation: for the error's text, as is `subject`.
  public static func call(
    _ descriptor: Int32, _ request: UInt, _ structure: UnsafeMutableRawPointer, operation: String, subject: String
  ) throws(KernelError) {
    while clinux_ioctl(descriptor, request, structure) < 0 {
      guard errno == EINTR else { throw KernelError(operation, subject) }
    }
  }
}

/// What a driver says of itself.
public struct DriverInformation: Equatable, Sendable {
  public let driver, version, firmwareVersion, busInformation, expansionROMVersion: String
}

/// The ways in which a device can talk on its wire, and in which it offers to.
public struct LinkSettings: Equatable, Sendable {
  public let isAutonegotiating: Bool
  /// Sets of ETHTOOL_LINK_MODE_…_BIT.
  public let supported, advertised: LinkModes
}

/// A set of ETHTOOL_LINK_MODE_…_BIT.
public struct LinkModes: Equatable, Sendable {
  let words: [UInt32]

  public func contains(_ bit: Int) -> Bool {
    bit >= 0 && bit / 32 < words.count && words[bit / 32] & (1 << UInt32(bit % 32)) != 0
  }
}

/// A socket to the drivers of network devices, opened at the first question and kept. It belongs to one thread at a
/// time.
public final class EthtoolSocket {
  /// How many counters of its own a driver may have.
  private static let maximumCounters = 32768
  /// Room for counters that the driver got since it said how many there are: the kernel writes them all.
  private static let spareCounters = 1024
  private static let stringSize = Int(ETH_GSTRING_LEN)

  private var descriptor: Int32 = -1
  private var buffer: [UInt8] = []

  public init() {}

  deinit {
    if descriptor >= 0 { _ = close(descriptor) }
  }

  public func driverInformation(of device: String) throws(KernelError) -> DriverInformation {
    try ask(device, Int(ETHTOOL_GDRVINFO), size: MemoryLayout<ethtool_drvinfo>.size)
    func text(_ field: PartialKeyPath<ethtool_drvinfo>, _ size: Int32) -> String {
      guard let offset = MemoryLayout<ethtool_drvinfo>.offset(of: field) else { return "" }
      return String(decoding: buffer[offset..<offset + Int(size)].prefix { $0 != 0 }, as: UTF8.self)
    }
    return DriverInformation(
      driver: text(\.driver, 32), version: text(\.version, 32), firmwareVersion: text(\.fw_version, ETHTOOL_FWVERS_LEN),
      busInformation: text(\.bus_info, ETHTOOL_BUSINFO_LEN),
      expansionROMVersion: text(\.erom_version, ETHTOOL_EROMVERS_LEN))
  }

  /// The driver's own counters with their names, as it gives them.
  public func statistics(of device: String) throws(KernelError) -> [(name: [UInt8], value: UInt64)] {
    try ask(device, Int(ETHTOOL_GDRVINFO), size: MemoryLayout<ethtool_drvinfo>.size)
    let count = Int(number(at: MemoryLayout<ethtool_drvinfo>.offset(of: \.n_stats) ?? 0))
    guard count > 0 else { return [] }
    guard count <= Self.maximumCounters else { throw KernelError("read the counters of", device, code: EMSGSIZE) }

    let head = MemoryLayout<ethtool_gstrings>.size
    let room = count + Self.spareCounters
    try ask(
      device, Int(ETHTOOL_GSTRINGS), UInt32(ETH_SS_STATS.rawValue), UInt32(count), size: head + room * Self.stringSize)
    let names = (0..<min(count, Int(number(at: 8)))).map { index in
      let start = head + index * Self.stringSize
      return Array(buffer[start..<start + Self.stringSize].prefix { $0 != 0 })
    }

    let statisticsHead = MemoryLayout<ethtool_stats>.size
    try ask(device, Int(ETHTOOL_GSTATS), UInt32(count), size: statisticsHead + room * 8)
    let values = min(names.count, Int(number(at: 4)))
    return (0..<values).map { index in
      let value = buffer.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: statisticsHead + index * 8, as: UInt64.self)
      }
      return (names[index], value)
    }
  }

  /// Asked twice: first the kernel says, as a negative number, how many words its sets have.
  public func linkSettings(of device: String) throws(KernelError) -> LinkSettings {
    let head = MemoryLayout<ethtool_link_settings>.size
    let place = MemoryLayout<ethtool_link_settings>.offset(of: \.link_mode_masks_nwords) ?? 0
    try ask(device, Int(ETHTOOL_GLINKSETTINGS), size: head)
    let words = -Int(Int8(bitPattern: buffer[place]))
    guard words > 0 else { throw KernelError("read the settings of", device, code: EOPNOTSUPP) }
    // Three sets: supported, advertised, and the other end's.
    resize(head + 3 * 4 * words)
    buffer[place] = UInt8(words)
    try ask(device, Int(ETHTOOL_GLINKSETTINGS))
    guard Int(buffer[place]) == words else { throw KernelError("read the settings of", device, code: EBADMSG) }
    let autonegotiation = MemoryLayout<ethtool_link_settings>.offset(of: \.autoneg) ?? 0
    return LinkSettings(
      isAutonegotiating: buffer[autonegotiation] != 0,
      supported: LinkModes(words: (0..<words).map { number(at: head + 4 * $0) }),
      advertised: LinkModes(words: (0..<words).map { number(at: head + 4 * (words + $0)) }))
  }

  /// A structure of `size` zero bytes but for the numbers behind the command's.
  private func ask(_ device: String, _ command: Int, _ numbers: UInt32..., size: Int) throws(KernelError) {
    resize(size)
    for (index, value) in numbers.enumerated() { store(value, at: 4 + 4 * index) }
    try ask(device, command)
  }

  private func ask(_ device: String, _ command: Int) throws(KernelError) {
    if descriptor < 0 {
      descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { throw KernelError("open a socket for", "ethtool") }
    }
    store(UInt32(command), at: 0)
    var request = ifreq()
    let name = Array(device.utf8)
    guard !name.isEmpty, name.count < Int(IFNAMSIZ) else {
      throw KernelError("ask the driver of", device, code: ENODEV)
    }
    // The name is the structure's first field.
    withUnsafeMutableBytes(of: &request) { $0.copyBytes(from: name) }
    var failure: KernelError?
    buffer.withUnsafeMutableBytes { bytes in
      request.ifr_ifru.ifru_data = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
      do throws(KernelError) {
        try Ioctl.call(descriptor, UInt(SIOCETHTOOL), &request, operation: "ask the driver of", subject: device)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func resize(_ size: Int) {
    buffer.removeAll(keepingCapacity: true)
    buffer.append(contentsOf: repeatElement(0, count: size))
  }

  private func store(_ value: UInt32, at offset: Int) {
    buffer.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt32.self) }
  }

  private func number(at offset: Int) -> UInt32 {
    buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
  }
}
