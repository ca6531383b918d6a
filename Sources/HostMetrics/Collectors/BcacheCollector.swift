// Reads /sys/fs/bcache/UUID and, below it, each backing device bdevN and each cache device cacheN
// (Documentation/admin-guide/bcache.rst, drivers/md/bcache/sysfs.c).

import Bytes
import Exposition
import Flags
import Kernel

final class BcacheCollector: Collector {
  static let name = "bcache"

  private static let showsPriorityStats = Flag(
    "collector.bcache.priorityStats", false, "Expose expensive priority stats.")
  static let flags = [showsPriorityStats.definition]

  private static func gauge(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    .gauge("node_bcache_\(name)", help, labels + ["uuid"])
  }

  private static func counter(_ name: String, _ help: String, _ labels: [String] = []) -> MetricFamily {
    .counter("node_bcache_\(name)_total", help, labels + ["uuid"])
  }

  private static let set = [
    Attribute(
      "average_key_size", gauge("average_key_size_sectors", "Average data per key in the btree (sectors)."), .human),
    Attribute(
      "btree_cache_size",
      gauge("btree_cache_size_bytes", "Amount of memory currently used by the btree cache."), .human),
    Attribute(
      "cache_available_percent",
      gauge(
        "cache_available_percent",
        "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data)."), .human),
    Attribute("congested", gauge("congested", "Congestion."), .human),
    Attribute(
      "root_usage_percent",
      gauge("root_usage_percent", "Percentage of the root btree node in use (tree depth increases if too high)."),
      .human),
    Attribute("tree_depth", gauge("tree_depth", "Depth of the btree."), .human),
    Attribute(
      "internal/active_journal_entries",
      gauge("active_journal_entries", "Number of journal entries that are newer than the index."), .human),
    Attribute("internal/btree_nodes", gauge("btree_nodes", "Total nodes in the btree."), .human),
    Attribute(
      "internal/btree_read_average_duration_us",
      gauge("btree_read_average_duration_seconds", "Average btree read duration."),
      NumberFormat { text in NumberFormat.human.value(text).map { $0 * 1e-9 } }),
    Attribute(
      "internal/cache_read_races",
      counter(
        "cache_read_races",
        "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e."
          + " where the pointer was stale after the read completed."), .human),
  ]

  private static let backing = ["backing_device"]
  private static let backingDevice = [
    Attribute(
      "dirty_data",
      gauge("dirty_data_bytes", "Amount of dirty data for this backing device in the cache.", backing), .human)
  ]

  /// Of the whole set, as node_exporter has them, though they are shown for each backing device.
  private static let backingTotals = [
    total(
      "bypassed", "bypassed_bytes", "Amount of IO (both reads and writes) that has bypassed the cache."),
    total("cache_hits", "cache_hits", "Hits counted per individual IO as bcache sees them."),
    total("cache_misses", "cache_misses", "Misses counted per individual IO as bcache sees them."),
    total("cache_bypass_hits", "cache_bypass_hits", "Hits for IO intended to skip the cache."),
    total("cache_bypass_misses", "cache_bypass_misses", "Misses for IO intended to skip the cache."),
    total(
      "cache_miss_collisions", "cache_miss_collisions",
      "Instances where data insertion from cache miss raced with write (data already present)."),
    total("cache_readaheads", "cache_readaheads", "Count of times readahead occurred."),
  ]

  private static func total(_ file: String, _ name: String, _ help: String) -> Attribute {
    Attribute("stats_total/\(file)", counter(name, help, backing), .human)
  }

  /// Lines of writeback_rate_debug.
  private static let writeback: [(key: StaticString, family: MetricFamily)] = [
    ("rate:", gauge("writeback_rate", "Current writeback rate for this backing device in bytes.", backing)),
    (
      "target:",
      gauge(
        "dirty_target_bytes", "Current dirty data target threshold for this backing device in bytes.", backing)
    ),
    (
      "proportional:",
      gauge(
        "writeback_rate_proportional_term",
        "Current result of proportional controller, part of writeback rate", backing)
    ),
    (
      "integral:",
      gauge(
        "writeback_rate_integral_term", "Current result of integral controller, part of writeback rate", backing)
    ),
    ("change:", gauge("writeback_change", "Last writeback rate change step for this backing device.", backing)),
  ]

  private static let cache = ["cache_device"]
  private static let cacheDevice = [
    Attribute(
      "io_errors",
      gauge("io_errors", "Number of errors that have occurred, decayed by io_error_halflife.", cache), .human),
    Attribute(
      "metadata_written",
      counter(
        "metadata_written_bytes", "Sum of all non data writes (btree writes and all other metadata).", cache),
      .human),
    Attribute(
      "written", counter("written_bytes", "Sum of all data that has been written to the cache.", cache), .human),
  ]

