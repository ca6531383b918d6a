// Reads /sys/fs/bcachefs/UUID (Documentation/filesystems/bcachefs, fs/bcachefs/sysfs.c): counters/NAME, tables of
// errors, compression and btree writes, and each member device dev-N.

import Bytes
import Exposition
import Kernel

final class BcachefsCollector: Collector {
  static let name = "bcachefs"

  private static func gauge(_ name: String, _ help: String, _ labels: [String]) -> MetricFamily {
    .gauge("node_bcachefs_\(name)", help, labels)
  }

  private static func counter(_ name: String, _ help: String, _ labels: [String]) -> MetricFamily {
    .counter("node_bcachefs_\(name)_total", help, labels)
  }

  private static let info = gauge("info", "Filesystem information.", ["uuid"])
  private static let cacheSize = gauge("btree_cache_size_bytes", "Btree cache memory usage in bytes.", ["uuid"])
  private static let compressed = gauge(
    "compression_compressed_bytes", "Compressed size by algorithm.", ["algorithm", "uuid"])
  private static let uncompressed = gauge(
    "compression_uncompressed_bytes", "Uncompressed size by algorithm.", ["algorithm", "uuid"])
  private static let errors = counter("errors", "Error count by error type.", ["error_type", "uuid"])
  private static let writes = counter("btree_writes", "Number of btree writes by type.", ["type", "uuid"])
  private static let writeSize = gauge(
    "btree_write_average_size_bytes", "Average btree write size by type.", ["type", "uuid"])

  private static let deviceInfo = gauge("device_info", "Device information.", ["device", "label", "state", "uuid"])
  private static let bucketSize = gauge("device_bucket_size_bytes", "Bucket size in bytes.", ["device", "uuid"])
  private static let buckets = gauge("device_buckets", "Total number of buckets.", ["device", "uuid"])
  private static let durability = gauge("device_durability", "Device durability setting.", ["device", "uuid"])
  private static let deviceIO = counter(
    "device_io_done_bytes", "IO bytes by operation type and data type.", ["data_type", "device", "operation", "uuid"])
  private static let deviceErrors = counter(
    "device_io_errors", "IO errors by error type.", ["device", "type", "uuid"])

  private let folder: String
  private let reader = AttributeReader()
  /// The families of the files in `counters`.
  private var counters: [String: MetricFamily] = [:]

  init(_ host: Host) { folder = host.sys("fs/bcachefs") }

  func collect(into writer: MetricWriter) throws {
    let uuids = try NoData.ifAbsent { try Directory.directories(folder) }
    guard !uuids.isEmpty else { throw NoData("\(folder) holds no file system") }
    for uuid in uuids {
      let path = "\(folder)/\(uuid)"
      writer.write(Self.info, [uuid], 1)
      writer.write(Self.cacheSize, [uuid], bytes(path, "btree_cache_size"))
      writeTables(of: path, uuid, into: writer)
      writeCounters(of: path, uuid, into: writer)
      for device in (try? Directory.directories(path)) ?? [] where device.hasPrefix("dev-") {
        write(String(device.dropFirst(4)), at: "\(path)/\(device)", uuid, into: writer)
      }
    }
  }

  // MARK: The file system

  private func writeTables(of path: String, _ uuid: String, into writer: MetricWriter) {
    // "lz4   48.9G   71.2G   62.5k"
    eachLine(of: path, "compression_stats", afterHead: true) { line in
      var fields = ByteScanner(line)
      guard let algorithm = fields.field(), let compressed = fields.field(), let uncompressed = fields.field(),
        let compressed = Self.bytes(compressed), let uncompressed = Self.bytes(uncompressed)
      else { return }
      let labels = [String(utf8: algorithm.withoutColon), uuid]
      writer.write(Self.compressed, labels, compressed)
      writer.write(Self.uncompressed, labels, uncompressed)
    }
    // "bset_bad_csum   2   1767112063": how often, and when last.
    eachLine(of: path, "errors") { line in
      var fields = ByteScanner(line)
      guard let error = fields.field(), let count = fields.unsigned() else { return }
      writer.write(Self.errors, [String(utf8: error), uuid], Double(count))
    }
    // "initial:   3298401   100k"
    eachLine(of: path, "btree_write_stats", afterHead: true) { line in
      var fields = ByteScanner(line)
      guard let type = fields.field(), let count = fields.unsigned(), let size = fields.field(),
        let size = Self.bytes(size)
      else { return }
      let labels = [String(utf8: type.withoutColon), uuid]
      writer.write(Self.writes, labels, Double(count))
      writer.write(Self.writeSize, labels, size)
    }
  }

