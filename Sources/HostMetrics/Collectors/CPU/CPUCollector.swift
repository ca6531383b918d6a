// Reads the cpu lines of /proc/stat (proc_stat(5)), in units of USER_HZ, which is 100 on every Linux that users see;
// and by its parts, throttling and topology from sysfs, and /proc/cpuinfo.

import Bytes
import Exposition
import Flags
import Kernel

final class CPUCollector: Collector {
  static let name = "cpu"
  static let flags = [guestFlag.definition, perCoreFlag.definition] + CPUInfo.flags

  private static let guestFlag = Flag(
    "collector.cpu.guest", true, "Enables metric node_cpu_guest_seconds_total")
  private static let perCoreFlag = Flag(
    "collector.cpu.per-core", true,
    "Export series of each CPU. When disabled, the host's totals with the label cpu=\"total\".")

  private static let seconds = MetricFamily.counter(
    "node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", ["cpu", "mode"])
  private static let guestSeconds = MetricFamily.counter(
    "node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.", ["cpu", "mode"])

  private static let count = MetricFamily.gauge("pilotfish_cpus", "CPUs that node_cpu_seconds_total is the total of.")

  /// A mode and the place of its number in the cpu line; modes in the order of the exposition.
  private static let modes: [(name: StaticString, column: Int)] = [
    ("idle", 3), ("iowait", 4), ("irq", 5), ("nice", 1), ("softirq", 6), ("steal", 7), ("system", 2), ("user", 0),
  ]
  private static let guestModes: [(name: StaticString, column: Int)] = [("nice", 9), ("user", 8)]
  private static let idleColumn = 3

  /// When idle time falls by more than this, the CPU was unplugged and came back: its counters begin anew. 3 s.
  private static let idleDrop: UInt64 = 300

  /// The highest counts seen of one CPU, in USER_HZ: the kernel's own may go back a little, counters must not.
  private struct CPU {
    /// Nil for all of them together.
    var number: Int?
    var ticks: InlineArray<10, UInt64>
  }

  private let file: KernelFile
  private let showsGuest: Bool
  private let showsCores: Bool
  private let topology: CPUTopology
  private let info: CPUInfo?
  private var buffer = ByteWriter(capacity: 8192)
  private var cpus: [CPU] = []
  /// CPUs that are online.
  private var onlineCount = 0
  /// Whether they are not the same CPUs as when sysfs was looked through.
  private var isChanged = true

  init(_ host: Host) throws(CollectorConfigurationError) {
    file = KernelFile(host.proc("stat"), .onePiece)
    showsGuest = host.flags[Self.guestFlag]
    showsCores = host.flags[Self.perCoreFlag]
    topology = CPUTopology(host)
    info = try CPUInfo(host)
  }

  func collect(into writer: MetricWriter) throws {
    try info?.collect(into: writer)
    try readCPUs()
    write(Self.seconds, Self.modes, into: writer)
    if showsGuest { write(Self.guestSeconds, Self.guestModes, into: writer) }
    if !showsCores { writer.sample(Self.count, Double(onlineCount)) }
    topology.collect(isChanged: isChanged, perCore: showsCores, into: writer)
    isChanged = false
  }

  private func write(
    _ family: MetricFamily, _ modes: [(name: StaticString, column: Int)], into writer: MetricWriter
  ) {
    for cpu in cpus {
      for mode in modes {
        writer.begin(family)
        if let number = cpu.number { writer.label(number) } else { writer.label("total") }
        writer.label(mode.name)
        writer.end(Double(cpu.ticks[mode.column]) / 100)
      }
    }
  }

  private func readCPUs() throws {
    try file.read(into: &buffer) { bytes in try parse(bytes) }
  }

  private func parse(_ bytes: RawSpan) throws {
    var lines = ByteScanner(bytes)
    var position = 0
    var online = 0
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let key = fields.field(), key.starts(with: "cpu") else { continue }
      // "cpu" alone is the sum of all, also of those that are offline.
      let isTotal = key.byteCount == 3
      if !isTotal { online += 1 }
      guard isTotal != showsCores else { continue }
      let number = UInt64(decimal: key.extracting(3..<key.byteCount)).flatMap(Int.init(exactly:))
      guard isTotal || number != nil else { throw MalformedFile(file.path, "expected a CPU number", in: line) }
      var ticks = InlineArray<10, UInt64>(repeating: 0)
      for column in ticks.indices {
        guard let field = fields.field() else { break }  // old kernels have fewer columns
        guard let count = UInt64(decimal: field) else {
          throw MalformedFile(file.path, "expected a number", in: line)
        }
        ticks[column] = count
      }
      take(CPU(number: number, ticks: ticks), at: position)
      position += 1
    }
    if position < cpus.count || online != onlineCount { isChanged = true }
    cpus.removeLast(cpus.count - position)
    onlineCount = online
  }

  private func take(_ new: CPU, at position: Int) {
    guard let place = cpus[position...].firstIndex(where: { $0.number == new.number }) else {
      // A CPU came; what is known of the others moves along.
      isChanged = true
      return cpus.insert(new, at: position)
    }
    // Those in between went.
    if place > position { isChanged = true }
    cpus.removeSubrange(position..<place)
    cpus[position] = Self.raise(cpus[position], to: new)
  }

  private static func raise(_ old: CPU, to new: CPU) -> CPU {
    let (oldIdle, newIdle) = (old.ticks[idleColumn], new.ticks[idleColumn])
    if oldIdle > newIdle, oldIdle - newIdle >= idleDrop { return new }
    var raised = old
    for column in raised.ticks.indices { raised.ticks[column] = max(old.ticks[column], new.ticks[column]) }
    return raised
  }
}
