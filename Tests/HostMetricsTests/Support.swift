import Bytes
import Exposition
import Flags
import Glibc
import Kernel
import Logging

@testable import HostMetrics

/// A directory that is filled by a test and removed with this object.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/pilotfish-test-XXXXXX\0".utf8.map { CChar(bitPattern: $0) })
    path = template.withUnsafeMutableBufferPointer { buffer in
      mkdtemp(buffer.baseAddress!).map { String(cString: $0) } ?? ""
    }
  }

  deinit { remove(path) }

  /// Writes a file, and the directories above it.
  func write(_ name: String, _ text: String) { write(name, bytes: Array(text.utf8)) }

  func write(_ name: String, bytes: [UInt8]) {
    makeDirectories(above: name)
    // A new file each time, as those who replace files do it: by renaming.
    let descriptor = open("\(path)/\(name).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    rename("\(path)/\(name).new", "\(path)/\(name)")
  }

  /// Writes a file in its place, as the kernel changes its own: whoever has it open sees the new text.
  func overwrite(_ name: String, _ text: String) { overwrite(name, bytes: Array(text.utf8)) }

  func overwrite(_ name: String, bytes: [UInt8]) {
    let descriptor = open("\(path)/\(name)", O_WRONLY | O_TRUNC | O_CLOEXEC)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  func makeFIFO(_ name: String) {
    makeDirectories(above: name)
    mkfifo("\(path)/\(name)", 0o644)
  }

  func makeDirectory(_ name: String) {
    makeDirectories(above: name)
    mkdir("\(path)/\(name)", 0o755)
  }

  /// Makes a symbolic link; `target` is as the link holds it.
  func link(_ name: String, to target: String) {
    makeDirectories(above: name)
    symlink(target, "\(path)/\(name)")
  }

  func delete(_ name: String) { unlink("\(path)/\(name)") }

  /// Sets when the file was modified last.
  func age(_ name: String, seconds: Int) {
    var times = [timeval(tv_sec: time(nil) - seconds, tv_usec: 0), timeval(tv_sec: time(nil) - seconds, tv_usec: 0)]
    utimes("\(path)/\(name)", &times)
  }

  func move(_ name: String, to other: String) { rename("\(path)/\(name)", "\(path)/\(other)") }

  /// Writes files below a folder: a line each, its path and its text.
  func writeTree(_ folder: String, _ lines: String) {
    for (name, text) in Self.files(lines) { write("\(folder)/\(name)", text + "\n") }
  }

  static func files(_ lines: String) -> [(name: String, text: String)] {
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

extension Host {
  /// A host whose kernel trees are `proc`, `sys` and `udev` in a directory.
  static func fixture<C: Collector>(
    _ type: C.Type, _ root: String, _ arguments: [String] = []
  ) throws -> Host {
    let paths = ["--path.procfs=\(root)/proc", "--path.sysfs=\(root)/sys", "--path.udev.data=\(root)/udev"]
    let flags = try FlagParser(Host.flags + NetworkDeviceFilter.flags + type.flags).parse(paths + arguments) {
      _ throws(FlagError) in []
    }
    return Host(flags: flags, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }
}

/// What the collector writes in one scrape, as it is shown.
func render(_ collector: some Collector) throws -> String {
  let writer = MetricWriter()
  try collector.collect(into: writer)
  var output = ByteWriter()
  TextExposition().render([writer], into: &output)
  return String(utf8: output.bytes)
}

/// The lines of an exposition that begin so.
func lines(_ text: String, _ beginning: String) -> [String] {
  text.split(separator: "\n").filter { $0.hasPrefix(beginning) }.map(String.init)
}

/// A random generator that gives the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}

/// `bytes` with a few of them changed, taken out or doubled.
func mutated(_ bytes: [UInt8], with random: inout SeededGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
    let place = Int.random(in: bytes.indices, using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
    case 1: bytes.remove(at: place)
    case 2: bytes.insert(bytes[place], at: place)
    default: bytes.removeSubrange(place..<min(place + 9, bytes.count))
    }
  }
  return bytes
}

/// A network of its own with its own /sys, for as long as a closure runs.
enum PrivateNetwork {
  /// Only root may make one, and iproute2 fills it.
  static let isPossible = (try? run { true }) == true

  struct Unavailable: Error {}

  /// CLONE_NEWNET, CLONE_NEWNS.
  static let newNetwork: Int32 = 0x4000_0000
  private static let newMounts: Int32 = 0x2_0000

  /// Gives the calling thread namespaces of its own. Glibc hides unshare(2) from those who do not ask for GNU's names.
  static func unshare(_ namespaces: Int32) -> Bool {
    guard let address = dlsym(nil, "unshare") else { return false }
    typealias Unshare = @convention(c) (Int32) -> Int32
    return unsafeBitCast(address, to: Unshare.self)(namespaces) == 0
  }

  /// Runs `body` on a thread of its own, whose network only it and the commands it starts see.
  static func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
    let outcome = Monitor<Result<R, any Error>?>(nil)
    try KernelThread.start("network") {
      let result = Result {
        guard unshare(newNetwork | newMounts),
          shell("mount --make-rprivate / && mount -t sysfs sysfs /sys && ip link set lo up")
        else { throw Unavailable() }
        return try body()
      }
      outcome.withLock { $0 = result }
      outcome.signal()
    }
    return try outcome.wait { result, _ in result }.get()
  }

  /// Whether the commands went well.
  @discardableResult
  static func shell(_ commands: String) -> Bool { system("(\(commands)) >/dev/null 2>&1") == 0 }
}