  private func writeCounters(of path: String, _ uuid: String, into writer: MetricWriter) {
    for name in (try? Directory.names("\(path)/counters")) ?? [] {
      // "since filesystem creation:     44.5T"
      eachLine(of: "\(path)/counters", name) { line in
        guard line.starts(with: "since filesystem creation:"),
          let value = Self.bytes(line.extracting(26..<line.byteCount).trimmed)
        else { return }
        writer.write(family(of: name), [uuid], value)
      }
    }
  }

  private func family(of counter: String) -> MetricFamily {
    if let family = counters[counter] { return family }
    let family = Self.counter(
      counter.utf8.asMetricName, "Bcachefs counter \(counter) since filesystem creation.", ["uuid"])
    counters[counter] = family
    return family
  }

  // MARK: Its devices

  private func write(_ device: String, at path: String, _ uuid: String, into writer: MetricWriter) {
    let labels = [device, uuid]
    writer.write(
      Self.deviceInfo, [device, reader.text(path, "label") ?? "", reader.text(path, "state") ?? "", uuid], 1)
    writer.write(Self.bucketSize, labels, bytes(path, "bucket_size"))
    writer.write(Self.buckets, labels, Double(reader.unsigned(path, "nbuckets") ?? 0))
    writer.write(Self.durability, labels, Double(reader.unsigned(path, "durability") ?? 0))

    // "read:", then lines such as "btree       :     8912896", then "write:" and the same.
    var operation: String?
    eachLine(of: path, "io_done") { line in
      let text = line.trimmed
      if text.equals("read:") || text.equals("write:") {
        operation = String(utf8: text.withoutColon)
      } else if let operation, let (type, count) = text.entry {
        writer.write(Self.deviceIO, [type, device, operation, uuid], Double(count))
      }
    }
    // "IO errors since filesystem creation", then lines such as "  read:    18828", then the same since another time.
    var isSinceCreation = false
    eachLine(of: path, "io_errors") { line in
      if line.starts(with: "IO errors since ") {
        isSinceCreation = line.starts(with: "IO errors since filesystem creation")
      } else if isSinceCreation, let (type, count) = line.trimmed.entry {
        writer.write(Self.deviceErrors, [device, type, uuid], Double(count))
      }
    }
  }

  // MARK: Text

  private func eachLine(
    of folder: String, _ file: String, afterHead: Bool = false, _ body: (RawSpan) -> Void
  ) {
    reader.value(folder, file) { text in
      var lines = ByteScanner(text)
      if afterHead { _ = lines.line() }
      while let line = lines.line() { body(line) }
    }
  }

  /// The file's number of bytes; 0 when it has none.
  private func bytes(_ folder: String, _ file: String) -> Double {
    (reader.value(folder, file) { Self.bytes($0) } ?? nil) ?? 0
  }

  /// A number with a unit of 1024 or a power of it: "62.5k".
  private static func bytes(_ text: RawSpan) -> Double? {
    guard text.byteCount > 0 else { return nil }
    var factor = 1.0
    var number = text
    let letters = "kmgtpe".utf8
    if let index = letters.firstIndex(of: text[text.byteCount - 1] | 0x20) {
      factor = Double(UInt64(1) << (10 * UInt64(letters.distance(from: letters.startIndex, to: index) + 1)))
      number = text.extracting(0..<text.byteCount - 1).trimmed
    }
    guard let value = Double(goSyntax: number) else { return nil }
    return UInt64(exactly: (value * factor).rounded(.towardZero)).map { Double($0) }
  }
}

extension RawSpan {
  fileprivate var withoutColon: RawSpan {
    @_lifetime(copy self) get { ends(with: ":") ? extracting(0..<byteCount - 1) : self }
  }

  /// "user        :610019098624".
  fileprivate var entry: (type: String, count: UInt64)? {
    guard let colon = firstIndex(of: UInt8(ascii: ":")),
      let count = UInt64(decimal: extracting(colon + 1..<byteCount).trimmed)
    else { return nil }
    return (String(utf8: extracting(0..<colon).trimmed), count)
  }
}