  /// Lines of priority_stats.
  private static let priority: [(key: StaticString, family: MetricFamily)] = [
    (
      "Unused:",
      gauge(
        "priority_stats_unused_percent", "The percentage of the cache that doesn't contain any data.", cache)
    ),
    ("Metadata:", gauge("priority_stats_metadata_percent", "Bcache's metadata overhead.", cache)),
  ]

  private let showsPriority: Bool
  private var sets: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()

  init(_ host: Host) {
    showsPriority = host.flags[Self.showsPriorityStats]
    sets = DeviceFolders(host.sys("fs/bcache")) { $0.contains("-") }
  }

  func collect(into writer: MetricWriter) throws {
    for set in try sets.present() {
      // Gone by now, if it cannot be listed.
      guard let devices = try? Directory.names(set.path) else { continue }
      reader.write(Self.set, of: set.path, labels: [set.name], into: writer)
      for device in devices {
        let folder = "\(set.path)/\(device)"
        let labels = [device, set.name]
        if device.isNumbered("bdev") {
          reader.write(Self.backingDevice, of: folder, labels: labels, into: writer)
          reader.write(Self.backingTotals, of: set.path, labels: labels, into: writer)
          writeLines(Self.writeback, of: folder, "writeback_rate_debug", labels, .rate, into: writer)
        } else if device.isNumbered("cache") {
          reader.write(Self.cacheDevice, of: folder, labels: labels, into: writer)
          if showsPriority {
            writeLines(Self.priority, of: folder, "priority_stats", labels, .percent, into: writer)
          }
        }
      }
    }
  }

  /// Samples of the lines of a file that begin with a key and end with a value.
  private func writeLines(
    _ table: [(key: StaticString, family: MetricFamily)], of folder: String, _ file: String, _ labels: [String],
    _ format: NumberFormat, into writer: MetricWriter
  ) {
    reader.value(folder, file) { text in
      var lines = ByteScanner(text)
      while let line = lines.line() {
        guard let entry = table.first(where: { line.starts(with: $0.key) }) else { continue }
        let value = line.extracting(entry.key.utf8CodeUnitCount..<line.byteCount).trimmed
        if let number = format.value(value) { writer.write(entry.family, labels, number) }
      }
    }
  }
}

extension String {
  /// Whether this is the prefix and something that begins with a digit.
  fileprivate func isNumbered(_ prefix: String) -> Bool {
    hasPrefix(prefix) && utf8.dropFirst(prefix.utf8.count).first?.isDigit == true
  }
}

extension NumberFormat {
  /// What drivers/md/bcache/util.c, bch_hprint, makes of a number: "427.5k" is 427 KiB and 5 of 10.24 parts of one.
  static let human = NumberFormat { text in
    guard let last = text.lastByte else { return nil }
    guard let unit = unit(last) else {
      return last.isDigit ? Double(goSyntax: text).flatMap { whole($0) } : nil
    }
    var parts = ByteScanner(text.extracting(0..<text.byteCount - 1))
    guard let point = parts.bytes.firstIndex(of: UInt8(ascii: ".")) else {
      return Double(goSyntax: parts.bytes).flatMap { whole($0 * unit) }
    }
    guard let number = Double(goSyntax: parts.bytes.extracting(0..<point)),
      let tenths = Double(goSyntax: parts.bytes.extracting(point + 1..<parts.bytes.byteCount))
    else { return nil }
    return whole((number + tenths / 10.24) * unit)
  }

  /// "-1.5M/sec" or "20.4G".
  fileprivate static let rate = NumberFormat { text in
    let amount = text.ends(with: "/sec") ? text.extracting(0..<text.byteCount - 4) : text
    guard amount.byteCount > 0, amount[0] == UInt8(ascii: "-") else { return human.value(amount) }
    return human.value(amount.extracting(1..<amount.byteCount)).map { -$0 }
  }

  /// "99%".
  fileprivate static let percent = NumberFormat { text in
    UInt64(decimal: text.ends(with: "%") ? text.extracting(0..<text.byteCount - 1) : text).map { Double($0) }
  }

  private static func unit(_ letter: UInt8) -> Double? {
    let units = "kMGTPEZY".utf8
    guard let index = units.firstIndex(of: letter) else { return nil }
    return (0...units.distance(from: units.startIndex, to: index)).reduce(1.0) { product, _ in product * 1024 }
  }

  /// What is left of a number in 64 bits; nil when it does not fit.
  private static func whole(_ number: Double) -> Double? {
    UInt64(exactly: number.rounded(.towardZero)).map { Double($0) }
  }
}

extension RawSpan {
  fileprivate var lastByte: UInt8? { byteCount == 0 ? nil : self[byteCount - 1] }
}
