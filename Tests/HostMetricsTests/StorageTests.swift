import Bytes
import Exposition
import Glibc
import Kernel
import TestSupport
import Testing

@testable import HostMetrics

/// A collector, a tree that it reads, and what is shown of that.
private struct Example: Sendable, CustomTestStringConvertible {
  let collector: any Collector.Type
  var arguments: [String] = []
  let files: [String: String]
  let shown: [String]

  var testDescription: String { "\(collector) \(arguments)" }

  /// - Parameter besides: a file that is left as it is.
  func make(_ root: TemporaryDirectory, besides: String? = nil) throws -> any Collector {
    for (file, text) in files where file != besides { root.write(file, text) }
    return try HostMetricsTests.make(collector, over: root, arguments)
  }
}

/// The samples that a collector writes, and the error that it ends with.
private func outcome(_ collector: some Collector) -> (samples: [String], error: (any Error)?) {
  let writer = MetricWriter()
  var failure: (any Error)?
  do { try collector.collect(into: writer) } catch { failure = error }
  var output = ByteWriter()
  TextExposition().render([writer], into: &output)
  return (String(utf8: output.bytes).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }, failure)
}

private func under(_ folder: String, _ files: [String: String]) -> [String: String] {
  Dictionary(uniqueKeysWithValues: files.map { ("\(folder)/\($0)", $1) })
}

private let bcache = under(
  "sys/fs/bcache/a-b",
  [
    "average_key_size": "1.5k\n", "congested": "0\n", "internal/btree_read_average_duration_us": "1305\n",
    "stats_total/cache_hits": "546\n", "bdev0/dirty_data": "20.4G\n",
    "bdev0/writeback_rate_debug": "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\nintegral:\t-790.0k\nchange:\t\t-3/sec\n",
    "cache0/written": "5\n", "cache0/priority_stats": "Unused:\t\t99%\nMetadata:\t0%\nAverage:\t10473\n",
    "cache_available_percent": "100\n",
  ])

private let bcacheShown = [
  #"node_bcache_average_key_size_sectors{uuid="a-b"} 1524"#,
  #"node_bcache_btree_read_average_duration_seconds{uuid="a-b"} 1.305e-06"#,
  #"node_bcache_cache_available_percent{uuid="a-b"} 100"#,
  #"node_bcache_cache_hits_total{backing_device="bdev0",uuid="a-b"} 546"#,
  #"node_bcache_congested{uuid="a-b"} 0"#,
  #"node_bcache_dirty_data_bytes{backing_device="bdev0",uuid="a-b"} 2.189426688e+10"#,
  #"node_bcache_priority_stats_metadata_percent{cache_device="cache0",uuid="a-b"} 0"#,
  #"node_bcache_priority_stats_unused_percent{cache_device="cache0",uuid="a-b"} 99"#,
  #"node_bcache_writeback_change{backing_device="bdev0",uuid="a-b"} -3"#,
  #"node_bcache_writeback_rate{backing_device="bdev0",uuid="a-b"} 1.150976e+06"#,
  #"node_bcache_writeback_rate_integral_term{backing_device="bdev0",uuid="a-b"} -808960"#,
  #"node_bcache_written_bytes_total{cache_device="cache0",uuid="a-b"} 5"#,
]

private let bcachefs = under(
  "sys/fs/bcachefs/a-b",
  [
    "btree_cache_size": "2.05G\n",
    "compression_stats": "type  compressed  uncompressed  average extent size\nlz4:  48.9G  71.2G  62.5k\nshort 1\n",
    "errors": "bset_bad_csum  2  1767112063\nglued  11299659571772285102\nbad x\n",
    "btree_write_stats": "     nr  size\ninitial:  3298401  1.5k\n",
    "counters/data_read": "since mount:   475G\nsince filesystem creation:   44.5T\n",
    "counters/a-_b": "since filesystem creation:  7\n", "counters/none": "no number\n",
    "dev-6/label": "disk-6\n", "dev-6/state": "[rw] ro \n", "dev-6/bucket_size": "2.00M\n",
    "dev-6/nbuckets": "953864\n",
    "dev-6/durability": "1\n", "dev-6/io_done": "x : 1\nread:\nsb   :  86016\nwrite:\nsb   :  5\nuser :\n",
    "dev-6/io_errors": "IO errors since filesystem creation\n  read:    18828\nIO errors since 8 y ago\n  read:  3\n",
  ])

