// Reads /proc/mdstat (drivers/md/md.c, md_seq_show), which has for each array a line of its name, state, personality
// and disks, one of its size, and others if it is being synced or has a bitmap; and the arrays' numbers of disks in
// /sys/block/mdN/md (Documentation/admin-guide/md.rst).

import Bytes
import Exposition
import Kernel

final class MdadmCollector: Collector {
  static let name = "mdadm"

  private static let state = MetricFamily.gauge(
    "node_md_state", "Indicates the state of md-device.", ["device", "state"])
  private static let disks = MetricFamily.gauge(
    "node_md_disks", "Number of active/failed/spare disks of device.", ["device", "state"])
  private static let disksRequired = device("disks_required", "Total number of disks of device.")
  private static let blocks = device("blocks", "Total number of blocks on device.")
  private static let blocksSynced = device("blocks_synced", "Number of blocks synced on device.")
  private static let raidDisks = device("raid_disks", "Number of raid disks on device.")
  private static let degraded = device("degraded", "Number of degraded disks on device.")

  private static func device(_ name: String, _ help: String) -> MetricFamily {
    .gauge("node_md_\(name)", help, ["device"])
  }

  private static let states: [(label: StaticString, state: MdArray.State)] = [
    ("active", .active), ("check", .checking), ("inactive", .inactive), ("recovering", .recovering),
    ("resync", .resyncing),
  ]
  private static let degradableLevels: Set<String> = ["raid1", "raid4", "raid5", "raid6", "raid10"]

  private let mdstat: KernelFile
  private var folders: DeviceFolders<DeviceFolder>
  private let reader = AttributeReader()
  private var buffer = ByteWriter()

  init(_ host: Host) {
    mdstat = KernelFile(host.proc("mdstat"), limit: 1 << 20)
    folders = DeviceFolders(host.sys("block")) { $0.hasPrefix("md") }
  }

  func collect(into writer: MetricWriter) throws {
    guard try mdstat.readIfPresent(into: &buffer) else { throw NoData("\(mdstat.path) is not there") }
    try writeFolders(into: writer)
    try buffer.withBytes { text in try writeArrays(of: text, into: writer) }
  }

  private func writeArrays(of text: RawSpan, into writer: MetricWriter) throws {
    var isMalformed = false
    MdArray.forEach(in: text) { name, array in
      guard let array else {
        isMalformed = true
        return
      }
      for (label, state) in Self.states {
        writer.begin(Self.state)
        writer.label(name)
        writer.label(label)
        writer.end(array.state == state ? 1.0 : 0.0)
      }
      let disks: [(state: StaticString, count: Int64)] = [
        ("active", array.activeDisks), ("failed", array.failedDisks), ("spare", array.spareDisks),
      ]
      for disk in disks {
        writer.begin(Self.disks)
        writer.label(name)
        writer.label(disk.state)
        writer.end(Double(disk.count))
      }
      write(Self.disksRequired, name, array.disks, into: writer)
      write(Self.blocks, name, array.blocks, into: writer)
      write(Self.blocksSynced, name, array.syncedBlocks, into: writer)
    }
    if isMalformed { throw MalformedFile(mdstat.path, "an array is not described as expected") }
  }

  private func write(_ family: MetricFamily, _ name: RawSpan, _ value: Int64, into writer: MetricWriter) {
    writer.begin(family)
    writer.label(name)
    writer.end(Double(value))
  }

  private func writeFolders(into writer: MetricWriter) throws {
    for folder in try folders.present() {
      guard let level = reader.text(folder.path, "md/level"),
        let disks = reader.unsigned(folder.path, "md/raid_disks")
      else { continue }
      // The other levels do not bear the loss of a disk.
      let degraded =
        Self.degradableLevels.contains(level) ? reader.unsigned(folder.path, "md/degraded") : 0
      writer.write(Self.raidDisks, [folder.name], Double(disks))
      if let degraded { writer.write(Self.degraded, [folder.name], Double(degraded)) }
    }
  }
}

/// An array as /proc/mdstat describes it.
struct MdArray: Equatable {
  enum State { case active, inactive, recovering, reshaping, checking, resyncing, other }

  var state: State
  /// In the array when nothing is lost.
  var disks: Int64
  var activeDisks: Int64
  var failedDisks: Int64
  var spareDisks: Int64
  /// Of 1 KiB.
  var blocks: Int64
  /// How many of them the sync that is under way has done; all when there is none.
  var syncedBlocks: Int64
}

