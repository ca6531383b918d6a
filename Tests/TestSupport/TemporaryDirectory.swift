import Glibc

/// A directory that is filled by a test and removed with this object.
public final class TemporaryDirectory {
  public let path: String

  public init() {
    var template = Array("/tmp/pilotfish-test-XXXXXX\0".utf8.map { CChar(bitPattern: $0) })
    path = template.withUnsafeMutableBufferPointer { buffer in
      mkdtemp(buffer.baseAddress!).map { String(cString: $0) } ?? ""
    }
  }

  deinit { remove(path) }

  /// Writes a file, and the directories above it; gives its path.
  @discardableResult
  public func write(_ name: String, _ text: String) -> String { write(name, bytes: Array(text.utf8)) }

  /// The same.
  @discardableResult
  public func write(_ name: String, bytes: [UInt8]) -> String {
    makeDirectories(above: name)
    // A new file each time, as those who replace files do it: by renaming.
    let descriptor = open("\(path)/\(name).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    rename("\(path)/\(name).new", "\(path)/\(name)")
    return "\(path)/\(name)"
  }

  /// Writes a file in its place, as the kernel changes its own: whoever has it open sees the new text.
  public func overwrite(_ name: String, _ text: String) { overwrite(name, bytes: Array(text.utf8)) }

  /// The same.
  public func overwrite(_ name: String, bytes: [UInt8]) {
    makeDirectories(above: name)
    let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  /// Makes a FIFO, and the directories above it.
  public func makeFIFO(_ name: String) {
    makeDirectories(above: name)
    mkfifo("\(path)/\(name)", 0o644)
  }

  /// Makes an empty directory, and those above it.
  public func makeDirectory(_ name: String) {
    makeDirectories(above: name)
    mkdir("\(path)/\(name)", 0o755)
  }

  /// Makes a symbolic link; `target` is as the link holds it.
  public func link(_ name: String, to target: String) {
    makeDirectories(above: name)
    symlink(target, "\(path)/\(name)")
  }

  /// Removes a file or a link.
  public func delete(_ name: String) { unlink("\(path)/\(name)") }

  /// Sets when the file was modified last.
  public func age(_ name: String, seconds: Int) {
    var times = [timeval(tv_sec: time(nil) - seconds, tv_usec: 0), timeval(tv_sec: time(nil) - seconds, tv_usec: 0)]
    utimes("\(path)/\(name)", &times)
  }

  /// Gives a file or a directory another name.
  public func move(_ name: String, to other: String) { rename("\(path)/\(name)", "\(path)/\(other)") }

  /// Writes files below a folder: a line each, its path and its text.
  public func writeTree(_ folder: String, _ lines: String) {
    for (name, text) in Self.files(lines) { write("\(folder)/\(name)", text + "\n") }
  }

  /// The files that lines such as "mc0/ce_count 1" stand for.
  public static func files(_ lines: String) -> [(name: String, text: String)] {
    lines.split(separator: "\n").map { line in
      let name = line.prefix { $0 != " " }
      return (String(name), String(line[name.endIndex...].dropFirst()))
    }
  }

  private func makeDirectories(above name: String) {
    var directory = path
    for part in name.split(separator: "/").dropLast() {
      directory += "/\(part)"
      mkdir(directory, 0o755)
    }
  }

  private func remove(_ path: String) {
    guard unlink(path) != 0, let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { remove("\(path)/\(name)") }
    }
    closedir(directory)
    rmdir(path)
  }
}
