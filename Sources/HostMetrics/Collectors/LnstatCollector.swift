// Reads the files of /proc/net/stat, the kernel's network caches (lnstat(8)): a line of hexadecimal numbers for each CPU
// below a line of names.

import Bytes
import Exposition
import Kernel

final class LnstatCollector: Collector {
  static let name = "lnstat"
  static let isEnabledByDefault = false

  /// By the column's name; several caches share some.
  private var families: [String: MetricFamily] = [:]
  private var caches: DeviceFolders<Cache>
  private var buffer = ByteWriter(capacity: 8192)

  /// A file of the folder, named as its cache.
  private final class Cache {
    let name: String
    let file: KernelFile
    var head: [UInt8] = []
    var columns: [MetricFamily] = []

    init(_ name: String, _ path: String) {
      self.name = name
      file = KernelFile(path)
    }
  }

  init(_ host: Host) { caches = DeviceFolders(host.proc("net/stat")) { name, path in Cache(name, path) } }

  func collect(into writer: MetricWriter) throws {
    for cache in try caches.present() {
      try cache.file.read(into: &buffer) { bytes in try parse(bytes, cache, into: writer) }
    }
  }

  private func parse(_ bytes: RawSpan, _ cache: Cache, into writer: MetricWriter) throws {
    var lines = ByteScanner(bytes)
    guard let head = lines.line() else { throw MalformedFile(cache.file.path, "expected a line of names") }
    if !cache.head.span.bytes.equals(head) {
      cache.head = head.array
      cache.columns = String(utf8: head).split(separator: " ").map { family(String($0)) }
    }
    var cpu = 0
    while let line = lines.line() {
      var fields = ByteScanner(line)
      for family in cache.columns {
        guard let field = fields.field(), let value = UInt64(hex: field) else {
          throw MalformedFile(cache.file.path, "expected \(cache.columns.count) hexadecimal numbers", in: line)
        }
        writer.begin(family)
        writer.label(cpu)
        writer.label(cache.name)
        writer.end(value)
      }
      cpu += 1
    }
  }

  private func family(_ column: String) -> MetricFamily {
    if let family = families[column] { return family }
    let family = MetricFamily.counter(
      "node_lnstat_\(column)_total", "linux network cache stats", ["cpu", "subsystem"])
    families[column] = family
    return family
  }
}
