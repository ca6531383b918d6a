// Reads /proc/interrupts (proc_interrupts(5)): a heading that names the processors, then
// "  9:     398553       2320  IR-IO-APIC-fasteoi   acpi" or "NMI:         47       5031   Non-maskable interrupts".

import Bytes
import Exposition
import Flags
import Kernel

final class InterruptsCollector: Collector {
  static let name = "interrupts"
  static let isEnabledByDefault = false
  static let flags = [include.definition, exclude.definition, includeZeros.definition]

  private static let include = Flag(
    "collector.interrupts.name-include", "",
    "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).")
  private static let exclude = Flag(
    "collector.interrupts.name-exclude", "",
    "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).")
  private static let includeZeros = Flag(
    "collector.interrupts.include-zeros", true, "Include interrupts that have a zero value")

  private static let interrupts = MetricFamily.counter(
    "node_interrupts_total", "Interrupt details.", ["cpu", "devices", "info", "type"])

  private let file: KernelFile
  /// Whatever the help says, node_exporter takes both at once.
  private let filter: NameFilter
  private let showsZeros: Bool
  private var buffer = ByteWriter(capacity: 16384)

  init(_ host: Host) throws(CollectorConfigurationError) {
    file = KernelFile(host.proc("interrupts"))
    filter = try NameFilter(include: host.flags[Self.include], exclude: host.flags[Self.exclude])
    showsZeros = host.flags[Self.includeZeros]
  }

  func collect(into writer: MetricWriter) throws {
    try file.read(into: &buffer) { bytes in try parse(bytes, into: writer) }
  }

  private func parse(_ bytes: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard let heading = lines.line() else { throw MalformedFile(file.path, "expected a heading") }
    var processors = ByteScanner(heading)
    var count = 0
    while processors.field() != nil { count += 1 }
    while let line = lines.line() {
      var fields = ByteScanner(line)
      // On arm64 the first number may stand right behind the colon.
      guard let name = fields.field(upTo: UInt8(ascii: ":")) else { continue }
      try write(String(utf8: name.trimmed), fields.rest, count, into: writer)
    }
  }

  /// - Parameters:
  ///   - text: what stands behind the interrupt's name: a number for each processor, then words.
  ///   - count: the number of processors.
  private func write(_ name: String, _ text: RawSpan, _ count: Int, into writer: MetricWriter) throws {
    var fields = ByteScanner(text)
    for _ in 0..<count { _ = fields.field() }
    var words: [String] = []
    while let word = fields.field() { words.append(String(utf8: word)) }
    // ERR and MIS are sums of all processors, and without words.
    guard let first = words.first else { return }
    let isNumbered = Int(name) != nil
    let info = isNumbered ? first : words.joined(separator: " ")
    let devices = isNumbered ? words.dropFirst().joined(separator: " ") : ""
    let key = "\(name);\(info);\(devices)"
    guard !filter.isIgnored(key) else { return }
    fields.position = 0
    for cpu in 0..<count {
      guard let value = fields.double() else { throw MalformedFile(file.path, "expected numbers", in: text) }
      guard showsZeros || value != 0 else { continue }
      writer.begin(Self.interrupts)
      writer.label(cpu)
      writer.label(devices)
      writer.label(info)
      writer.label(name)
      writer.end(value)
    }
  }
}
