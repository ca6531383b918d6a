import Bytes
import Compression
import Glibc

/// What is known of a series by in every process: a hash of its label pairs, each as a field `labels` of
/// `prometheus.TimeSeries`, in the order of their names.
struct SeriesFingerprint {
  private(set) var value: UInt64 = 0

  static func hash(ofPair field: RawSpan) -> UInt64 {
    var hash = FNV1a()
    hash.combine(field)
    return hash.value
  }

  mutating func combine(_ pair: UInt64) { value = ((value << 5 | value >> 59) ^ pair) &* 0x9e37_79b9_7f4a_7c15 }
}

/// A set of series, by their fingerprints: a Bloom filter (Bloom, Communications of the ACM 13, 1970). It never denies a
/// series that is in it; of two million, it takes one in forty of those that are not for one that is.
struct SeriesFilter: Sendable, Equatable {
  private static let bits: UInt64 = 1 << 24
  private static let probes = 4
  private static let magic: StaticString = "PILOTSET"

  private var words = [UInt64](repeating: 0, count: Int(bits) / 64)

  init() {}

  /// The places of a series' bits.
  private static func places(_ fingerprint: SeriesFingerprint) -> some Sequence<UInt64> {
    // The two halves of a mixed fingerprint, as Kirsch and Mitzenmacher have it.
    var mixed = fingerprint.value
    mixed = (mixed ^ mixed >> 33) &* 0xff51_afd7_ed55_8ccd
    mixed = (mixed ^ mixed >> 33) &* 0xc4ce_b9fe_1a85_ec53
    mixed ^= mixed >> 33
    let (start, step) = (mixed & 0xffff_ffff, mixed >> 32 | 1)
    return (0..<UInt64(probes)).lazy.map { (start + $0 * step) % bits }
  }

  mutating func insert(_ fingerprint: SeriesFingerprint) {
    for place in Self.places(fingerprint) { words[Int(place / 64)] |= 1 << (place % 64) }
  }

  func contains(_ fingerprint: SeriesFingerprint) -> Bool {
    Self.places(fingerprint).allSatisfy { words[Int($0 / 64)] >> ($0 % 64) & 1 == 1 }
  }

  // MARK: On disk

  /// Its file: "PILOTSET" word:u64{262144} crc:u32, little-endian as are the machines that this runs on.
  private var file: ByteWriter {
    var file = ByteWriter(capacity: words.count * 8 + 12)
    file.append(Self.magic)
    words.withUnsafeBytes { file.append($0) }
    file.append(littleEndian: file.withUnsafeBytes { Checksum.crc32($0) })
    return file
  }

  /// Writes the file; it is there, whole and on the disk, or not at all. False when that fails.
  func write(path: String) -> Bool {
    let part = path + ".part"
    let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return false }
    let file = file
    let isWritten =
      file.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) == $0.count }
      && fsync(descriptor) == 0
    close(descriptor)
    if isWritten, rename(part, path) == 0 { return true }
    unlink(part)
    return false
  }

  /// Reads a file; nil when it is not whole.
  init?(path: String) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let length = 8 + words.count * 8
    var bytes = [UInt8](repeating: 0, count: length + 4)
    guard read(descriptor, &bytes, bytes.count) == bytes.count else { return nil }
    let file = bytes.span.bytes
    guard file.starts(with: Self.magic),
      bytes.withUnsafeBytes({ Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[..<length])) })
        == file.littleEndian32(at: length)
    else { return nil }
    words.withUnsafeMutableBytes { $0.copyBytes(from: bytes[8..<length]) }
  }
}

/// A filter, asked once for each series of the label table.
struct FilteredSeries {
  private enum Answer: UInt8 { case unknown, yes, no }

  private let filter: SeriesFilter
  private var answers: [Answer] = []

  init(_ filter: SeriesFilter) { self.filter = filter }

  @inline(__always)
  mutating func contains(_ number: UInt32, in table: borrowing LabelTable) -> Bool {
    if Int(number) < answers.count, answers[Int(number)] != .unknown { return answers[Int(number)] == .yes }
    return find(number, in: table)
  }

  private mutating func find(_ number: UInt32, in table: borrowing LabelTable) -> Bool {
    if answers.count <= Int(number) {
      answers += repeatElement(.unknown, count: max(table.numbers, Int(number) + 1) - answers.count)
    }
    let isHeld = filter.contains(table.fingerprint(of: number))
    answers[Int(number)] = isHeld ? .yes : .no
    return isHeld
  }

  /// The number is free for another series.
  mutating func forget(_ number: UInt32) {
    if Int(number) < answers.count { answers[Int(number)] = .unknown }
  }
}