private let bcachefsShown = [
  #"node_bcachefs_a_b_total{uuid="a-b"} 7"#,
  #"node_bcachefs_btree_cache_size_bytes{uuid="a-b"} 2.201170739e+09"#,
  #"node_bcachefs_btree_write_average_size_bytes{type="initial",uuid="a-b"} 1536"#,
  #"node_bcachefs_btree_writes_total{type="initial",uuid="a-b"} 3.298401e+06"#,
  #"node_bcachefs_compression_compressed_bytes{algorithm="lz4",uuid="a-b"} 5.2505975193e+10"#,
  #"node_bcachefs_compression_uncompressed_bytes{algorithm="lz4",uuid="a-b"} 7.6450417868e+10"#,
  #"node_bcachefs_data_read_total{uuid="a-b"} 4.8928267436032e+13"#,
  #"node_bcachefs_device_bucket_size_bytes{device="6",uuid="a-b"} 2.097152e+06"#,
  #"node_bcachefs_device_buckets{device="6",uuid="a-b"} 953864"#,
  #"node_bcachefs_device_durability{device="6",uuid="a-b"} 1"#,
  #"node_bcachefs_device_info{device="6",label="disk-6",state="[rw] ro",uuid="a-b"} 1"#,
  #"node_bcachefs_device_io_done_bytes_total{data_type="sb",device="6",operation="read",uuid="a-b"} 86016"#,
  #"node_bcachefs_device_io_done_bytes_total{data_type="sb",device="6",operation="write",uuid="a-b"} 5"#,
  #"node_bcachefs_device_io_errors_total{device="6",type="read",uuid="a-b"} 18828"#,
  #"node_bcachefs_errors_total{error_type="bset_bad_csum",uuid="a-b"} 2"#,
  #"node_bcachefs_errors_total{error_type="glued",uuid="a-b"} 1.1299659571772285e+19"#,
  #"node_bcachefs_info{uuid="a-b"} 1"#,
]

private let btrfs = under(
  "sys/fs/btrfs/0a-1b",
  [
    "label": "data\n", "allocation/global_rsv_size": "16777216\n", "allocation/data/bytes_reserved": "3\n",
    "allocation/data/raid5/total_bytes": "644087808\n", "allocation/data/raid5/used_bytes": "7\n",
    "commit_stats": "commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n",
    "devices/sda/size": "20971520\n", "devices/sdb/size": "20971520\n",
  ])

private let btrfsShown = [
  #"node_btrfs_allocation_ratio{block_group_type="data",mode="raid5",uuid="0a-1b"} 2"#,
  #"node_btrfs_commit_seconds_total{uuid="0a-1b"} 47836.09"#, #"node_btrfs_commits_total{uuid="0a-1b"} 258051"#,
  #"node_btrfs_device_size_bytes{device="sda",uuid="0a-1b"} 1.073741824e+10"#,
  #"node_btrfs_device_size_bytes{device="sdb",uuid="0a-1b"} 1.073741824e+10"#,
  #"node_btrfs_global_rsv_size_bytes{uuid="0a-1b"} 1.6777216e+07"#,
  #"node_btrfs_info{label="data",uuid="0a-1b"} 1"#, #"node_btrfs_last_commit_seconds{uuid="0a-1b"} 1"#,
  #"node_btrfs_max_commit_seconds{uuid="0a-1b"} 51.462"#,
  #"node_btrfs_reserved_bytes{block_group_type="data",uuid="0a-1b"} 3"#,
  #"node_btrfs_size_bytes{block_group_type="data",mode="raid5",uuid="0a-1b"} 6.44087808e+08"#,
  #"node_btrfs_used_bytes{block_group_type="data",mode="raid5",uuid="0a-1b"} 7"#,
]

private let multipath = under(
  "sys/block",
  [
    "dm-5/size": "104857600\n", "dm-5/dm/name": "mpathA\n", "dm-5/dm/uuid": "mpath-36\n", "dm-5/dm/suspended": "1\n",
    "dm-5/slaves/sdi/x": "", "dm-5/slaves/sdj/x": "", "dm-5/slaves/gone/x": "", "sdi/device/state": "live\n",
    "sdj/device/state": "offline\n", "dm-7/dm/uuid": "LVM-a\n", "dm-7/dm/name": "root\n", "dm-7/dm/suspended": "0\n",
    "dm-7/size": "1\n",
  ])