extension MdArray {
  /// Hands the name of each array and what is said of it, nil when that does not read as it should, to `body`.
  static func forEach(in mdstat: RawSpan, _ body: (_ name: RawSpan, MdArray?) -> Void) {
    var lines = ByteScanner(mdstat)
    while let line = lines.line() {
      if line.trimmed.isEmpty || line[0] == .space || line[0] == .tab || line.starts(with: "Personalities")
        || line.starts(with: "unused")
      {
        continue
      }
      var fields = ByteScanner(line)
      guard let name = fields.field() else { continue }
      // The next lines are read ahead: where one is missing, the next array may begin.
      var ahead = ByteScanner(mdstat)
      ahead.position = lines.position
      guard let colon = fields.field(), colon.equals(":"), let word = fields.field(), let status = ahead.line() else {
        body(name, nil)
        continue
      }
      let third = ahead.rest.firstLine
      _ = ahead.line()
      let sync = third.contains("bitmap") ? ahead.rest.firstLine : third
      body(name, MdArray(line, state: word, status: status, sync: sync))
    }
  }

  /// - Parameters:
  ///   - line: "md0 : active raid1 sda1[0] sdb1[1](F)".
  ///   - word: its third word.
  ///   - status: "248896 blocks super 1.2 [2/2] [UU]".
  ///   - sync: "[=>…] recovery = 8.5% (16775552/195310144) finish=17.0min speed=259783K/sec", "resync=PENDING", or
  ///     anything else.
  private init?(_ line: RawSpan, state word: RawSpan, status: RawSpan, sync: RawSpan) {
    var fields = ByteScanner(status)
    guard let size = fields.field(), let blocks = Int64(decimal: size) else { return nil }
    self.blocks = blocks
    failedDisks = line.count(of: "(F)")
    spareDisks = line.count(of: "(S)")
    if line.contains("raid0") || line.contains("linear") {
      // All disks are listed, and all are active.
      disks = line.count(of: "[")
      activeDisks = disks
    } else if line.contains("inactive") {
      disks = 0
      activeDisks = 0
    } else {
      guard let counts = Self.counts(in: fields.rest) else { return nil }
      (disks, activeDisks) = counts
    }

    state = word.equals("active") ? .active : word.equals("inactive") ? .inactive : .other
    syncedBlocks = blocks
    if let syncState = Self.state(of: sync) {
      state = syncState
      if sync.contains("PENDING") || sync.contains("DELAYED") {
        syncedBlocks = 0
      } else {
        guard let synced = Self.synced(in: sync) else { return nil }
        syncedBlocks = synced
      }
    }
  }

  private static func state(of sync: RawSpan) -> State? {
    sync.contains("recovery")
      ? .recovering
      : sync.contains("reshape")
        ? .reshaping : sync.contains("check") ? .checking : sync.contains("resync") ? .resyncing : nil
  }

  /// The numbers of the last "[2/1] [U_]".
  private static func counts(in status: RawSpan) -> (disks: Int64, active: Int64)? {
    var fields = ByteScanner(status)
    var last: (Int64, Int64)?
    var candidate: (Int64, Int64)?
    while let field = fields.field() {
      if let counts = candidate, field.isMap { last = counts }
      candidate = field.fraction(in: UInt8(ascii: "["), UInt8(ascii: "]"))
    }
    return last
  }

  /// The first number of "(16775552/195310144)".
  private static func synced(in sync: RawSpan) -> Int64? {
    var fields = ByteScanner(sync)
    while let field = fields.field() {
      if let fraction = field.fraction(in: UInt8(ascii: "("), UInt8(ascii: ")")) { return fraction.0 }
    }
    return nil
  }
}

extension RawSpan {
  /// The numbers of a text such as "[2/1]".
  fileprivate func fraction(in left: UInt8, _ right: UInt8) -> (Int64, Int64)? {
    guard byteCount >= 5, self[0] == left, self[byteCount - 1] == right else { return nil }
    var numbers = ByteScanner(extracting(1..<byteCount - 1))
    guard let first = numbers.field(upTo: UInt8(ascii: "/")), let first = Int64(decimal: first),
      let second = Int64(decimal: numbers.rest)
    else { return nil }
    return (first, second)
  }

  /// Whether this is "[UU_]": which disks are up.
  fileprivate var isMap: Bool {
    guard byteCount >= 3, self[0] == UInt8(ascii: "["), self[byteCount - 1] == UInt8(ascii: "]") else { return false }
    for offset in 1..<byteCount - 1 where self[offset] != UInt8(ascii: "U") && self[offset] != UInt8(ascii: "_") {
      return false
    }
    return true
  }

  fileprivate var firstLine: RawSpan {
    @_lifetime(copy self) get { extracting(0..<(firstIndex(of: .newline) ?? byteCount)) }
  }

  fileprivate func contains(_ text: StaticString) -> Bool { count(of: text) > 0 }

  /// How often the text is in this one, without overlaps.
  fileprivate func count(of text: StaticString) -> Int64 {
    let length = text.utf8CodeUnitCount
    var count: Int64 = 0
    var offset = 0
    while offset + length <= byteCount {
      if extracting(offset..<offset + length).equals(text) {
        count += 1
        offset += length
      } else {
        offset += 1
      }
    }
    return count
  }
}
