// Reads /proc/PID/mountinfo (proc_pid_mountinfo(5)):
// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue".

import Bytes

/// One mounted file system.
public struct Mount: Sendable, Equatable {
  public var major: UInt64
  public var minor: UInt64
  /// The bytes of the path, with blanks and tabs unescaped.
  public var mountPoint: [UInt8]
  public var type: [UInt8]
  /// What is mounted: a device, a server's export, or any word; as the kernel escapes it.
  public var source: [UInt8]
  /// By the options of this mount or by those of the file system.
  public var isReadOnly: Bool

  /// The mount of a line; nil when it is not one.
  public init?(line: RawSpan) {
    var fields = ByteScanner(line)
    guard fields.unsigned() != nil, fields.unsigned() != nil, let device = fields.field(),
      let (major, minor) = Self.numbers(device), fields.field() != nil, let mountPoint = fields.field(),
      let options = fields.field()
    else { return nil }
    var isReadOnly = Self.areReadOnly(options)
    // The three fields behind the last "-" count: what stands before it is optional.
    var last: (type: [UInt8], source: [UInt8])?
    while let field = fields.field() {
      guard field.equals("-") else { continue }
      guard let type = fields.field(), let source = fields.field(), let options = fields.field() else { return nil }
      isReadOnly = isReadOnly || Self.areReadOnly(options)
      last = (type.array, source.array)
    }
    guard let last else { return nil }
    self.major = major
    self.minor = minor
    self.mountPoint = Self.unescaped(mountPoint)
    self.type = last.type
    self.source = last.source
    self.isReadOnly = isReadOnly
  }

  /// All mounts of the file, in its order; lines that are none are left out.
  public static func all(in mountinfo: RawSpan) -> [Mount] {
    var mounts: [Mount] = []
    var lines = ByteScanner(mountinfo)
    while let line = lines.line() {
      if let mount = Mount(line: line) { mounts.append(mount) }
    }
    return mounts
  }

  /// "259:2".
  private static func numbers(_ device: RawSpan) -> (UInt64, UInt64)? {
    var scanner = ByteScanner(device)
    guard let first = scanner.field(upTo: UInt8(ascii: ":")), let major = UInt64(decimal: first),
      let minor = UInt64(decimal: scanner.rest)
    else { return nil }
    return (major, minor)
  }

  /// Whether "ro" is among options with commas between them.
  private static func areReadOnly(_ options: RawSpan) -> Bool {
    var scanner = ByteScanner(options)
    while let option = scanner.field(upTo: UInt8(ascii: ",")) {
      if option.equals("ro") { return true }
    }
    return scanner.rest.equals("ro")
  }

  /// With `\040` as a blank and `\011` as a tab; other escapes stay, as node_exporter leaves them.
  private static func unescaped(_ path: RawSpan) -> [UInt8] {
    guard path.firstIndex(of: UInt8(ascii: "\\")) != nil else { return path.array }
    var bytes: [UInt8] = []
    var offset = 0
    while offset < path.byteCount {
      let rest = path.extracting(offset..<path.byteCount)
      if rest.starts(with: #"\040"#) {
        bytes.append(.space)
        offset += 4
      } else if rest.starts(with: #"\011"#) {
        bytes.append(.tab)
        offset += 4
      } else {
        bytes.append(path[offset])
        offset += 1
      }
    }
    return bytes
  }
}