private let multipathShown = [
  #"node_dmmultipath_device_active{device="mpathA",sysfs_name="dm-5"} 0"#,
  #"node_dmmultipath_device_info{device="mpathA",sysfs_name="dm-5",uuid="mpath-36"} 1"#,
  #"node_dmmultipath_device_paths{device="mpathA",sysfs_name="dm-5"} 2"#,
  #"node_dmmultipath_device_paths_active{device="mpathA",sysfs_name="dm-5"} 1"#,
  #"node_dmmultipath_device_paths_failed{device="mpathA",sysfs_name="dm-5"} 1"#,
  #"node_dmmultipath_device_size_bytes{device="mpathA",sysfs_name="dm-5"} 5.36870912e+10"#,
  #"node_dmmultipath_path_state{device="mpathA",path="sdi",state="live"} 1"#,
  #"node_dmmultipath_path_state{device="mpathA",path="sdj",state="offline"} 1"#,
]

private let mdadm = [
  "proc/mdstat": """
  Personalities : [raid1]
  md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
        195310144 blocks super 1.2 [2/1] [U_]
        [=>....]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec
        bitmap: 0/30 pages [0KB], 65536KB chunk

  unused devices: <none>

  """,
  "sys/block/md6/md/level": "raid1\n", "sys/block/md6/md/raid_disks": "2\n", "sys/block/md6/md/degraded": "1\n",
  "sys/block/md7/md/level": "raid0\n", "sys/block/md7/md/raid_disks": "3\n", "sys/block/sda/size": "1\n",
]

private let mdadmShown = [
  #"node_md_blocks{device="md6"} 1.95310144e+08"#, #"node_md_blocks_synced{device="md6"} 1.6775552e+07"#,
  #"node_md_degraded{device="md6"} 1"#, #"node_md_degraded{device="md7"} 0"#,
  #"node_md_disks{device="md6",state="active"} 1"#, #"node_md_disks{device="md6",state="failed"} 1"#,
  #"node_md_disks{device="md6",state="spare"} 1"#, #"node_md_disks_required{device="md6"} 2"#,
  #"node_md_raid_disks{device="md6"} 2"#, #"node_md_raid_disks{device="md7"} 3"#,
  #"node_md_state{device="md6",state="active"} 0"#, #"node_md_state{device="md6",state="check"} 0"#,
  #"node_md_state{device="md6",state="inactive"} 0"#, #"node_md_state{device="md6",state="recovering"} 1"#,
  #"node_md_state{device="md6",state="resync"} 0"#,
]

private let zfs = under(
  "proc/spl/kstat/zfs",
  [
    "arcstats": "6 1 0x01 91 4368 52 97\nname  type data\nhits  4    8772612\nmemory_available_bytes 3 -9\nuser 7 x\n",
    "fm": "0 1 0x01 4 192 80 35\nname type data\nerpt-dropped 4 18\n", "tank/state": "DEGRADED\n",
    "tank/io": "12 3 0x00 1 80 79 39\nnread    nwritten \n1884160  3206144  \n",
    "tank/objset-0x36": "23 1 0x01 7 21 22 66\nname type data\ndataset_name 7 tank/a b\nwrites  4  4\n",
  ])

private let zfsShown = [
  "node_zfs_arc_hits 8.772612e+06", "node_zfs_arc_memory_available_bytes -9", "node_zfs_fm_erpt_dropped 18",
  #"node_zfs_zpool_dataset_writes{dataset="tank/a b",zpool="tank"} 4"#,
  #"node_zfs_zpool_nread{zpool="tank"} 1.88416e+06"#, #"node_zfs_zpool_nwritten{zpool="tank"} 3.206144e+06"#,
  #"node_zfs_zpool_state{state="degraded",zpool="tank"} 1"#, #"node_zfs_zpool_state{state="faulted",zpool="tank"} 0"#,
  #"node_zfs_zpool_state{state="offline",zpool="tank"} 0"#, #"node_zfs_zpool_state{state="online",zpool="tank"} 0"#,
  #"node_zfs_zpool_state{state="removed",zpool="tank"} 0"#, #"node_zfs_zpool_state{state="suspended",zpool="tank"} 0"#,
  #"node_zfs_zpool_state{state="unavail",zpool="tank"} 0"#,
]

