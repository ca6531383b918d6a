import Bytes
import Exposition
import Flags
import Glibc
import Kernel
import Logging
import TestSupport

@testable import HostMetrics

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

/// The collector over a tree with `proc`, `sys` and `udev` in it; ROOT in the arguments stands for the tree's path.
func make(
  _ type: any Collector.Type, over root: TemporaryDirectory, _ arguments: [String] = []
) throws -> any Collector {
  func make<C: Collector>(_ type: C.Type) throws -> C {
    try type.init(.fixture(type, root.path, arguments.map { $0.replacing("ROOT", with: root.path) }))
  }
  return try make(type)
}

/// What the collector writes in one scrape, as it is shown.
func render(_ collector: some Collector) throws -> String {
  let writer = MetricWriter()
  try collector.collect(into: writer)
  var output = ByteWriter()
  TextExposition().render([writer], into: &output)
  return String(utf8: output.bytes)
}

/// The samples that the collector writes in one scrape.
func samples(_ collector: some Collector) throws -> [String] {
  try render(collector).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
}

/// The lines of an exposition that begin so.
func lines(_ text: String, _ beginning: String) -> [String] {
  text.split(separator: "\n").filter { $0.hasPrefix(beginning) }.map(String.init)
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
