// The log on disk: what an append costs, what reading it back costs, and how long the values of a node exporter are.
//
//     swift run -c release Benchmarks backlog DIR --bytes 2G --series 447000
//
// writes a log of about that length into DIR, as an agent would have left it in a long outage: scrapes of 559 series
// each, every 10 seconds, up to now.

import Bytes
import Exposition
import Glibc
import RemoteWrite

/// Targets of a node exporter, and how their values move.
private struct Fleet: ~Copyable {
  static let seriesOfTarget = 559

  /// The kinds of value of a node exporter, by how many of 100 series are of each.
  enum Kind: String, CaseIterable {
    case constant, slowCounter, fastCounter, seconds, gauge, random

    var share: Int {
      switch self {
      case .constant: 52
      case .slowCounter: 14
      case .fastCounter: 12
      case .seconds: 10
      case .gauge: 10
      case .random: 2
      }
    }

    func next(_ value: Double, _ random: UInt64) -> Double {
      switch self {
      case .constant: value
      case .slowCounter: random % 4 == 0 ? value + Double(random % 9) : value
      case .fastCounter: value + Double(random % 100_000)
      case .seconds: ((value * 100).rounded() + Double(random % 1000)) / 100
      case .gauge: random % 3 == 0 ? value : (random % 1_000_000_000).scaled(4096)
      case .random: Double(random % 1_000_000_007) / 999_983
      }
    }
  }

  private(set) var table = LabelTable()
  private(set) var encoder = SegmentEncoder()
  private var targets: [[Sample]] = []
  private var kinds: [Kind] = []
  private var state: UInt64 = 1
  private var next: UInt64 = 1

  init(series: Int, kind: Kind? = nil) {
    for kind in Kind.allCases { kinds += Array(repeating: kind, count: kind.share) }
    if let kind { kinds = [kind] }
    for target in 0..<max(1, series / Self.seriesOfTarget) {
      targets.append(
        (0..<Self.seriesOfTarget).map { index in
          let labels = LabelSet([
            (name: "__name__", value: "node_family\(index / 7)_total"), (name: "device", value: "d\(index % 7)"),
            (name: "instance", value: "10.\(target >> 8).\(target & 255).7:9100"), (name: "job", value: "node"),
          ])
          guard let number = table.register(labels) else { preconditionFailure("the table refuses \(labels)") }
          return Sample(series: SeriesID(rawValue: number), timestamp: 0, value: Double(index * 4096))
        })
    }
  }

  var targetCount: Int { targets.count }

  /// splitmix64
  private mutating func random() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }

  /// The values of the target's next scrape.
  mutating func move(_ target: Int, to time: Int64) {
    for index in targets[target].indices {
      targets[target][index].timestamp = time
      let kind = kinds[(index * 37) % kinds.count]
      targets[target][index].value = kind.next(targets[target][index].value, random())
    }
  }

  mutating func append(_ target: Int, now: Int64) {
    encoder.append(targets[target][...], [], offset: 0, first: next, now: now, &table)
    next += UInt64(Self.seriesOfTarget)
  }

  mutating func endSegment() { encoder.endSegment() }
  mutating func take(_ pending: inout SegmentEncoder.Pending) { encoder.takePending(&pending) }
}

extension UInt64 {
  fileprivate func scaled(_ unit: UInt64) -> Double { Double(self / unit * unit) }
}