private let examples = [
  Example(
    collector: BcacheCollector.self, arguments: ["--collector.bcache.priorityStats"], files: bcache,
    shown: bcacheShown),
  Example(collector: BcacheCollector.self, files: bcache, shown: bcacheShown.filter { !$0.contains("priority") }),
  Example(collector: BcachefsCollector.self, files: bcachefs, shown: bcachefsShown),
  Example(collector: BtrfsCollector.self, files: btrfs, shown: btrfsShown),
  Example(collector: DMMultipathCollector.self, files: multipath, shown: multipathShown),
  Example(collector: MdadmCollector.self, files: mdadm, shown: mdadmShown),
  Example(collector: ZFSCollector.self, files: zfs, shown: zfsShown),
]

@Suite struct StorageTests {
  @Test(arguments: examples) fileprivate func showsTheTree(_ example: Example) throws {
    let root = TemporaryDirectory()
    let collector = try example.make(root)
    // The second scrape goes the way of what is cached.
    for _ in 0..<2 {
      let (samples, error) = outcome(collector)
      #expect(samples == example.shown)
      #expect(error == nil)
    }
  }

  @Test(
    arguments: [
      (BcacheCollector.self, true), (BcachefsCollector.self, false), (BtrfsCollector.self, true),
      (DMMultipathCollector.self, false), (MdadmCollector.self, false), (XFSCollector.self, true),
      (ZFSCollector.self, false),
    ] as [(any Collector.Type, Bool)])
  fileprivate func hasNothingToSayOnAnotherMachine(_ type: any Collector.Type, _ isSuccess: Bool) throws {
    let (samples, error) = outcome(try Example(collector: type, files: [:], shown: []).make(TemporaryDirectory()))
    #expect(samples.isEmpty)
    #expect(isSuccess ? error == nil : error is NoData)
  }

  /// Whatever stands in the place of a file, nothing crashes or hangs, and all is well when the file is back.
  @Test(arguments: examples) fileprivate func survivesEveryFileItReads(_ example: Example) throws {
    let root = TemporaryDirectory()
    for (file, text) in example.files.sorted(by: { $0.key < $1.key }) {
      let collector = try example.make(root)
      for other in ["", "\n", "garbage\n", "-\n.k\n", String(repeating: "9", count: 70_000), String(text.dropLast(3))] {
        root.write(file, other)
        check(outcome(collector).samples)
      }
      root.delete(file)
      check(outcome(collector).samples)
      root.makeFIFO(file)
      check(outcome(try example.make(root, besides: file)).samples)
    }
    #expect(outcome(try example.make(root)).samples == example.shown)
  }

  @Test(arguments: examples) fileprivate func survivesAnyText(_ example: Example) throws {
    let root = TemporaryDirectory()
    let collector = try example.make(root)
    let files = example.files.keys.sorted()
    var random = SeededGenerator(7)
    for _ in 0..<fuzzRounds {
      let file = try #require(files.randomElement(using: &random))
      root.overwrite(file, bytes: mutated(Array((example.files[file] ?? "").utf8), with: &random))
      check(outcome(collector).samples)
    }
  }

  private func check(_ samples: [String]) {
    for sample in samples {
      #expect(sample.hasPrefix("node_"))
      #expect(sample.split(separator: " ").last.flatMap { Double($0) } != nil, "\(sample)")
    }
  }
}

@Suite struct XFSTests {
  private let text = """
    extent_alloc 1 872 0 4294967295
    abt 1 2 3 4
    blk_map 61 29 1 1 1 91 0
    bmbt 5 6 7 8
    dir 3 2 1 52
    ig 5 1 0 4 0 0 1
    rw 28 9
    vnodes 4 0 0 0 1 1 1 0
    new_line 1 2 x

    """

