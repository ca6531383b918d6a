// Reads /sys/fs/xfs/DEVICE/stats/stats (Documentation/ABI/testing/sysfs-fs-xfs, fs/xfs/xfs_stats.c): lines of a word
// and its counters, by their places.

import Bytes
import Exposition
import Kernel

final class XFSCollector: Collector {
  static let name = "xfs"

  /// A line: its word, how many counters it has, and the families of the first of them.
  private struct Line {
    let word: StaticString
    let counts: ClosedRange<Int>
    let families: [MetricFamily]

    init(_ word: StaticString, _ counts: ClosedRange<Int>, _ families: [(name: String, help: String)]) {
      self.word = word
      self.counts = counts
      self.families = families.map { .counter("node_xfs_\($0.name)_total", $0.help, ["device"]) }
    }
  }

  private static func btree(_ name: String, _ title: String) -> [(name: String, help: String)] {
    [
      ("\(name)_lookups", "Number of \(title) B-tree lookups for a filesystem."),
      ("\(name)_compares", "Number of \(title) B-tree compares for a filesystem."),
      ("\(name)_records_inserted", "Number of \(title) B-tree records inserted for a filesystem."),
      ("\(name)_records_deleted", "Number of \(title) B-tree records deleted for a filesystem."),
    ]
  }

  private static let lines = [
    Line(
      "extent_alloc", 4...4,
      [
        ("extent_allocation_extents_allocated", "Number of extents allocated for a filesystem."),
        ("extent_allocation_blocks_allocated", "Number of blocks allocated for a filesystem."),
        ("extent_allocation_extents_freed", "Number of extents freed for a filesystem."),
        ("extent_allocation_blocks_freed", "Number of blocks freed for a filesystem."),
      ]),
    Line("abt", 4...4, btree("allocation_btree", "allocation")),
    Line(
      "blk_map", 7...7,
      [
        ("block_mapping_reads", "Number of block map for read operations for a filesystem."),
        ("block_mapping_writes", "Number of block map for write operations for a filesystem."),
        ("block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."),
        ("block_mapping_extent_list_insertions", "Number of extent list insertions for a filesystem."),
        ("block_mapping_extent_list_deletions", "Number of extent list deletions for a filesystem."),
        ("block_mapping_extent_list_lookups", "Number of extent list lookups for a filesystem."),
        ("block_mapping_extent_list_compares", "Number of extent list compares for a filesystem."),
      ]),
    Line("bmbt", 4...4, btree("block_map_btree", "block map")),
    Line(
      "dir", 4...4,
      [
        (
          "directory_operation_lookup",
          "Number of file name directory lookups which miss the operating systems directory name lookup cache."
        ),
        (
          "directory_operation_create",
          "Number of times a new directory entry was created for a filesystem."
        ),
        (
          "directory_operation_remove",
          "Number of times an existing directory entry was created for a filesystem."
        ),
        (
          "directory_operation_getdents",
          "Number of times the directory getdents operation was performed for a filesystem."
        ),
      ]),
    Line(
      "ig", 7...7,
      [
        ("inode_operation_attempts", "Number of times the OS looked for an XFS inode in the inode cache."),
        ("inode_operation_found", "Number of times the OS looked for and found an XFS inode in the inode cache."),
        (
          "inode_operation_recycled",
          "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled."
        ),
        (
          "inode_operation_missed",
          "Number of times the OS looked for an XFS inode in the cache, but did not find it."
        ),
        (
          "inode_operation_duplicates",
          "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been"
            + " added by another process."
        ),
        (
          "inode_operation_reclaims",
          "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose."
        ),
        (
          "inode_operation_attribute_changes",
          "Number of times the OS explicitly changed the attributes of an XFS inode."
        ),
      ]),
    Line(
      "rw", 2...2,
      [
        ("write_calls", "Number of write(2) system calls made to files in a filesystem."),
        ("read_calls", "Number of read(2) system calls made to files in a filesystem."),
      ]),
    // Old kernels lack the eighth, vn_free.
    Line(
      "vnodes", 7...8,
      [
        ("vnode_active", "Number of vnodes not on free lists for a filesystem."),
        ("vnode_allocate", "Number of times vn_alloc called for a filesystem."),
        ("vnode_get", "Number of times vn_get called for a filesystem."),
        ("vnode_hold", "Number of times vn_hold called for a filesystem."),
        ("vnode_release", "Number of times vn_rele called for a filesystem."),
        ("vnode_reclaim", "Number of times vn_reclaim called for a filesystem."),
        ("vnode_remove", "Number of times vn_remove called for a filesystem."),
      ]),
  ]

  private var devices: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()
  /// The counters of each of `lines`; 0 where the file has none.
  private var counters = lines.map { [UInt64](repeating: 0, count: $0.families.count) }

  // Beside the devices stands "stats": those of all.
  init(_ host: Host) { devices = DeviceFolders(host.sys("fs/xfs")) { $0 != "stats" } }

  func collect(into writer: MetricWriter) throws {
    try devices.present().forEachIndependently { device in
      let isThere: Void? = try reader.value(device.path, "stats/stats") { text in
        try parse("\(device.path)/stats/stats", text)
      }
      guard isThere != nil else { return }
      for (line, counters) in zip(Self.lines, counters) {
        for (family, counter) in zip(line.families, counters) {
          writer.begin(family)
          writer.label(device.name)
          writer.end(counter)
        }
      }
    }
  }

  private func parse(_ path: String, _ text: RawSpan) throws {
    for index in counters.indices {
      for place in counters[index].indices { counters[index][place] = 0 }
    }
    var lines = ByteScanner(text)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      guard let word = fields.field(), let index = Self.lines.firstIndex(where: { word.equals($0.word) }) else {
        continue
      }
      var count = 0
      while let field = fields.field() {
        guard let value = UInt64(decimal: field) else { throw MalformedFile(path, "expected counters", in: line) }
        if count < counters[index].count { counters[index][count] = value }
        count += 1
      }
      guard Self.lines[index].counts ~= count else {
        throw MalformedFile(path, "expected another number of counters", in: line)
      }
    }
  }
}
