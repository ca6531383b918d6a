// Reads /proc/spl/kstat/zfs: tables of counters (module/os/linux/spl/spl-kstat.c of OpenZFS), and for each pool io,
// state and objset-ID. The metrics' names are the counters'.

import Bytes
import Exposition
import Kernel

final class ZFSCollector: Collector {
  static let name = "zfs"

  /// A file of counters, and what its metrics' names begin with.
  private final class Table {
    let file: KernelFile
    var families: FamilyCache

    init(_ folder: String, _ file: String, _ subsystem: String) {
      self.file = KernelFile("\(folder)/\(file)", limit: 1 << 20)
      families = FamilyCache { makeFamily("zfs_\(subsystem)", file, key: $0) }
    }
  }

  /// What fails on its own.
  private enum Part {
    case table(Table)
    case pool(String)
  }

  private static let tables = [
    ("abdstats", "abd"), ("arcstats", "arc"), ("dbufstats", "dbuf"), ("dmu_tx", "dmu_tx"), ("dnodestats", "dnode"),
    ("fm", "fm"), ("vdev_cache_stats", "vdev_cache"), ("vdev_mirror_stats", "vdev_mirror"), ("xuio_stats", "xuio"),
    ("zfetchstats", "zfetch"), ("zil", "zil"),
  ]
  private static let poolState = MetricFamily.gauge(
    "node_zfs_zpool_state", "kstat.zfs.misc.state", ["state", "zpool"])
  private static let poolStates: [(state: StaticString, text: StaticString)] = [
    ("degraded", "DEGRADED"), ("faulted", "FAULTED"), ("offline", "OFFLINE"), ("online", "ONLINE"),
    ("removed", "REMOVED"), ("suspended", "SUSPENDED"), ("unavail", "UNAVAIL"),
  ]

  private let folder: String
  private let tables: [Table]
  private let reader = AttributeReader(limit: 1 << 20)
  private var buffer = ByteWriter()
  private var poolFamilies = FamilyCache { makeFamily("zfs_zpool", "io", key: $0, labels: ["zpool"]) }
  private var datasetFamilies = FamilyCache {
    makeFamily("zfs_zpool_dataset", "objset", key: $0, labels: ["dataset", "zpool"])
  }

  init(_ host: Host) {
    let folder = host.proc("spl/kstat/zfs")
    self.folder = folder
    tables = Self.tables.map { file, subsystem in Table(folder, file, subsystem) }
  }

  func collect(into writer: MetricWriter) throws {
    let pools = try NoData.ifAbsent { try Directory.directories(folder) }
    try (tables.map(Part.table) + pools.map(Part.pool)).forEachIndependently { part in
      switch part {
      case .table(let table): try write(table, into: writer)
      case .pool(let pool): try write(pool, into: writer)
      }
    }
  }

  // MARK: Tables

  private func write(_ table: Table, into writer: MetricWriter) throws {
    // Older and newer modules lack some.
    guard try table.file.readIfPresent(into: &buffer) else { return }
    try buffer.withBytes { text in
      try Self.eachCounter(table.file.path, text, &table.families) { family, value in writer.sample(family, value) }
    }
  }

  /// Hands the family and the value of each counter of a table to `body`: a line of numbers, a line of titles, then
  /// lines such as "hits   4   8772612" with the type (3 for int64, 4 for uint64) in the middle.
  private static func eachCounter(
    _ path: String, _ text: RawSpan, _ families: inout FamilyCache, _ body: (MetricFamily, Double) -> Void
  ) throws {
    var lines = ByteScanner(text)
    guard skipTitles(&lines) else { throw MalformedFile(path, "expected \"name type data\"") }
    var position = 0
    while let line = lines.line() {
      guard let (key, value) = try counter(path, line) else { continue }
      if let family = families.family(of: line.extracting(key), at: position) { body(family, value) }
      position += 1
    }
  }