  @Test func showsTheCounters() throws {
    let root = TemporaryDirectory()
    root.write("sys/fs/xfs/sda1/stats/stats", text)
    root.makeDirectory("sys/fs/xfs/stats")
    let collector = try XFSCollector(.fixture(XFSCollector.self, root.path))
    let (samples, error) = outcome(collector)
    #expect(error == nil)
    #expect(samples.count == 39)
    for sample in [
      #"node_xfs_extent_allocation_blocks_freed_total{device="sda1"} 4.294967295e+09"#,
      #"node_xfs_allocation_btree_records_deleted_total{device="sda1"} 4"#,
      #"node_xfs_block_mapping_extent_list_lookups_total{device="sda1"} 91"#,
      #"node_xfs_directory_operation_getdents_total{device="sda1"} 52"#,
      #"node_xfs_write_calls_total{device="sda1"} 28"#, #"node_xfs_read_calls_total{device="sda1"} 9"#,
      #"node_xfs_vnode_remove_total{device="sda1"} 1"#,
    ] { #expect(samples.contains(sample), "\(sample)") }
    // A kernel without a line: 0, not what another device had.
    root.write("sys/fs/xfs/sda1/stats/stats", "rw 1 2\n")
    #expect(outcome(collector).samples.contains(#"node_xfs_vnode_active_total{device="sda1"} 0"#))
  }

  @Test(arguments: ["rw 1\n", "rw 1 2 3\n", "abt 1 2 3 x\n", "vnodes\n"])
  func losesOneDeviceOnly(_ malformed: String) throws {
    let root = TemporaryDirectory()
    root.write("sys/fs/xfs/a/stats/stats", malformed)
    root.write("sys/fs/xfs/b/stats/stats", text)
    let (samples, error) = outcome(try XFSCollector(.fixture(XFSCollector.self, root.path)))
    #expect(samples.count == 39)
    #expect(samples.allSatisfy { $0.contains(#"device="b""#) })
    #expect(error is MalformedFile)
  }
}

@Suite struct ZFSTests {
  @Test func losesOneFileOnly() throws {
    let root = TemporaryDirectory()
    for (file, text) in zfs { root.write(file, text) }
    root.write("proc/spl/kstat/zfs/arcstats", "name type\n")
    root.write("proc/spl/kstat/zfs/tank/objset-0x1", "name type data\nwrites 4 1\n")
    let (samples, error) = outcome(try ZFSCollector(.fixture(ZFSCollector.self, root.path)))
    #expect(samples == zfsShown.filter { !$0.contains("_arc_") })
    #expect((error as? MalformedFile)?.description.contains("arcstats") == true)
  }

  /// Any table of counters comes out as it went in.
  @Test func showsAnyCounters() throws {
    let root = TemporaryDirectory()
    root.write("proc/spl/kstat/zfs/zil", "")
    let collector = try ZFSCollector(.fixture(ZFSCollector.self, root.path))
    var random = SeededGenerator(11)
    for _ in 0..<fuzzRounds {
      var text = "1 2 3\nname  type  data\n"
      var expected: [String] = []
      for _ in 0..<Int.random(in: 0..<9, using: &random) {
        let key = String((0..<6).map { _ in "abc_09".randomElement(using: &random) ?? "a" })
        let value = Int64(UInt32.random(in: 0...999_999, using: &random))
        let (type, number) = Bool.random(using: &random) ? ("3", -value) : ("4", value)
        guard !expected.contains(where: { $0.hasPrefix("node_zfs_zil_\(key) ") }) else { continue }
        text += "\(key)\t \(type)   \(number)\n"
        expected.append("node_zfs_zil_\(key) \(number)")
      }
      root.overwrite("proc/spl/kstat/zfs/zil", text)
      #expect(outcome(collector).samples == expected.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    }
  }
}

@Suite struct HumanNumberTests {
  @Test(
    arguments: [
      ("0", 0), ("1305", 1305), ("512", 512), ("1.1M", 1_150_976), ("427.5k", 437_748), ("20.4G", 21_894_266_880),
      ("3k", 3072), ("1.10k", 2024), ("1Q", nil), ("k", nil), (".5k", nil), ("1.k", nil), ("", nil), ("5%", nil),
      ("-1", nil), ("99999Y", nil),
    ] as [(String, Double?)])
  func readsWhatTheKernelPrints(_ text: String, _ value: Double?) {
    #expect(NumberFormat.human.value(text.utf8.span.bytes) == value)
  }
}

@Suite struct MdadmTests {
  private func arrays(_ text: String) -> [(name: String, array: MdArray?)] {
    var arrays: [(String, MdArray?)] = []
    MdArray.forEach(in: text.utf8.span.bytes) { arrays.append((String(utf8: $0), $1)) }
    return arrays
  }

