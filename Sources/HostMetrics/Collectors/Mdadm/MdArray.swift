// The text of /proc/mdstat (drivers/md/md.c, md_seq_show). It has for each array a line of its name, state, personality
// and disks, one of its size, and others if it is being synced or has a bitmap.

import Bytes

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

  private static let syncStates: [(word: StaticString, state: State)] = [
    ("recovery", .recovering), ("reshape", .reshaping), ("check", .checking), ("resync", .resyncing),
  ]

  private static func state(of sync: RawSpan) -> State? {
    for (word, state) in syncStates where sync.contains(word) { return state }
    return nil
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