  /// Moves behind the line "name type data"; false when there is none.
  @_lifetime(lines: copy lines)
  private static func skipTitles(_ lines: inout ByteScanner) -> Bool {
    while let line = lines.line() {
      var fields = ByteScanner(line)
      if let name = fields.field(), name.equals("name"), let type = fields.field(), type.equals("type"),
        let data = fields.field(), data.equals("data")
      {
        return true
      }
    }
    return false
  }

  /// Where the key of a line stands, and the value; nil when the line is of another type.
  private static func counter(_ path: String, _ line: RawSpan) throws -> (key: Range<Int>, value: Double)? {
    var fields = ByteScanner(line)
    guard let key = fields.field() else { return nil }
    let keyEnd = fields.position
    guard let type = fields.field(), let data = fields.field() else { return nil }
    let value: Double?
    if type.equals("4") {
      value = UInt64(decimal: data).map { Double($0) }
    } else if type.equals("3") {
      value = Int64(decimal: data).map { Double($0) }
    } else {
      return nil
    }
    guard let value else { throw MalformedFile(path, "expected a whole number", in: line) }
    return (keyEnd - key.byteCount..<keyEnd, value)
  }

  // MARK: Pools

  private func write(_ pool: String, into writer: MetricWriter) throws {
    let path = "\(folder)/\(pool)"
    reader.value(path, "state") { text in
      for (state, shown) in Self.poolStates {
        writer.begin(Self.poolState)
        writer.label(state)
        writer.label(pool)
        writer.end(text.equals(shown) ? 1.0 : 0.0)
      }
    }
    try reader.value(path, "io") { text in try writeIO(of: pool, "\(path)/io", text, into: writer) }
    // A pool that has just gone has no datasets.
    let files = (try? Directory.names(path)) ?? []
    try files.lazy.filter { $0.hasPrefix("objset-") }.forEachIndependently { file in
      try reader.value(path, file) { text in try writeDataset(of: pool, "\(path)/\(file)", text, into: writer) }
    }
  }

  /// Below a line of numbers a line of names, "nread nwritten …", then one of their values.
  private func writeIO(of pool: String, _ path: String, _ text: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(text)
    while let line = lines.line() {
      guard line.starts(with: "nread ") else { continue }
      var names = ByteScanner(line)
      var values = ByteScanner(lines.rest)
      var position = 0
      while let name = names.field() {
        guard let value = values.unsigned() else { throw MalformedFile(path, "expected a value for each name") }
        if let family = poolFamilies.family(of: name, at: position) {
          writer.begin(family)
          writer.label(pool)
          writer.end(value)
        }
        position += 1
      }
      return
    }
  }

  /// A table with the dataset's name in its first line.
  private func writeDataset(of pool: String, _ path: String, _ text: RawSpan, into writer: MetricWriter) throws {
    var lines = ByteScanner(text)
    guard Self.skipTitles(&lines), let line = lines.line() else {
      throw MalformedFile(path, "expected \"name type data\"")
    }
    var fields = ByteScanner(line)
    guard let key = fields.field(), key.equals("dataset_name"), fields.field() != nil else {
      throw MalformedFile(path, "expected dataset_name", in: line)
    }
    let dataset = String(utf8: fields.rest.trimmed)
    var position = 0
    while let line = lines.line() {
      guard let (key, value) = try Self.counter(path, line) else { continue }
      if let family = datasetFamilies.family(of: line.extracting(key), at: position) {
        writer.write(family, [dataset, pool], value)
      }
      position += 1
    }
  }
}

/// The family of a counter; nil when its name cannot be that of a metric.
private func makeFamily(_ subsystem: String, _ file: String, key: String, labels: [String] = []) -> MetricFamily? {
  let name = key.split(separator: ".", omittingEmptySubsequences: false).last.map { part in
    String(part.map { $0 == "-" ? "_" : $0 })
  }
  guard let name, !name.isEmpty, name.utf8.allSatisfy(\.isPartOfName) else { return nil }
  return .untyped("node_\(subsystem)_\(name)", "kstat.zfs.misc.\(file).\(key)", labels)
}