  @Test(
    arguments: [
      ("active raid1 a[0] b[1]\n 9 blocks [2/2] [UU]\n\n", MdArray(.active, 2, 2, 0, 0, 9, 9)),
      ("active (auto-read-only) raid1 a[0]\n 9 blocks super 1.2 [2/1] [U_]\n", MdArray(.active, 2, 1, 0, 0, 9, 9)),
      ("inactive raid1 a[0](F) b[1](S)\n 9 blocks [2/2] [UU]\n", MdArray(.inactive, 0, 0, 1, 1, 9, 9)),
      ("active raid0 a[0] b[1]\n 9 blocks 64k chunks\n", MdArray(.active, 2, 2, 0, 0, 9, 9)),
      ("active linear a[1] b[0]\n 9 blocks super 1.2 0k rounding\n", MdArray(.active, 2, 2, 0, 0, 9, 9)),
      ("active raid10 a[0] b[1]\n 9 blocks [2/2] [UU]\n  resync=PENDING\n", MdArray(.resyncing, 2, 2, 0, 0, 9, 0)),
      ("active raid1 a[0]\n 9 blocks [1/1] [U]\n resync=DELAYED\n", MdArray(.resyncing, 1, 1, 0, 0, 9, 0)),
      (
        "active raid1 a[0]\n 9 blocks [1/1] [U]\n check = 5.7% (4/9) finish=0min\n",
        MdArray(.checking, 1, 1, 0, 0, 9, 4)
      ),
      (
        "active raid1 a[0]\n 9 blocks [1/1] [U]\n bitmap: 0/3\n reshape = 1% (4/9)\n",
        MdArray(.reshaping, 1, 1, 0, 0, 9, 4)
      ),
      ("broken raid0 a[0]\n 9 blocks\n", MdArray(.other, 1, 1, 0, 0, 9, 9)),
      ("active raid1 a[0]\n 9 blocks\n", nil), ("active raid1 a[0]\n", nil),
      ("active raid1\n x blocks [1/1] [U]\n", nil),
      ("active raid1 a[0]\n 9 blocks [1/1] [U]\n recovery = 5% (x/9)\n", nil), ("\n", nil),
    ] as [(String, MdArray?)])
  fileprivate func reads(_ text: String, _ array: MdArray?) {
    // Behind it stands another, which is read in any case.
    let all = arrays(
      "Personalities : [raid1]\nmd1 : \(text)\nmd2 : active raid0 a[0]\n 7 blocks\n\nunused devices: <none>\n")
    #expect(all.map(\.name) == ["md1", "md2"])
    #expect(all.first?.array == array)
    #expect(all.last?.array == MdArray(.active, 1, 1, 0, 0, 7, 7))
  }

  @Test func losesOneArrayOnly() throws {
    let root = TemporaryDirectory()
    root.write("proc/mdstat", "md1 : active raid1 a[0]\n nonsense\n\nmd2 : active raid0 a[0]\n 7 blocks\n\n")
    let (samples, error) = outcome(try MdadmCollector(.fixture(MdadmCollector.self, root.path)))
    #expect(samples.contains(#"node_md_blocks{device="md2"} 7"#))
    #expect(!samples.contains { $0.contains("md1") })
    #expect(error is MalformedFile)
  }

  /// Any arrays come out as they went in.
  @Test func readsAnyArrays() {
    var random = SeededGenerator(13)
    for _ in 0..<fuzzRounds {
      var text = "Personalities : [raid1] [raid6]\n"
      var expected: [MdArray?] = []
      for number in 0..<Int.random(in: 0..<6, using: &random) {
        let total = Int64.random(in: 1...9, using: &random)
        let failed = Int64.random(in: 0...total, using: &random)
        let blocks = Int64.random(in: 1...(1 << 50), using: &random)
        let disks = (0..<total).map { "sd\($0)[\($0)]\($0 < failed ? "(F)" : "")" }.joined(separator: " ")
        let map = String(repeating: "_", count: Int(failed)) + String(repeating: "U", count: Int(total - failed))
        text +=
          "md\(number) : active raid6 \(disks)\n    \(blocks) blocks super 1.2 level 6, 64k chunk [\(total)/\(total - failed)] [\(map)]\n"
        let isSyncing = Bool.random(using: &random)
        if isSyncing { text += "   [=>...]  recovery =  8.5% (\(blocks / 2)/\(blocks)) finish=17.0min speed=2K/sec\n" }
        if Bool.random(using: &random) { text += "   bitmap: 0/30 pages [0KB], 65536KB chunk\n" }
        text += "\n"
        expected.append(
          MdArray(
            isSyncing ? .recovering : .active, total, total - failed, failed, 0, blocks, isSyncing ? blocks / 2 : blocks
          ))
      }
      #expect(arrays(text + "unused devices: <none>\n").map(\.array) == expected)
    }
  }
}

extension MdArray {
  fileprivate init(
    _ state: State, _ disks: Int64, _ active: Int64, _ failed: Int64, _ spare: Int64, _ blocks: Int64, _ synced: Int64
  ) {
    self.init(
      state: state, disks: disks, activeDisks: active, failedDisks: failed, spareDisks: spare, blocks: blocks,
      syncedBlocks: synced)
  }
}

@Suite struct BtrfsTests {
  private let device = BtrfsDevice(path: "/dev/sda", uuid: "ff", size: 1000, used: 300, errors: [1, 2, 3, 4, 5])

