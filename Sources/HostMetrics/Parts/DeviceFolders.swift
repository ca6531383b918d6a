import Kernel

/// The device folders in a folder of sysfs such as /sys/class/nvme. They are listed at each scrape, since devices come
/// and go; what does not change about a device (its labels, its path) is worked out when it appears, and kept.
struct DeviceFolders<Device> {
  let path: String
  private let make: (_ name: String, _ path: String) -> Device?
  private var entries: [Directory.Entry] = []
  private var known: [String: (inode: UInt64, device: Device?)] = [:]
  private var devices: [Device] = []

  /// - Parameter make: what is to be known of a device; nil when the folder is none of the collector's.
  init(_ path: String, make: @escaping (_ name: String, _ path: String) -> Device?) {
    self.path = path
    self.make = make
  }

  /// The devices that are there now, in byte order of their names; none when the folder is not there.
  mutating func present() throws(KernelError) -> [Device] {
    do {
      return try list()
    } catch {
      guard error.isAbsence else { throw error }
      return update([])
    }
  }

  /// The same, but a folder that is not there is `NoData`: node_exporter makes that difference for most classes.
  mutating func presentOrNoData() throws -> [Device] { try NoData.ifAbsent { try list() } }

  private mutating func list() throws(KernelError) -> [Device] { update(try Directory.entries(path)) }

  private mutating func update(_ entries: [Directory.Entry]) -> [Device] {
    guard entries != self.entries else { return devices }
    var present: [String: (inode: UInt64, device: Device?)] = [:]
    present.reserveCapacity(entries.count)
    devices.removeAll()
    for entry in entries {
      let old = known[entry.name]
      // Another inode: another device has the name now.
      let device = old?.inode == entry.inode ? old?.device : make(entry.name, "\(path)/\(entry.name)")
      present[entry.name] = (entry.inode, device)
      if let device { devices.append(device) }
    }
    known = present
    self.entries = entries
    return devices
  }
}

/// What most collectors of sysfs need to know of a device.
struct DeviceFolder {
  let name: String
  let path: String
}

extension DeviceFolders where Device == DeviceFolder {
  /// - Parameter isShown: whether a folder of this name is one of the collector's.
  init(_ path: String, where isShown: @escaping (_ name: String) -> Bool = { _ in true }) {
    self.init(path) { name, path in isShown(name) ? DeviceFolder(name: name, path: path) : nil }
  }
}

extension NoData {
  /// Runs `body`; what it does not find is no data, and no fault.
  static func ifAbsent<R>(_ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch let error as KernelError where error.isAbsence {
      throw NoData("\(error)")
    }
  }
}

extension Sequence {
  /// Runs `body` for each element. One that cannot be read loses itself only: the rest has its turn, then the first
  /// error is thrown.
  func forEachIndependently(_ body: (Element) throws -> Void) throws {
    var failure: (any Error)?
    for element in self {
      do {
        try body(element)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }
}

extension String {
  /// What stands behind the prefix, if that is a number: "0" of "csrow0".
  func number(after prefix: String) -> String? {
    guard hasPrefix(prefix) else { return nil }
    let number = dropFirst(prefix.count)
    return !number.isEmpty && number.utf8.allSatisfy(\.isDigit) ? String(number) : nil
  }
}
