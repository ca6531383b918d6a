// Reads /proc/net/{sockstat,sockstat6} (proc_pid_net(5)): "sockets: used 229", then for each protocol
// "TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1"; mem is in pages.

import Bytes
import Exposition
import Glibc
import Kernel

final class SockstatCollector: Collector {
  static let name = "sockstat"

  private static let used = MetricFamily.gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.")
  private static let states: [StaticString] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"]
  private static let inUse = 0
  private static let memory = 4

  /// What a protocol's line is shown as.
  private struct Families {
    /// In the order of `states`.
    let states: [MetricFamily]
    let memoryBytes: MetricFamily

    init(_ name: [UInt8]) {
      let name = String(decoding: name, as: UTF8.self)
      func family(_ state: String) -> MetricFamily {
        .gauge("node_sockstat_\(name)_\(state)", "Number of \(name) sockets in state \(state).")
      }
      states = SockstatCollector.states.map { family("\($0)") }
      memoryBytes = family("mem_bytes")
    }
  }

  private let files: [KernelFile]
  private let pageSize = Double(sysconf(Int32(_SC_PAGESIZE)))
  private var buffer = ByteWriter(capacity: 1024)
  private var protocols = NameCache<Families>()

  init(_ host: Host) { files = ["net/sockstat", "net/sockstat6"].map { KernelFile(host.proc($0), .onePiece) } }

  func collect(into writer: MetricWriter) throws {
    protocols.restart()
    for file in files {
      // A kernel without IPv6 has no sockstat6.
      guard try file.readIfPresent(into: &buffer) else { continue }
      try buffer.withBytes { bytes in try parse(bytes, of: file, into: writer) }
    }
    protocols.finish()
  }

  private func parse(_ bytes: RawSpan, of file: KernelFile, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let name = fields.field(upTo: UInt8(ascii: ":")), !name.isEmpty else {
        throw MalformedFile(file.path, "expected PROTOCOL:", in: line)
      }
      let isTotal = name.equals("sockets")
      guard let values = Self.values(&fields, used: isTotal) else {
        throw MalformedFile(file.path, "expected pairs of a key and a number", in: line)
      }
      if isTotal {
        if file === files[0] { writer.sample(Self.used, Double(values[Self.inUse] ?? 0)) }
      } else {
        write(values, protocols.value(for: name) { Families($0) }, into: writer)
      }
    }
  }

  /// The numbers of the states, in the order of `states`; nil when the line is malformed.
  ///
  /// - Parameter used: whether the key "used" stands in the place of "inuse".
  private static func values(_ fields: inout ByteScanner, used: Bool) -> InlineArray<6, Int64?>? {
    var values = InlineArray<6, Int64?>(repeating: nil)
    while let key = fields.field() {
      guard let text = fields.field(), let value = Int64(decimal: text) else { return nil }
      if used {
        if key.equals("used") { values[inUse] = value }
      } else {
        for place in states.indices where key.equals(states[place]) { values[place] = value }
      }
    }
    return values
  }

  private func write(_ values: InlineArray<6, Int64?>, _ families: Families, into writer: MetricWriter) {
    for place in values.indices {
      // All protocols are shown with the sockets in use.
      guard let value = values[place] ?? (place == Self.inUse ? 0 : nil) else { continue }
      writer.sample(families.states[place], Double(value))
      if place == Self.memory { writer.sample(families.memoryBytes, Double(value) * pageSize) }
    }
  }
}
