import Glibc

/// Files that are read in one piece.
package enum WholeFile {
  /// The bytes of a file, at most one more than `limit`: a caller sees by the count that there are too many.
  package static func read(_ path: String, limit: Int) throws(FileFault) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault("open", path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count <= limit {
      let count = Glibc.read(descriptor, &chunk, min(chunk.count, limit + 1 - bytes.count))
      if count < 0 { throw FileFault("read", path) }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// As `read`, but of regular files only: nothing else is sure to end, or to answer at all.
  package static func readRegular(_ path: String, limit: Int) throws(FileFault) -> [UInt8] {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw FileFault("open", path, "not a regular file")
    }
    let bytes = try read(path, limit: limit)
    guard bytes.count <= limit else { throw FileFault("read", path, "longer than \(limit >> 20) MiB") }
    return bytes
  }
}

/// A file that cannot be read.
package struct FileFault: Error, CustomStringConvertible {
  package let call: String
  package let path: String
  package let reason: String

  /// Takes the reason from `errno`.
  package init(_ call: String, _ path: String) {
    let code = errno
    self.init(call, path, strerror(code).map { String(cString: $0).lowercased() } ?? "errno \(code)")
  }

  package init(_ call: String, _ path: String, _ reason: String) {
    self.call = call
    self.path = path
    self.reason = reason
  }

  /// As Go words it: `open /nope: no such file or directory`.
  package var description: String { "\(call) \(path): \(reason)" }
}
