// What btrfs says of its devices by ioctl(2): linux/btrfs.h, btrfs-ioctl(2).

import CLinux
import Glibc

/// A device of a btrfs file system.
public struct BtrfsDevice: Sendable, Equatable {
  /// Such as "/dev/sda1"; empty when the device is missing.
  public var path: String
  /// 32 hexadecimal digits.
  public var uuid: String
  /// Bytes.
  public var size: UInt64
  /// Bytes in chunks.
  public var used: UInt64
  /// Since they were last set to 0: write, read, flush, corruption, generation.
  public var errors: [UInt64]

  public init(path: String, uuid: String, size: UInt64, used: UInt64, errors: [UInt64]) {
    (self.path, self.uuid, self.size, self.used, self.errors) = (path, uuid, size, used, errors)
  }
}

/// A mounted btrfs file system.
public struct BtrfsDevices: Sendable, Equatable {
  /// The file system's UUID: 32 hexadecimal digits.
  public var fsid: String
  /// By their numbers.
  public var devices: [BtrfsDevice]

  public init(fsid: String, devices: [BtrfsDevice]) { (self.fsid, self.devices) = (fsid, devices) }

  /// Numbers that are asked for, at most: they are never given twice, so a file system may have great ones.
  private static let idLimit: UInt64 = 1 << 16

  /// Asks the file system that is mounted there. It may block while the file system does: see `MountWorkers`.
  ///
  /// - Parameter mountPoint: bytes of a path, without a NUL.
  public static func read(_ mountPoint: [UInt8]) -> Result<BtrfsDevices, KernelError> {
    Result { () throws(KernelError) in try BtrfsDevices(mountPoint) }
  }

  private init(_ mountPoint: [UInt8]) throws(KernelError) {
    let path = String(decoding: mountPoint, as: UTF8.self)
    let descriptor = (mountPoint + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { open($0.baseAddress!, O_RDONLY | O_CLOEXEC | O_DIRECTORY) }
    }
    guard descriptor >= 0 else { throw KernelError("open", path) }
    defer { close(descriptor) }
    var fsid = [UInt8](repeating: 0, count: 16)
    var count: UInt64 = 0
    var greatest: UInt64 = 0
    guard clinux_btrfs_read_info(descriptor, &fsid, &count, &greatest) == 0 else {
      throw KernelError("BTRFS_IOC_FS_INFO", path)
    }
    self.fsid = Self.hex(fsid)
    devices = []
    for id in 0...min(greatest, Self.idLimit) where devices.count < count {
      var device = clinux_btrfs_device()
      guard clinux_btrfs_read_device(descriptor, id, &device) == 0 else {
        if errno == ENODEV { continue }
        throw KernelError("BTRFS_IOC_DEV_INFO", path)
      }
      devices.append(BtrfsDevice(device))
    }
  }

  fileprivate static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}

extension BtrfsDevice {
  fileprivate init(_ device: clinux_btrfs_device) {
    path = withUnsafeBytes(of: device.path) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
    uuid = withUnsafeBytes(of: device.uuid) { BtrfsDevices.hex(Array($0)) }
    size = device.total
    used = device.used
    errors = withUnsafeBytes(of: device.errors) { Array($0.bindMemory(to: UInt64.self)) }
  }
}
