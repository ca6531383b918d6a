// Reads pci.ids (https://pci-ids.ucw.cz, man 5 pci.ids): lines "8086  Intel Corporation", below them, each one tab
// deeper, "1521  I350 Gigabit Network Connection" and "8086 00a3  Ethernet Network Adapter I350-T4"; and classes:
// "C 01  Mass storage controller", "08  Non-Volatile memory controller", "02  NVM Express".

import Bytes
import Kernel

/// The names of PCI devices. The file is read when a kind of device is seen for the first time, and nothing of it is
/// kept but that device's names: it has some 40,000 lines.
final class PCINames {
  /// Numbers as "0x0102".
  struct Identity: Hashable {
    var deviceClass: String
    var vendor: String
    var device: String
    var subsystemVendor: String
    var subsystemDevice: String
  }

  /// What `find` gives, in this order.
  static let labels = ["class_name", "device_name", "subsystem_device_name", "subsystem_vendor_name", "vendor_name"]

  private static let defaultPaths = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"]
  /// Bytes; the file has 1.5 MB.
  private static let limit = 16 << 20
  /// Kinds of devices whose names are remembered.
  private static let cacheLimit = 4096

  private let paths: [String]
  private var known: [Identity: [String]] = [:]

  /// - Parameter path: of pci.ids; empty for where distributions have it.
  init(_ path: String) { paths = path.isEmpty ? Self.defaultPaths : [path] }

  /// The names; the numbers of what has none.
  func find(_ identity: Identity) -> [String] {
    if let names = known[identity] { return names }
    var search = Search(identity)
    var buffer = ByteWriter(capacity: 64)
    for path in paths where (try? KernelFile(path, limit: Self.limit).read(into: &buffer)) != nil {
      search.read(buffer.bytes)
      break
    }
    let names = search.names
    if known.count < Self.cacheLimit { known[identity] = names }
    return names
  }

  /// One passage through the file.
  private struct Search {
    private let deviceClass: String
    private let vendor: String
    private let device: String
    private let subsystemVendor: String
    private let subsystemDevice: String
    private let subsystem: String

    private var vendorName: String?
    private var deviceName: String?
    private var subsystemVendorName: String?
    private var subsystemName: String?
    /// Of the class, the subclass, the programming interface.
    private var classNames: [String?] = [nil, nil, nil]

    /// Whether the last line of depth 0, and that of depth 1, is the wanted one, so that what is below it counts.
    private var isBelow = [false, false]
    private var isInClasses = false

    init(_ identity: Identity) {
      func digits(_ number: String) -> String { String(number.dropFirst(2)) }
      deviceClass = digits(identity.deviceClass)
      vendor = digits(identity.vendor)
      device = digits(identity.device)
      subsystemVendor = digits(identity.subsystemVendor)
      subsystemDevice = digits(identity.subsystemDevice)
      subsystem = "\(subsystemVendor) \(subsystemDevice)"
    }

    var names: [String] {
      [
        classNames.last { $0 != nil }.flatMap { $0 } ?? "Unknown class (\(deviceClass))", deviceName ?? device,
        subsystemName ?? subsystemDevice, subsystemVendorName ?? subsystemVendor, vendorName ?? vendor,
      ]
    }

    mutating func read(_ text: RawSpan) {
      var lines = ByteScanner(text)
      while let line = lines.line() {
        guard line.byteCount > 0, line[0] != UInt8(ascii: "#") else { continue }
        var depth = 0
        while depth < min(line.byteCount, 3), line[depth] == .tab { depth += 1 }
        let isClass = depth == 0 && line.starts(with: "C ")
        if depth == 0 { isInClasses = isClass }
        if depth < 3 { take(line.extracting((isClass ? 2 : depth)..<line.byteCount), depth) }
      }
    }

    /// - Parameter line: from the identifier on.
    private mutating func take(_ line: RawSpan, _ depth: Int) {
      // Below what is another's nothing matters.
      guard depth == 0 || isBelow[depth - 1] else { return }
      guard let gap = Self.gap(in: line) else { return }
      let id = line.extracting(0..<gap).trimmed
      let isWanted = id.equals(wanted(depth))
      if depth < 2 { isBelow[depth] = isWanted }
      if depth == 0 { isBelow[1] = false }
      let isSubsystemVendor = depth == 0 && !isInClasses && id.equals(subsystemVendor)
      guard isWanted || isSubsystemVendor else { return }
      let name = String(utf8: line.extracting(gap..<line.byteCount).trimmed)
      if isSubsystemVendor { subsystemVendorName = name }
      guard isWanted else { return }
      switch (isInClasses, depth) {
      case (true, _): classNames[depth] = name
      case (false, 0): vendorName = name
      case (false, 1): deviceName = name
      default: subsystemName = name
      }
    }

    /// The identifier that a line of this depth must have to count.
    private func wanted(_ depth: Int) -> Substring {
      if isInClasses { return deviceClass.dropFirst(2 * depth).prefix(2) }
      return depth == 0 ? vendor[...] : depth == 1 ? device[...] : subsystem[...]
    }

    /// Where the two blanks stand that part an identifier from its name.
    private static func gap(in line: RawSpan) -> Int? {
      var offset = 0
      while let blank = line.firstIndex(of: .space, from: offset) {
        if blank + 1 < line.byteCount, line[blank + 1] == .space { return blank }
        offset = blank + 1
      }
      return nil
    }
  }
}

extension RawSpan {
  fileprivate func equals(_ text: some StringProtocol) -> Bool {
    withUnsafeBytes { bytes in bytes.elementsEqual(text.utf8) }
  }
}
