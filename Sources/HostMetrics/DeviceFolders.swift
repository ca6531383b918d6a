import Kernel

/// The device folders in a folder of sysfs such as /sys/class/nvme. They are listed at each scrape, since devices come
/// and go; what does not change about a device (its labels, its path) is worked out when it appears, and kept.
struct DeviceFolders<Device> {
  let path: String
  private let make: (_ name: String, _ path: String) -> Device?
  private var known: [String: Device?] = [:]

  /// - Parameter make: what is to be known of a device; nil when the folder is none of the collector's.
  init(_ path: String, make: @escaping (_ name: String, _ path: String) -> Device?) {
    self.path = path
    self.make = make
  }

  /// The devices that are there now, in byte order of their names; none when the folder is not there.
  mutating func present() throws(KernelError) -> [Device] {
    let names: [String]
    do {
      names = try Directory.names(path)
    } catch {
      guard error.isAbsence else { throw error }
      names = []
    }
    var present: [String: Device?] = [:]
    present.reserveCapacity(names.count)
    let devices = names.compactMap { name in
      let device = known[name] ?? make(name, "\(path)/\(name)")
      present[name] = .some(device)
      return device
    }
    known = present
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
