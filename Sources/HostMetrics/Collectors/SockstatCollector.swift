// Reads /proc/net/sockstat and sockstat6 (proc_pid_net(5)): "TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1".

import Bytes
import Exposition
import Glibc
import Kernel

final class SockstatCollector: Collector {
  static let name = "sockstat"

  private static let used = MetricFamily.gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.")

  /// The keys that a line may have. `mem` counts pages, and is shown in bytes too.
  private static let keys: [StaticString] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"]

  /// The families of one protocol's line, made when it first appears.
  private final class Line {
    /// In the order of `keys`.
    let families: [MetricFamily]
    let memoryBytes: MetricFamily

    init(protocol name: String) {
      func family(_ key: String) -> MetricFamily {
        .gauge("node_sockstat_\(name)_\(key)", "Number of \(name) sockets in state \(key).")
      }
      families = keys.map { family("\($0)") }
      memoryBytes = family("mem_bytes")
    }
  }

  private var files: [(file: KernelFile, lines: NameCache<Line>)]
  private let pageSize = Double(sysconf(Int32(_SC_PAGESIZE)))
  private var buffer = ByteWriter(capacity: 1024)

  init(_ host: Host) {
    files = ["net/sockstat", "net/sockstat6"].map { (KernelFile(host.proc($0)), NameCache()) }
  }

  func collect(into writer: MetricWriter) throws {
    for index in files.indices {
      // A kernel may be without one of the two protocols.
      guard try files[index].file.readIfPresent(into: &buffer) else { continue }
      try buffer.withBytes { bytes in try parse(bytes, file: index, into: writer) }
    }
  }

  private func parse(_ bytes: RawSpan, file: Int, into writer: MetricWriter) throws {
    let path = files[file].file.path
    files[file].lines.restart()
    var lines = ByteScanner(bytes)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let name = fields.field(upTo: UInt8(ascii: ":")) else { continue }
      if name.equals("sockets") {
        _ = fields.field()
        guard let value = fields.unsigned() else { throw MalformedFile(path, "expected a number", in: line) }
        writer.sample(Self.used, value)
        continue
      }
      let known = files[file].lines.value(for: name) { Line(protocol: String(decoding: $0, as: UTF8.self)) }
      while let key = fields.field() {
        guard let value = fields.unsigned() else { throw MalformedFile(path, "expected a number", in: line) }
        guard let index = Self.keys.firstIndex(where: { key.equals($0) }) else { continue }
        writer.sample(known.families[index], value)
        if key.equals("mem") { writer.sample(known.memoryBytes, Double(value) * pageSize) }
      }
    }
    files[file].lines.finish()
  }
}