/// Appends, and reads back, scrapes whose values move by one rule, or by all in the shares of a node exporter.
func runLog(_ name: String) {
  let kinds: [(name: String, kind: Fleet.Kind?)] =
    [("all", nil)] + Fleet.Kind.allCases.map { ($0.rawValue, $0) }
  for (label, kind) in kinds {
    let rounds = 200
    var fleet = Fleet(series: Fleet.seriesOfTarget, kind: kind)
    var pending = SegmentEncoder.Pending()
    var payloads: [[UInt8]] = []
    var time: Int64 = 1_700_000_000_000
    var bytes = 0
    // The first record defines the series; it does not count for the bytes of a sample.
    for round in 0...rounds {
      time += 10_000
      fleet.move(0, to: time)
      fleet.append(0, now: time)
      fleet.take(&pending)
      let start = (round == 0 ? LogFormat.headerLength : 0) + LogFormat.recordHeaderLength
      payloads.append(pending.bytes.withUnsafeBytes { Array($0[start...]) })
      if round > 0 { bytes += pending.bytes.count }
    }
    let samples = rounds * Fleet.seriesOfTarget
    Measurement.run("\(name) append \(label)", samples: Fleet.seriesOfTarget, bytes: bytes / rounds) {
      time += 10_000
      fleet.move(0, to: time)
      fleet.append(0, now: time)
      fleet.take(&pending)
    }
    var record = LogRecord()
    Measurement.run("\(name) read \(label)", samples: samples, bytes: bytes) {
      var decoder = SegmentDecoder()
      for payload in payloads { read(payload, &decoder, &record) }
      use(record.slots.count)
    }
    let perSample = (Double(bytes) / Double(samples) * 100).rounded() / 100
    print("\(name) \(label): \(perSample) bytes a sample")
  }
}

private func read(_ payload: [UInt8], _ decoder: inout SegmentDecoder, _ record: inout LogRecord) {
  do throws(LogDamage) { try decoder.decode(payload.span.bytes, into: &record) } catch {
    preconditionFailure(error.description)
  }
}

enum Backlog {
  /// `DIR [--bytes N[K|M|G]] [--series N]`
  static func run(_ arguments: [String]) {
    guard let folder = arguments.first, !folder.hasPrefix("-") else {
      fail("usage: Benchmarks backlog DIR [--bytes 2G] [--series 447000]")
    }
    let bytes = size(option("--bytes", arguments) ?? "2G")
    let series = size(option("--series", arguments) ?? "447000")
    mkdir(folder, 0o755)
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    // About 1.3 bytes a sample: the last scrape is of about now.
    let scrapes = max(1, Int(Double(bytes) / 1.3) / max(series, 1))
    var time = Int64(now.tv_sec - scrapes * 10) * 1000
    var fleet = Fleet(series: series)
    var pending = SegmentEncoder.Pending()
    var file: CInt = -1
    var written = 0
    var samples = 0
    while written < bytes {
      time += 10_000
      for target in 0..<fleet.targetCount {
        fleet.move(target, to: time + Int64(target % 10_000))
        if fleet.encoder.segmentBytes ?? 0 >= 64 << 20 { fleet.endSegment() }
        fleet.append(target, now: time)
        samples += Fleet.seriesOfTarget
      }
      fleet.take(&pending)
      written += pending.bytes.count
      var start = 0
      for (offset, first) in pending.segments {
        write(pending, start..<offset, to: file)
        if file >= 0 { close(file) }
        file = open("\(folder)/\(LogFormat.fileName(first))", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { fail("cannot create a file in \(folder): \(String(cString: strerror(errno)))") }
        start = offset
      }
      write(pending, start..<pending.bytes.count, to: file)
    }
    if file >= 0 { close(file) }
    print("\(samples) samples of \(fleet.targetCount * Fleet.seriesOfTarget) series in \(written) bytes")
  }

  private static func write(_ pending: borrowing SegmentEncoder.Pending, _ range: Range<Int>, to file: CInt) {
    pending.bytes.withUnsafeBytes { bytes in
      var rest = UnsafeRawBufferPointer(rebasing: bytes[range])
      while !rest.isEmpty {
        let count = Glibc.write(file, rest.baseAddress, rest.count)
        guard count > 0 else { fail("cannot write: \(String(cString: strerror(errno)))") }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      }
    }
  }

  private static func option(_ name: String, _ arguments: [String]) -> String? {
    arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
  }

  private static func size(_ text: String) -> Int {
    let shift = ["K": 10, "M": 20, "G": 30][text.suffix(1).uppercased()] ?? 0
    guard let number = Int(shift > 0 ? text.dropLast() : text[...]), number > 0, number < 1 << 30 else {
      fail("no size: \(text)")
    }
    return number << shift
  }

  private static func fail(_ message: String) -> Never {
    print(message)
    exit(1)
  }
}