  private let mountedShown = [
    #"node_btrfs_device_errors_total{btrfs_dev_uuid="ff",device="sda",type="corruption",uuid="0a-1b"} 4"#,
    #"node_btrfs_device_errors_total{btrfs_dev_uuid="ff",device="sda",type="flush",uuid="0a-1b"} 3"#,
    #"node_btrfs_device_errors_total{btrfs_dev_uuid="ff",device="sda",type="generation",uuid="0a-1b"} 5"#,
    #"node_btrfs_device_errors_total{btrfs_dev_uuid="ff",device="sda",type="read",uuid="0a-1b"} 2"#,
    #"node_btrfs_device_errors_total{btrfs_dev_uuid="ff",device="sda",type="write",uuid="0a-1b"} 1"#,
    #"node_btrfs_device_size_bytes{btrfs_dev_uuid="ff",device="sda",uuid="0a-1b"} 1000"#,
    #"node_btrfs_device_unused_bytes{btrfs_dev_uuid="ff",device="sda",uuid="0a-1b"} 700"#,
  ]

  private func makeCollector(
    _ root: TemporaryDirectory, patience: Duration = .seconds(60), _ mounts: [String],
    probe: @escaping MountWorkers<BtrfsDevices>.Probe
  ) throws -> BtrfsCollector {
    for (file, text) in btrfs { root.write(file, text) }
    root.write(
      "proc/1/mountinfo",
      mounts.map { "36 35 0:54 / \($0) rw - btrfs /dev/sda rw\n" }.joined() + "1 1 0:1 / /x rw - xfs x rw\n")
    return try BtrfsCollector(
      .fixture(BtrfsCollector.self, root.path, ["--path.rootfs=/host"]), patience: patience, probe: probe)
  }

  @Test func showsWhatAMountSays() throws {
    let root = TemporaryDirectory()
    let answer = BtrfsDevices(fsid: "0a1b", devices: [device])
    // The first place does not let us in.
    let collector = try makeCollector(root, ["/a", "/host/b", "/c"]) { path in
      path == Array("/host/b".utf8) ? .success(answer) : .failure(KernelError("open", "", code: EACCES))
    }
    for _ in 0..<2 { #expect(outcome(collector).samples.filter { $0.contains("node_btrfs_device") } == mountedShown) }
  }

  @Test(arguments: [EACCES, ENOTTY, EIO]) func showsSysfsForAMountThatDoesNotAnswer(_ code: Int32) throws {
    let root = TemporaryDirectory()
    let collector = try makeCollector(root, ["/a", "/b"]) { _ in .failure(KernelError("open", "", code: code)) }
    let (samples, error) = outcome(collector)
    #expect(samples == btrfsShown)
    #expect(error == nil)
  }

  @Test func doesNotWaitForAStuckMount() throws {
    let root = TemporaryDirectory()
    let isOpen = Monitor(false)
    let collector = try makeCollector(root, patience: .milliseconds(10), ["/a"]) { _ in
      _ = isOpen.wait { isOpen, _ in isOpen ? true : nil }
      return .failure(KernelError("open", "", code: EIO))
    }
    for _ in 0..<3 { #expect(outcome(collector).samples == btrfsShown) }
    isOpen.withLock { $0 = true }
    isOpen.signal()
  }

  @Test func asksNothingButBtrfs() {
    #expect(throws: KernelError.self) { try BtrfsDevices.read(Array("/proc".utf8)).get() }
    #expect(throws: KernelError("open", "/nonexistent", code: ENOENT)) {
      try BtrfsDevices.read(Array("/nonexistent".utf8)).get()
    }
  }
}
