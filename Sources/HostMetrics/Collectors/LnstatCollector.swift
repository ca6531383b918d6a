// Reads the files of /proc/net/stat (rt_cache, arp_cache, …): a heading, then a line of hexadecimal numbers for each
// processor (lnstat(8)).

import Bytes
import Exposition
import Kernel

final class LnstatCollector: Collector {
  static let name = "lnstat"
  static let isEnabledByDefault = false

  private let path: String
  private var buffer = ByteWriter(capacity: 4096)
  private var columns: ColumnCache

  init(_ host: Host) {
    path = host.proc("net/stat")
    columns = ColumnCache { heading in
      heading.split { $0 == " " || $0 == "\t" }.map {
        .counter("node_lnstat_\($0)_total", "linux network cache stats", ["cpu", "subsystem"])
      }
    }
  }

  func collect(into writer: MetricWriter) throws {
    let names: [String]
    do {
      names = try Directory.names(path)
    } catch {
      guard error.isAbsence else { throw error }
      names = []
    }
    for (position, name) in names.enumerated() {
      let count = writer.count
      do {
        try KernelFile("\(path)/\(name)").read(into: &buffer)
        try buffer.withBytes { bytes in try parse(bytes, of: name, at: position, into: writer) }
      } catch {
        // A file that is malformed or went away loses itself only.
        writer.truncate(to: count)
      }
    }
  }

  private func parse(_ bytes: RawSpan, of name: String, at position: Int, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard let heading = lines.line() else { return }
    let families = columns.families(of: heading, at: position)
    var cpu = 0
    while let line = lines.line() {
      var fields = ByteScanner(line)
      for family in families {
        guard let field = fields.field() else { break }
        guard let value = UInt64(hex: field) else {
          throw MalformedFile(name, "expected hexadecimal numbers", in: line)
        }
        guard let family else { continue }
        writer.begin(family)
        writer.label(cpu)
        writer.label(name)
        writer.end(value)
      }
      cpu += 1
    }
  }
}
