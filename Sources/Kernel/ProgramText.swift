// madvise(2) on this program's own code.

import Bytes
import Glibc

/// The code of this process.
public enum ProgramText {
  /// Gives back the memory of code that has run: most of what starts a process never runs again, and what does is
  /// read anew from the page cache. Only mappings that are executable and not writable are touched, which hold nothing
  /// but the file's own bytes.
  public static func release() {
    var buffer = ByteWriter(capacity: 16 << 10)
    try? KernelFile("/proc/self/maps").read(into: &buffer) { maps in release(maps) }
  }

  /// "55d0c0a00000-55d0c1244000 r-xp 001f7000 fe:00 1234  /usr/bin/pilotfish"
  private static func release(_ maps: RawSpan) {
    var lines = ByteScanner(maps)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let range = fields.field(), fields.field()?.equals("r-xp") == true,
        line.firstIndex(of: UInt8(ascii: "/")) != nil, let dash = range.firstIndex(of: UInt8(ascii: "-"))
      else { continue }
      guard let first = UInt64(hex: range.extracting(0..<dash)),
        let end = UInt64(hex: range.extracting(dash + 1..<range.byteCount)), end > first,
        let address = UnsafeMutableRawPointer(bitPattern: UInt(first))
      else { continue }
      madvise(address, Int(end - first), MADV_DONTNEED)
    }
  }
}
