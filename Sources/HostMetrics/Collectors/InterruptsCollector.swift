// Reads /proc/interrupts (proc_interrupts(5)): an interrupt a line, a column a CPU, then what it is.

import Bytes
import Exposition
import Flags
import Kernel

final class InterruptsCollector: Collector {
  static let name = "interrupts"
  static let isEnabledByDefault = false
  static let flags = [nameInclude.definition, nameExclude.definition, includeZeros.definition]

  private static let nameInclude = Flag(
    "collector.interrupts.name-include", "",
    "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).")
  private static let nameExclude = Flag(
    "collector.interrupts.name-exclude", "",
    "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).")
  private static let includeZeros = Flag(
    "collector.interrupts.include-zeros", true, "Include interrupts that have a zero value")

  private static let total = MetricFamily.counter(
    "node_interrupts_total", "Interrupt details.", ["cpu", "devices", "info", "type"])

  /// An interrupt's labels, worked out once for each line's name and description.
  private final class Interrupt {
    let type: String
    let info: String
    let devices: String
    let isShown: Bool

    /// - Parameter line: name, colon, description.
    init(_ line: String, _ filter: NameFilter) {
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let words = parts[1].split { $0 == " " || $0 == "\t" }
      type = String(parts[0].drop { $0 == " " })
      // A number is a line of the interrupt controller's, which comes first; a name is the kernel's own.
      let infoWords = Int(type) == nil ? words.count : 1
      info = words.prefix(infoWords).joined(separator: " ")
      devices = words.dropFirst(infoWords).joined(separator: " ")
      isShown = !filter.isIgnored("\(type);\(info);\(devices)")
    }
  }

  private let file: KernelFile
  private let filter: NameFilter
  private let showsZeros: Bool
  private var interrupts = NameCache<Interrupt>()
  private var buffer = ByteWriter(capacity: 16 << 10)
  private var key = ByteWriter(capacity: 256)

  init(_ host: Host) throws(CollectorConfigurationError) {
    file = KernelFile(host.proc("interrupts"))
    filter = try NameFilter(
      include: host.flags[Self.nameInclude], exclude: host.flags[Self.nameExclude],
      flags: "name-exclude & name-include")
    showsZeros = host.flags[Self.includeZeros]
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard let head = lines.line() else { throw MalformedFile(file.path, "expected a line of CPUs") }
    var heads = ByteScanner(head)
    var cpuCount = 0
    while heads.field() != nil { cpuCount += 1 }
    interrupts.restart()
    while let line = lines.line() { try parse(line: line, cpuCount, into: writer) }
    interrupts.finish()
  }

  private func parse(line: RawSpan, _ cpuCount: Int, into writer: MetricWriter) throws {
    // On arm64 the first number may follow the colon at once.
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
    var fields = ByteScanner(line)
    fields.position = colon + 1
    for _ in 0..<cpuCount where fields.field() == nil { return }
    let description = fields.rest.trimmed
    // ERR and MIS count for all CPUs together.
    guard description.byteCount > 0 else { return }
    key.removeAll()
    key.append(line.extracting(0..<colon + 1))
    key.append(description)
    let interrupt = key.withBytes { key in
      interrupts.value(for: key) { Interrupt(String(decoding: $0, as: UTF8.self), filter) }
    }
    guard interrupt.isShown else { return }
    fields.position = colon + 1
    for cpu in 0..<cpuCount {
      guard let count = fields.unsigned() else { throw MalformedFile(file.path, "expected numbers", in: line) }
      if count == 0, !showsZeros { continue }
      writer.begin(Self.total)
      writer.label(cpu)
      writer.label(interrupt.devices)
      writer.label(interrupt.info)
      writer.label(interrupt.type)
      writer.end(count)
    }
  }
}
