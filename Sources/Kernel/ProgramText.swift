// madvise(2) on what this program's and its libraries' files hold, by /proc/self/smaps (proc_pid_smaps(5)).

import Bytes
import Glibc

/// The code of this process.
public enum ProgramText {
  /// Gives back the memory of code that has run: most of what starts a process, and of what the first scrape runs,
  /// never runs again; what does is read anew from the page cache. Only mappings of files are touched that cannot be
  /// written and hold no page of this process' own, so nothing but the files' own bytes.
  public static func release() {
    var buffer = ByteWriter(capacity: 64 << 10)
    try? KernelFile("/proc/self/smaps").read(into: &buffer) { maps in release(maps) }
  }

  /// "55d0c0a00000-55d0c1244000 r-xp 001f7000 fe:00 1234  /usr/bin/pilotfish", then a line for each of its properties.
  private static func release(_ maps: RawSpan) {
    var lines = ByteScanner(maps)
    var mapping: UnsafeMutableRawBufferPointer?
    while let line = lines.line() {
      if let range = fileRange(line) {
        mapping = range
      } else if line.starts(with: "Anonymous:") {
        var fields = ByteScanner(line)
        _ = fields.field()
        if fields.unsigned() == 0, let mapping { madvise(mapping.baseAddress, mapping.count, MADV_DONTNEED) }
        mapping = nil
      }
    }
  }

  /// The addresses of a mapping's head line, if it is private, read-only and a file's.
  private static func fileRange(_ line: RawSpan) -> UnsafeMutableRawBufferPointer? {
    var fields = ByteScanner(line)
    guard let range = fields.field(), let mode = fields.field(), mode.equals("r-xp") || mode.equals("r--p"),
      line.firstIndex(of: UInt8(ascii: "/")) != nil, let dash = range.firstIndex(of: UInt8(ascii: "-")),
      let first = UInt64(hex: range.extracting(0..<dash)),
      let end = UInt64(hex: range.extracting(dash + 1..<range.byteCount)), end > first
    else { return nil }
    return UnsafeMutableRawBufferPointer(
      start: UnsafeMutableRawPointer(bitPattern: UInt(first)), count: Int(end - first))
  }
}
