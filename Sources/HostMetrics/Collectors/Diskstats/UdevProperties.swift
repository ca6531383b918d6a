// Reads what udev knows of a block device: the "E:KEY=VALUE" lines of /run/udev/data/bMAJOR:MINOR (udevadm(8)).

import Bytes
import Glibc
import Kernel

/// The properties that the metrics show; empty where udev has none.
struct UdevProperties {
  var path = ""
  var wwn = ""
  var model = ""
  var revision = ""
  var scsiSerial = ""
  var shortSerial = ""
  var serial = ""
  var fsType = ""
  var fsUsage = ""
  var fsUUID = ""
  var fsVersion = ""
  var dmName = ""
  var dmUUID = ""
  var vgName = ""
  var lvName = ""
  var lvLayer = ""
  var ata = ""
  private var writeCache = ""
  private var writeCacheEnabled = ""
  private var rotationRate = ""

  var ataWriteCache: Double? { Self.number(writeCache) }
  var ataWriteCacheEnabled: Double? { Self.number(writeCacheEnabled) }
  var ataRotationRate: Double? { Self.number(rotationRate) }

  /// The serial number that is printed on the disk, or the nearest to it; virtio disks have `ID_SERIAL` only.
  var bestSerial: String { [scsiSerial, shortSerial, serial].first { !$0.isEmpty } ?? "" }

  private typealias Field = WritableKeyPath<UdevProperties, String> & Sendable

  private static let fields: [(key: StaticString, field: Field)] =
    [
      ("ID_PATH", \.path), ("ID_WWN", \.wwn), ("ID_MODEL", \.model), ("ID_REVISION", \.revision),
      ("SCSI_IDENT_SERIAL", \.scsiSerial), ("ID_SERIAL_SHORT", \.shortSerial), ("ID_SERIAL", \.serial),
      ("ID_FS_TYPE", \.fsType), ("ID_FS_USAGE", \.fsUsage), ("ID_FS_UUID", \.fsUUID), ("ID_FS_VERSION", \.fsVersion),
      ("DM_NAME", \.dmName), ("DM_UUID", \.dmUUID), ("DM_VG_NAME", \.vgName), ("DM_LV_NAME", \.lvName),
      ("DM_LV_LAYER", \.lvLayer), ("ID_ATA", \.ata), ("ID_ATA_WRITE_CACHE", \.writeCache),
      ("ID_ATA_WRITE_CACHE_ENABLED", \.writeCacheEnabled), ("ID_ATA_ROTATION_RATE_RPM", \.rotationRate),
    ]

  init() {}

  init(_ text: RawSpan) {
    var lines = ByteScanner(text)
    while let line = lines.line() {
      guard line.starts(with: "E:") else { continue }
      var scanner = ByteScanner(line)
      scanner.position = 2
      guard let key = scanner.field(upTo: UInt8(ascii: "=")) else { continue }
      for entry in Self.fields where key.equals(entry.key) { self[keyPath: entry.field] = String(utf8: scanner.rest) }
    }
  }

  private static func number(_ text: String) -> Double? { Double(goSyntax: text.utf8.span.bytes) }
}

/// A device's file of udev, which is read again only when it was replaced: udev writes a new one and renames it.
struct UdevFile {
  let path: String
  private(set) var properties = UdevProperties()
  private var inode: UInt = 0
  private var size = 0
  private var seconds = 0
  private var nanoseconds = 0

  /// Bytes; a longer file is none of udev's.
  private static let limit = 1 << 20

  init(_ path: String) { self.path = path }

  mutating func refresh(_ buffer: inout ByteWriter) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if inode != 0 { self = UdevFile(path) }
      return
    }
    guard
      status.st_ino != inode || status.st_size != size || status.st_mtim.tv_sec != seconds
        || status.st_mtim.tv_nsec != nanoseconds
    else { return }
    do {
      try KernelFile(path, limit: Self.limit).read(into: &buffer)
      properties = UdevProperties(buffer.bytes)
    } catch {
      properties = UdevProperties()
    }
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
